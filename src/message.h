/* message.h - one message: envelope, header lines, where the body is, what the spool keeps.
 *
 * Made by receive or by spool_load; owns its arena. Fields are those of the -H file and of the
 * variables of the manual (11.9). Booleans are switches of the -H file. */
#ifndef EXIM_MESSAGE_H
#define EXIM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/tod.h"
#include "header.h"

struct arena;
struct hash;

/* RFC 3461 flags of a recipient; the values are those of the -H file. */
enum dsn_flag {
    DSN_LASTHOP = 1, /* never stored */
    DSN_NEVER = 2, DSN_SUCCESS = 4, DSN_FAILURE = 8, DSN_DELAY = 16,
    DSN_NOTIFY_MASK = DSN_NEVER | DSN_SUCCESS | DSN_FAILURE | DSN_DELAY,
};
enum dsn_ret { DSN_RET_NONE = 0, DSN_RET_FULL = 1, DSN_RET_HDRS = 2 };

struct recipient {
    const char *address;
    const char *errors_to; /* NULL: the sender */
    int parent;            /* one_time: index of the parent recipient; -1 none */
    const char *orcpt;     /* "type;xtext" as received; NULL none */
    unsigned dsn_flags;    /* enum dsn_flag; 0: NOTIFY absent */
    const char *given;     /* while it is received: what it was before rewriting; NULL the same */
};

/* Where the body (after the blank line, "\n" line ends as in the -D file) can be read: body_read. */
struct body {
    int fd;           /* owned by the message's arena; -1: none, or in memory */
    off_t start;      /* offset of its first byte: past the id line of a -D file */
    off_t size;
    const char *text; /* in memory, as long as the message; NULL: in fd */
};

enum { ACL_VAR_MAX_NAME = 64 };

struct message {
    struct arena *arena;
    char id[MSGID_LEN + 1];       /* "" before it has one */
    const char *sender;           /* "" for the null sender; never NULL once known */
    const char *authenticated_sender, *authenticated_id, *sender_host_authenticated;
    struct recipient *recipients;
    size_t recipient_count, recipient_cap;
    struct hash *nonrecipients;   /* delivered or removed already: address -> itself; may be NULL */
    struct header_list headers;
    struct body body;
    uint64_t place;               /* lsn in the log of the spool: spool_wal.h; 0: it has files */
    int64_t journal_owed_ms;      /* since when its journal is not synced; 0: it is */
    struct str header_file;       /* -H as it is on disk, when that says all there is to know; len 0: not known */
    struct buf *notes;            /* for its message log, when it is time (spool_put_notes); NULL: none */
    bool notes_wait;              /* also while it has files */
    struct timespec received;     /* $received_time */
    const char *originator_login; /* -H first lines: who submitted */
    uid_t originator_uid;
    gid_t originator_gid;
    time_t warning_time;          /* last delay warning */
    unsigned warning_count;

    const char *sender_host_address, *sender_host_name, *sender_helo_name, *sender_ident;
    int sender_host_port;
    const char *interface_address;
    int interface_port;
    const char *received_protocol, *smtp_active_hostname, *local_scan_data, *queue_name;
    bool host_lookup_failed, host_lookup_deferred;
    bool local, local_error_message, allow_unqualified_sender, allow_unqualified_recipient;
    bool deliver_firsttime, manually_thawed, dont_deliver /* -N */, sender_set_untrusted;
    bool sender_local, smtputf8, spool_file_wireformat, utf8_downconvert;
    time_t frozen_at;             /* 0: not frozen */
    long body_linecount, body_zerocount, message_linecount, max_received_linelength;
    int64_t message_size;         /* $message_size: headers and body */
    int received_count;           /* Received: lines */
    const char *spam_score_int, *spam_bar, *spam_action;
    bool tls_in_certificate_verified;
    const char *tls_in_cipher, *tls_in_peerdn, *tls_in_sni, *tls_in_ver, *tls_in_ocsp;

    const char *dsn_envid;        /* xtext as received; NULL none */
    enum dsn_ret dsn_ret;
    const char *report_of;        /* id of the message this is a report on; NULL: no report (dsn_once.h) */

    struct hash *acl_m;           /* name without "acl_m" -> const char * value */
    struct hash *acl_c;           /* copy of the connection's at acceptance */

    /* Only while it is received. */
    bool freeze, queue_only, discard, no_fixups, submission, submission_sender_retain;
    const char *submission_domain, *submission_name, *fake_response, *fake_response_text;
    bool fake_defer, no_multiline, cutthrough, no_mbox_unspool, prdr_requested;
    const char *frozen_by;
    struct header *acl_added;     /* add_header in ACLs, not yet added: see acl_headers_apply */
    const char *acl_removed;      /* colon list of names */
    const char *headers_charset;
    size_t rcpt_count, rcpt_fail_count, rcpt_defer_count;
    struct hash *list_cache;      /* match: results of named lists */
    struct hash *warned;          /* acl: texts of "warn log_message" written */
    struct hash *ratelimit;       /* acl: rates measured once a message */
    struct hash *verified;        /* acl: results of sender verification */
    bool sender_rewritten;        /* by verify = sender: not to be rewritten again */
    const char *queued_by;        /* "ACL", ...: why queue_only */
    const char *discarded_by;     /* "MAIL", "RCPT" ...: the ACL that left no recipient; NULL */
    unsigned dsn_notify_default;  /* of the command line: for every recipient */
    bool no_dsn_success;          /* control = no_dsn_success, for all recipients */
    bool no_dsn_success_rcpt;     /* the same in the RCPT ACL: for the one at hand */
    bool sender_forced;           /* -f of a trusted caller */
    bool chunked;                 /* came by BDAT */
    int body_8bitmime;            /* BODY=: 8, 7, or 0 not given */
    bool freeze_no_tell;          /* every control = freeze said no_tell */
    const char *body_visible, *body_end_visible; /* $message_body, filled on first use */
};

struct message *message_new(const char *arena_name);
void message_free(struct message **mp);
struct recipient *message_add_recipient(struct message *m, const char *address, int parent);
/* NOTIFY flags without the request for success reports; who asked for nothing else wants no report. */
unsigned message_notify_without_success(unsigned dsn_flags);
bool message_is_nonrecipient(const struct message *m, const char *address); /* exact match */
void message_add_nonrecipient(struct message *m, const char *address);
bool body_is_there(const struct body *b);
/* n bytes at an offset, fewer at the end; -1 with errno. */
ssize_t body_read(const struct body *b, void *p, size_t n, off_t at) MUST_USE;
/* $message_body / $message_body_end: at most max bytes; newlines as spaces unless keep_newlines. */
const char *message_body_text(struct message *m, size_t max, bool end, bool keep_newlines);

#endif
