/* retry.h - retry rules and the retry hints (manual chapter 32). */
#ifndef EXIM_RETRY_H
#define EXIM_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/value.h"

struct address;
struct arena;
struct config;
struct delivery;
struct exim;
struct expand_ctx;
struct host;

/* more_errno beside a basic_errno, as the hints keep it: for ERR_MAIL4XX, ERR_RCPT4XX, ERR_DATA4XX the
 * last two digits of the reply as a number; for connection errors 'M' or 'A' (host from MX or not) with
 * RETRY_CONNECTING added for ETIMEDOUT while connecting; for ERR_EXIMQUOTA and ENOSPC the seconds since
 * the mailbox was read. */
enum { RETRY_CONNECTING = 0x100 };
/* more_errno patterns of a rule's error field beyond plain values. */
enum { RETRY_ANY_CODE = -1 /* rcpt_4xx */, RETRY_TENS = 1000 /* + d*10: rcpt_4dx */ };

struct retry_step { char rule; /* F G H */ long timeout, interval; double multiplier; };
struct retry_rule {
    const struct retry_rule *next; /* stays the first member: readconf links them */
    const struct match_list *pattern; /* address list of one item */
    int basic_errno;                  /* 0: any; ERR_EXIMQUOTA for quota */
    int more_errno;                   /* 0: any; else 'M', 'A', codes or seconds */
    bool connecting;                  /* timeout_connect */
    const struct match_list *senders;
    const struct retry_step *steps;
    size_t step_count;
    const char *text;                 /* pattern and error name, for -brt */
};
struct retry_rule *retry_rule_parse(struct arena *a, const char *line, const struct config *cfg, struct err *err);
/* An error name ("refused_A", "rcpt_45x") as basic and more errno; false when there is none such. */
bool retry_error_parse(const char *name, struct retry_rule *out) MUST_USE;
const struct retry_rule *retry_rule_find(struct expand_ctx *ctx, const char *key, const char *alternate,
                                         int basic_errno, int more_errno);

/* What is to be written for one key when the run ends: a failure, or a deletion. */
struct retry_update {
    struct retry_update *next;
    const char *key;   /* "T:host:ip[:port]" "R:domain" "R:lp@domain" "T:lp@domain" as in Exim's db */
    bool remove, host; /* host: the key names a host */
    int basic_errno, more_errno;
    const char *message;
};
void retry_add(struct arena *a, struct address *addr, const char *key, bool host, bool remove);
bool retry_knows_nothing(struct exim *e); /* no record at all: no key needs to be made to ask for one */
/* A success: the record of key is to go, if this run knows of one. */
void retry_done(struct exim *e, struct arena *a, struct address *addr, const char *key, bool host);
/* R: key of a routing delay: the domain, or the whole address for routers with retry_use_local_part. */
const char *retry_routing_key(struct arena *a, const struct address *addr);
/* T: the same for a local transport. */
const char *retry_transport_key(struct arena *a, const struct address *addr);
/* Has the address's time come? false: skip it. *expired: past the last step of its rule. */
bool retry_check_address(struct delivery *d, struct address *addr, bool routing, bool *expired);
/* The same for a host; sets h->status, h->why, h->retry_*_key. */
bool retry_check_host(struct expand_ctx *ctx, struct host *h, const char *domain, bool include_ip,
                      time_t *next_try);
/* Writes all updates of the run in one opening of the database; moves timed-out addresses to
 * the failed list with "retry timeout exceeded". */
void retry_flush(struct delivery *d);
/* Message age against the last step of the rule: time to give up? */
bool retry_ultimate_timeout(struct expand_ctx *ctx, const char *key, const char *domain, int basic_errno,
                            time_t now);

#endif
