/* acl_int.h - insides of the ACL engine: compiled statements, the rows of words, one run.
 *
 * A statement is a verb and a list of conditions and modifiers, in order. Each word is a row of a sorted
 * const table that says where it may be used, how its argument is compiled and what it does. */
#ifndef EXIM_ACL_INT_H
#define EXIM_ACL_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "acl.h"
#include "expand.h"
#include "verify.h"

enum { ACL_LEVEL_MAX = 20 };

/* ---- compiled ---- */

/* Order of what conditions say. */
enum acl_result {
    COND_TRUE, COND_FALSE,
    COND_DROP,    /* false, because a nested ACL said drop */
    COND_DISCARD, /* a nested ACL said discard */
    COND_DEFER, COND_ERROR,
};

struct acl_run;
struct acl_item;

enum acl_argument {
    ARG_NONE,    /* endpass */
    ARG_TEXT,    /* expanded when the statement ends, or not at all: message, log_message */
    ARG_EXPAND,  /* expanded, then given to run */
    ARG_DOMAINS, ARG_HOSTS, ARG_ADDRESSES, ARG_LOCAL_PARTS, ARG_STRINGS, /* lists */
    ARG_ACL,     /* name and arguments, expanded apart */
};

struct acl_row {
    const char *name;
    bool modifier;           /* cannot be negated */
    enum acl_argument argument;
    unsigned forbidden;      /* bits 1 << enum acl_where */
    /* arg: the expanded text (ARG_EXPAND), else NULL. NULL run: not built. */
    enum acl_result (*run)(struct acl_run *r, const struct acl_item *c, const char *arg);
    /* Looks at a constant argument while the configuration is read; optional. */
    bool (*check)(struct arena *a, const char *arg, struct err *err);
};

struct acl_item {
    const struct acl_item *next;
    const struct acl_row *row;
    bool negated;
    const char *text;               /* as written */
    const struct expr *expr;
    const struct match_list *list;
    const struct expr *const *words; /* ARG_ACL: name and arguments */
    int nwords;
    const char *variable;           /* set: "acl_c_x" */
};

enum acl_verb { VERB_ACCEPT, VERB_DEFER, VERB_DENY, VERB_DISCARD, VERB_DROP, VERB_REQUIRE, VERB_WARN, VERB_NONE };

struct acl_statement {
    const struct acl_statement *next;
    enum acl_verb verb;
    const struct acl_item *items;
};

struct acl {
    const char *name;
    const struct acl_statement *statements;
};

/* ---- one run of one ACL ---- */

struct acl_run {
    struct expand_ctx *ctx;
    enum acl_where where;
    const struct acl *acl;
    enum acl_verb verb;
    const char *user_message, *log_message; /* by conditions of the current statement */
    const char *sender_address;             /* see struct acl_verdict */
    const struct verify_result *sender_verified;
    unsigned log_reject_target;
    bool drop;
};

/* A mask from places: ALLOWED(...) in rows is everything else. */
#define AT(w)      (1u << ACL_WHERE_##w)
#define ONLY(mask) (~(unsigned)(mask))
#define AT_NONSMTP (AT(NOTSMTP) | AT(NOTSMTP_START))
#define AT_MESSAGE (AT(MAIL) | AT(RCPT) | AT(PREDATA) | AT(DATA) | AT(MIME))

/* Words err into the run and says so. */
enum acl_result acl_run_error(struct acl_run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum acl_result acl_run_defer(struct acl_run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A line to the main log (or others) with the message's id. */
void acl_run_log(struct acl_run *r, unsigned dest, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* False: this was said before about the message (the session while there is none). */
bool acl_run_first(struct expand_ctx *ctx, const char *text);
/* From a list test. */
enum acl_result acl_run_matched(struct acl_run *r, enum rc rc);

/* ---- parse.c ---- */
struct acl *acl_parse_text(struct arena *a, const char *name, const char *text, struct err *err);
const char *acl_parse_verb_name(enum acl_verb v);

/* ---- words.c ---- */
const struct acl_row *acl_words_find(const char *name);
/* NULL, or what to say about a word of Exim that is not built here. */
const char *acl_words_unbuilt(const char *name);

/* ---- run.c ---- */
struct acl_verdict acl_run_acl(struct expand_ctx *ctx, enum acl_where where, const struct acl *acl);
/* The ACL that text names, or that it is; NULL with err. */
const struct acl *acl_find(struct expand_ctx *ctx, const char *text, struct err *err);
struct acl_verdict acl_run_named(struct expand_ctx *ctx, enum acl_where where, const char *text,
                                 const char *const *args, int narg);

/* ---- what the words do ---- */
#define ACL_RUN(name) enum acl_result name(struct acl_run *r, const struct acl_item *c, const char *arg)
#define ACL_CHECK(name) bool name(struct arena *a, const char *arg, struct err *err)
ACL_RUN(acl_condition_acl);
ACL_RUN(acl_condition_authenticated);
ACL_RUN(acl_condition_condition);
ACL_RUN(acl_condition_domains);
ACL_RUN(acl_condition_encrypted);
ACL_RUN(acl_condition_hosts);
ACL_RUN(acl_condition_local_parts);
ACL_RUN(acl_condition_recipients);
ACL_RUN(acl_condition_sender_domains);
ACL_RUN(acl_condition_senders);
ACL_RUN(acl_control);
ACL_CHECK(acl_control_check);
ACL_RUN(acl_dnslists);
ACL_RUN(acl_headers_add);
ACL_RUN(acl_headers_remove);
ACL_RUN(acl_modifier_continue);
ACL_RUN(acl_modifier_delay);
ACL_CHECK(acl_modifier_delay_check);
ACL_RUN(acl_modifier_log_reject_target);
ACL_RUN(acl_modifier_logwrite);
ACL_RUN(acl_modifier_set);
ACL_RUN(acl_modifier_udpsend);
ACL_RUN(acl_ratelimit);
ACL_CHECK(acl_ratelimit_check);
ACL_RUN(acl_verify);
ACL_CHECK(acl_verify_check);

/* "message" of a warn statement: add_header if the place allows it. */
void acl_headers_warn(struct acl_run *r, const char *text);
bool acl_headers_allowed(enum acl_where where);

#endif
