/* transport.h - what a transport driver gives to delivery, and gets from it. */
#ifndef EXIM_TRANSPORT_H
#define EXIM_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "config/driver.h"
#include "config/option.h"
#include "config/value.h"

struct address;
struct arena;
struct config;
struct delivery;
struct expand_ctx;
struct message;
struct rewrite_rule;
struct router_text;
struct transport_driver;

/* The generic part, first member of every driver's instance struct (manual chapter 24). */
struct transport {
    DRIVER_INSTANCE(struct transport, struct transport_driver);

    bool body_only;
    const struct expr *current_directory;
    const struct expr *debug_print;
    bool delivery_date_add;
    bool disable_logging;
    bool envelope_to_add;
    const struct expr *event_action;
    bool headers_only;
    const struct expr *home_directory;
    bool initgroups;
    const struct expr *max_parallel;
    const struct expr *message_size_limit;
    bool rcpt_include_affixes;
    bool retry_use_local_part;
    const struct expr *return_path;
    bool return_path_add;
    const struct expr *shadow_condition;
    const struct expr *transport_filter;
    long transport_filter_timeout;
    bool uses_local_part, uses_domain; /* some string does: addresses of one batch agree in it */
    const struct router_text *headers_add, *headers_remove;
    const char *headers_rewrite;
    const struct rewrite_rule *rewrite_rules; /* read from headers_rewrite */
    const struct expr *user, *group;
    const char *shadow_transport;
    const struct transport *shadow_instance;
    bool uid_fixed, gid_fixed;
    uid_t uid;
    gid_t gid;
    bool as_creator; /* pipe_as_creator: uid and gid of the submitter where no option of ours says */
    /* Batching of local transports (batch_max, batch_id of the driver). */
    long batch_max;
    const struct expr *batch_id;
    /* Grouping of remote addresses; set by the driver's check. */
    long max_addresses; /* in one call; 0: no limit */
    bool multi_domain;
};

/* One delivery attempt: a list of addresses that go together. The driver sets result, outcome and
 * the log fields of every address; it neither logs nor touches the spool. */
struct transport_call {
    struct expand_ctx *ctx;    /* arena, message, addr = first address */
    struct message *message;
    struct address *addrs;     /* linked by next */
    const char *return_path;   /* envelope sender, "" for null */
    struct delivery *delivery; /* NULL in an agent */
    bool first_attempt;
    /* smtp: called after each address is settled, before QUIT: the journal is written early. */
    void (*settled)(void *arg, struct address *addr);
    void *settled_arg;
};

/* A message that a local transport wants sent (autoreply, quota_warn_message): an agent cannot write to
 * the spool, so it goes back with the result and delivery submits it (deliver_submit), sender "". */
struct transport_submission {
    const struct transport_submission *next;
    const char *const *recipients;
    size_t recipient_count;
    const char *text; /* headers and body, "\n" line ends */
};

/* A delivery between its two halves: written, but perhaps not on the disk yet. The driver embeds it. */
struct transport_pending {
    struct transport_pending *next;
    struct transport_call *call;
};

enum {
    TRANSPORT_LOCAL = 1 << 0, /* runs in an agent */
    TRANSPORT_DSN = 1 << 1,   /* a local one that passes RET and ENVID on */
};

struct transport_driver {
    DRIVER_INFO;
    unsigned flags;
    bool (*check)(struct transport *t, const struct config *cfg, struct arena *a, struct err *err);
    void (*deliver)(const struct transport *t, struct transport_call *call);
    /* addr waits for its hosts: the hints of what waits where are told. Optional. */
    void (*note_waiting)(const struct transport *t, const struct delivery *d, const struct address *addr);
    /* Deliveries of one message to different addresses do not wait for each other's files: several may be
     * under way. Optional: none. */
    bool (*independent)(const struct transport *t);
    /* deliver in two halves, for the independent ones: `begin` writes and does not wait for the disk. NULL:
     * the result is set; else it is in the arena of call->ctx, and call is kept until `finish`, which makes a
     * whole list durable, of any instances of the driver, and sets the results. What they wait for they wait
     * for together. Optional, both or neither. */
    struct transport_pending *(*begin)(const struct transport *t, struct transport_call *call);
    void (*finish)(struct transport_pending *list);
    void (*tidy)(void); /* close kept connections: end of a worker */
};

const struct transport_driver *transport_driver_find(const char *name); /* drtables.c */
const struct transport_driver *const *transport_drivers(size_t *count);
const struct transport *transport_find(const struct config *c, const char *name);
extern const struct option transport_options[]; /* generic ones, sorted; transports/generic.c */
extern const size_t transport_option_count;

/* ---- writing a message out (transports/write.c) ---- */
struct transport_output {
    bool crlf;                                  /* line ends */
    bool dot_stuff;                             /* SMTP: double leading dots; no final dot */
    const char *check_string, *escape_string;   /* as in appendfile; NULL none */
    bool add_return_path, add_delivery_date, add_envelope_to;
    bool headers_only, body_only;
    bool (*write)(void *arg, const void *p, size_t n); /* false: give up, errno set */
    void *arg;
    int64_t written;                            /* out: bytes given to write */
};
/* sys_errno of err: an errno, or ERR_FILTER_FAIL when the command of transport_filter failed (its
 * msg may have a ": reason" after the part that where it was written follows). */
/* Writes headers (with those added, removed and rewritten by routers and transport) and body,
 * through transport_filter if set. False with err. */
bool transport_write_message(const struct transport *t, struct transport_call *call,
                             struct transport_output *out, struct err *err) MUST_USE;
/* Size of what would be written, within a few bytes, for quotas, SIZE= and limits. */
int64_t transport_message_size(const struct transport *t, struct transport_call *call, bool crlf);
/* Sets the same result on every address of the call. */
void transport_set_all(struct transport_call *call, enum rc rc, int basic_errno, const char *status,
                       const char *message);

#endif
