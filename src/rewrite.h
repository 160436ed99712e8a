/* rewrite.h - address rewriting (manual chapter 31). */
#ifndef EXIM_REWRITE_H
#define EXIM_REWRITE_H

#include <stdbool.h>

#include "base/err.h"
#include "config/value.h"

struct arena;
struct config;
struct expand_ctx;
struct message;

enum rewrite_flag {
    REWRITE_SENDER = 1 << 0 /* s: From: header is f; see manual letters */,
    REWRITE_FROM = 1 << 1 /* f */, REWRITE_TO = 1 << 2 /* t */, REWRITE_CC = 1 << 3 /* c */,
    REWRITE_BCC = 1 << 4 /* b */, REWRITE_REPLY_TO = 1 << 5 /* r */, REWRITE_SENDER_HDR = 1 << 6 /* s */,
    REWRITE_ENV_FROM = 1 << 7 /* F */, REWRITE_ENV_TO = 1 << 8 /* T */, REWRITE_SMTP = 1 << 9 /* S */,
    REWRITE_WHOLE = 1 << 10 /* w */, REWRITE_QUIT = 1 << 11 /* q */, REWRITE_REPEAT = 1 << 12 /* R */,
    REWRITE_QUALIFY = 1 << 13 /* Q */,
    REWRITE_ALL_HEADERS = REWRITE_FROM | REWRITE_TO | REWRITE_CC | REWRITE_BCC | REWRITE_REPLY_TO | REWRITE_SENDER_HDR,
    REWRITE_ALL_PLACES = REWRITE_ALL_HEADERS | REWRITE_ENV_FROM | REWRITE_ENV_TO | REWRITE_SMTP,
};

struct rewrite_rule {
    const struct rewrite_rule *next; /* stays the first member: readconf links them */
    const struct match_list *pattern; /* address list of one item; regex for S */
    const struct expr *replacement;
    unsigned flags;
    const char *text; /* pattern as written, for -brw */
};

/* A line of the rewrite section (or headers_rewrite item); err on a bad one. */
struct rewrite_rule *rewrite_rule_parse(struct arena *a, const char *line, const struct config *cfg,
                                        struct err *err);
/* The address after all rules for `which`; the same pointer when nothing applies. */
const char *rewrite_address(struct expand_ctx *ctx, const struct rewrite_rule *rules,
                            const char *address, unsigned which, bool *whole);
/* Rewrites and qualifies every address of the message's address headers. */
void rewrite_headers(struct expand_ctx *ctx, const struct rewrite_rule *rules, struct message *m);

#endif
