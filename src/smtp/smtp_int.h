/* smtp_int.h - what the files of the SMTP server share: one struct a session, its input,
 * its output.
 *
 * Replies are collected and written when the input has run dry, so that pipelined
 * commands cost one write. Nothing here outlives the session; there is no static state.
 */
#ifndef EXIM_SMTP_INT_H
#define EXIM_SMTP_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl.h"
#include "auths/auth.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/log.h"
#include "config/config.h"
#include "expand.h"
#include "message.h"
#include "receive.h"
#include "session.h"
#include "smtp_in.h"

struct exim;

enum {
    SMTP_IN_SIZE = 32 * 1024,
    SMTP_COMMAND_MAX = 16 * 1024, /* as Exim's command buffer */
    SMTP_OUT_FLUSH = 8 * 1024,
    SMTP_HISTORY = 20 /* commands shown by C= */
};

enum smtp_chunking { SMTP_CHUNK_NONE, SMTP_CHUNK_OPEN, SMTP_CHUNK_FAILED };

struct smtp_state {
    struct session *s;
    struct exim *e;
    const struct main_options *o;
    const struct smtp_peer *peer;
    const struct receive_options *receive;
    int in_fd, out_fd;
    long timeout; /* seconds; 0: none */
    long read_timeout; /* of the socket, plus 1; 0: not set yet; -1: it is no socket */

    char *in; /* in_size bytes: first, later SMTP_IN_SIZE of them; in[at..len) is unread */
    size_t in_size, at, len;
    char first[512]; /* many clients never say more than one command, or none for a long time */
    enum { SMTP_IN_OK, SMTP_IN_EOF, SMTP_IN_TIMEOUT, SMTP_IN_TERM } input;
    int input_errno;
    struct buf out;
    bool out_failed;

    unsigned synprot_errors, unknown_commands, nonmail_commands;
    enum { SMTP_NONMAIL_UNKNOWN, SMTP_NONMAIL_COUNTS, SMTP_NONMAIL_FREE } nonmail;
    unsigned mails, messages; /* MAIL commands accepted, messages taken in */
    uint8_t history[SMTP_HISTORY];
    unsigned history_count;

    const char *command;  /* the line, for logs; valid until the next is read */
    const char *argument; /* what follows the verb and white space */
    bool overlong;        /* the line just read was cut: not a command */
    unsigned long line;   /* -bS */
    unsigned long transaction_line;
    bool mail_done;           /* a MAIL command gave the sender of s->message */
    bool mail_discarded;      /* by the MAIL ACL */
    const char *discarded_by; /* "MAIL" or "RCPT": no recipient left */
    bool too_many_recipients, done, was_rejected;
    int64_t announced_size;
    enum smtp_chunking chunking;
    size_t chunk_left, chunk_size, chunk_total;
    bool chunk_last, chunk_replied;
    bool chunk_quit, chunk_quit_failed; /* a command other than BDAT ended the message */
    const char *chunk_pending;          /* RSET or QUIT that did so */
    int status;
    const struct authenticator *authenticator;
    unsigned free_once; /* enum smtp_once: not counted as nonmail once more */
    const char
        *rcpt_refusal; /* the text that all refused RCPTs of this transaction got */
    bool rcpt_refusals_differ;
    bool in_rcpt, rcpt_answered; /* now; its refusal is noted */
    bool after_rcpt;             /* the command before this one was RCPT */
    bool mail_refused, after_refused_mail; /* nothing but RCPTs came in between */
    long mail_limit; /* smtp_accept_max_per_connection, expanded; -1 not yet */
    long size_limit; /* message_size_limit, expanded for this session */
    double mail_delay, rcpt_delay; /* smtp_ratelimit_*: ms, grow with each command */
    bool is_ratelimited, ratelimit_known;
    bool protocol_given; /* -oMr */
    bool connection_unlogged; /* in hosts_connection_nolog */
};

enum smtp_once {
    SMTP_ONCE_HELO = 1,
    SMTP_ONCE_AUTH = 2,
    SMTP_ONCE_TLS = 4,
    SMTP_ONCE_RSET = 8
};

/* input.c */
void smtp_input_grow(struct smtp_state *st); /* to the full buffer, if it is not that already */
bool smtp_input_fill(struct smtp_state *st); /* waits for bytes; false: see st->input */
char *smtp_input_line(
    struct smtp_state *st); /* NUL-terminated, without line end; NULL: see st->input */
bool smtp_input_waiting(struct smtp_state *st); /* unread bytes here or in the kernel */
void smtp_input_swallow(struct smtp_state *st, size_t n); /* reads and drops */
int64_t smtp_deadline(const struct smtp_state *st);

/* reply.c: texts without CRLF, beginning with the code */
void smtp_reply(struct smtp_state *st, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Several lines of text, each with the code ("250") and the enhanced code ("5.7.1") or
 * NULL. */
void smtp_reply_lines(struct smtp_state *st, const char *code, const char *extended,
                      const char *text);
bool smtp_flush(struct smtp_state *st);
/* Takes "xyz x.y.z text" apart; a code of another class than dflt's is logged and
 * dropped. */
const char *smtp_reply_code(struct smtp_state *st, const char *dflt, const char *text,
                            const char **extended, const char **rest);
/* For verdicts that accept with a message: dflt is used when there is none. */
void smtp_reply_accept(struct smtp_state *st, const char *code,
                       const struct acl_verdict *v, const char *dflt);
/* A refusal: logged, answered (unless log_only); sets st->done for drop. what: "RCPT
 * <a@b>" */
void smtp_reply_refused(struct smtp_state *st, enum acl_where where,
                        const struct acl_verdict *v, const char *what);

/* The text of a refused RCPT, for a DATA that finds no recipients. Once a command. */
void smtp_reply_note_rcpt(struct smtp_state *st, const char *text);

/* log.c */
void smtp_log(struct smtp_state *st, unsigned dest, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
const char *smtp_log_host(struct smtp_state *st);       /* "H=... I=... U=..." */
const char *smtp_log_connection(struct smtp_state *st); /* "SMTP connection from ..." */
void smtp_log_no_mail(struct smtp_state *st);
void smtp_log_incomplete(struct smtp_state *st, const char *what);
const char *
smtp_log_tls(struct session *s); /* " X=.. CV=.. DN=.. SNI=.." by selectors, or "" */
const char *smtp_log_auth(struct session *s); /* " A=driver:id", or "" */
bool smtp_log_wants(const struct smtp_state *st, int bit);
const char *smtp_log_duration(struct smtp_state *st); /* "D=0.002s" */

/* errors.c */
enum smtp_error { SMTP_SYNTAX, SMTP_PROTOCOL };
/* "501 text", logged by selector, counted. */
void smtp_error(struct smtp_state *st, enum smtp_error kind, int code, const char *text);
/* The reply begins with what was wrong: "501 <a b>: text". */
void smtp_error_in(struct smtp_state *st, const char *subject, const char *text);
void smtp_error_syntax_limit(
    struct smtp_state *st); /* counts one that was answered by the caller */
void smtp_error_unknown(struct smtp_state *st);
void smtp_error_timeout(struct smtp_state *st);
void smtp_error_lost(struct smtp_state *st);
void smtp_error_sync(struct smtp_state *st);
void smtp_error_batch(struct smtp_state *st, const char *reply); /* -bS: ends the run */

/* session (smtp_in.c) */
void smtp_context(struct smtp_state *st, struct expand_ctx *ctx);
bool smtp_host_in(struct smtp_state *st, const struct match_list *l, const char *option);
struct acl_verdict smtp_acl(struct smtp_state *st, enum acl_where where,
                            const struct expr *option);
/* The session ends other than by QUIT: runs that ACL once, answers "code host text"
 * unless code is NULL. */
void smtp_notquit(struct smtp_state *st, const char *reason, const char *code,
                  const char *text);

/* connect.c */
bool smtp_connect(
    struct smtp_state *st); /* tests of the host, ACL, banner; false: over */

/* verbs.c */
void smtp_verbs_serve(struct smtp_state *st);
void smtp_reset(struct smtp_state *st,
                const char *reason); /* ends a transaction; logs when incomplete */
const char *smtp_verb_name(unsigned index);

/* misc.c: VRFY, EXPN, ETRN: no ACL means no; answered on false */
bool smtp_acl_allows(struct smtp_state *st, enum acl_where where, const struct expr *acl,
                     const char *what);

/* One file or two a command */
void smtp_cmd_helo(struct smtp_state *st);
void smtp_cmd_ehlo(struct smtp_state *st);
void smtp_cmd_mail(struct smtp_state *st);
void smtp_cmd_rcpt(struct smtp_state *st);
void smtp_cmd_data(struct smtp_state *st);
void smtp_cmd_bdat(struct smtp_state *st);
void smtp_cmd_rset(struct smtp_state *st);
void smtp_cmd_noop(struct smtp_state *st);
void smtp_cmd_quit(struct smtp_state *st);
void smtp_cmd_help(struct smtp_state *st);
void smtp_cmd_vrfy(struct smtp_state *st);
void smtp_cmd_expn(struct smtp_state *st);
void smtp_cmd_etrn(struct smtp_state *st);
void smtp_cmd_starttls(struct smtp_state *st);
void smtp_cmd_auth(struct smtp_state *st);

/* helo.c */
void smtp_set_protocol(struct smtp_state *st); /* after HELO, AUTH, STARTTLS */

/* tls.c */
bool smtp_tls_on_connect(struct smtp_state *st);
/* auth.c: " PLAIN LOGIN" for EHLO; "" when none is offered */
const char *smtp_auth_list(struct smtp_state *st);
void smtp_auth_by_tls(
    struct smtp_state *st); /* authenticators that look at the certificate only */

/* params.c: splits "addr KEY=value KEY" from the right */
struct smtp_param {
    const char *name; /* upper case */
    bool wants_value;
    bool (*offered)(
        const struct smtp_state *st); /* NULL: always (in an extended session) */
    /* NULL, or the text after "501 "; "555 ..." with its own code. r: the recipient, NULL
     * in MAIL */
    const char *(*run)(struct smtp_state *st, struct recipient *r, const char *value);
};
/* Runs the parameters of text, cuts them off; an unknown one and all before it stay.
 * False: replied. */
bool smtp_params_run(struct smtp_state *st, const struct smtp_param *rows, size_t n,
                     struct recipient *r, char *text);

#endif
