/* expand_int.h - insides of the expansion engine: the program, and who makes and runs it.
 *
 * Text is compiled once into lists of nodes; each node's eval yields a string that lives in
 * ctx->arena, in the program, or in what the context points to. What is not chosen (the other string
 * of ${if) is never evaluated. Items, operators, conditions and variables are rows of const sorted
 * tables, one file a family of handlers. */
#ifndef EXIM_EXPAND_INT_H
#define EXIM_EXPAND_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "expand.h"
#include "expand/variables.h"

struct regex;

enum {
    COMPILE_DEPTH_MAX = 300,
    EXPAND_DEPTH_MAX = 600,
    EXPAND_RESULT_MAX = 64 * 1024 * 1024,
    ITEM_ARG_MAX = 10,
};

struct expr_node {
    const struct expr_node *next;
    enum expand_rc (*eval)(struct expand_ctx *ctx, const struct expr_node *n, const char **out);
};

/* ---- running (eval.c) ---- */

/* The values of a list of nodes, joined. NULL: "". */
enum expand_rc eval_nodes(struct expand_ctx *ctx, const struct expr_node *n, const char **out);
/* Word ctx->err; return EXPAND_FAIL, EXPAND_FORCED. */
enum expand_rc eval_fail(struct expand_ctx *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum expand_rc eval_forced(struct expand_ctx *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Adds where it happened to the message of a failure; returns rc. */
enum expand_rc eval_more(struct expand_ctx *ctx, enum expand_rc rc, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Refuses what a filter must not do. */
bool eval_permitted(struct expand_ctx *ctx, unsigned what, const char *refusal);
/* The text of b as a result; fails when it passed its ceiling. */
enum expand_rc eval_buf(struct expand_ctx *ctx, struct buf *b, const char **out);
enum expand_rc eval_number(struct expand_ctx *ctx, int64_t v, const char **out);
/* An Exim integer: decimal, optional sign, K M G, spaces around. Empty: 0. */
enum expand_rc eval_integer(struct expand_ctx *ctx, const char *s, int64_t *out);

/* What an item or condition sets for a while and puts back. */
struct eval_saved {
    struct captures captures;
    const char *value, *item;
};
void eval_save(const struct expand_ctx *ctx, struct eval_saved *s);
void eval_restore(struct expand_ctx *ctx, const struct eval_saved *s);

/* ---- compiling (compile.c) ---- */

struct compiler {
    struct arena *a;
    const char *p; /* next byte of the text */
    struct err *err;
    int depth;
    bool malformed_header; /* a header name swallowed a '}': hint for messages */
};
enum compile_until { UNTIL_END, UNTIL_BRACE };
/* Up to the end or the next '}' that is not escaped (not consumed). literal: '$' is nothing special,
 * as in the lists of match_domain. */
bool compile_text(struct compiler *c, enum compile_until until, bool literal,
                  const struct expr_node **out) MUST_USE;
/* Words the error, returns false. */
bool compile_fail(struct compiler *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Adds where it happened to the error; returns false. */
bool compile_more(struct compiler *c, const char *where);
bool compile_misplaced(struct compiler *c); /* missing or misplaced { or } */
void compile_skip_space(struct compiler *c);
/* "{text}" with the '{' next. */
bool compile_braced(struct compiler *c, bool literal, const struct expr_node **out) MUST_USE;
/* The same, or: missing '{' for <what> of <item>. */
bool compile_arg(struct compiler *c, const char *what, const char *item,
                 const struct expr_node **out) MUST_USE;
/* '}', or: missing } at end of "<item>". */
bool compile_close(struct compiler *c, const char *item) MUST_USE;
/* Letters, digits, underscores and what is in `more`. */
const char *compile_name(struct compiler *c, const char *more);
/* A header name after h_ and the like, with its ':'. */
const char *compile_header_name(struct compiler *c);
/* "h_", "rheader_" ... at the start of name: its length, and the form. 0: none. */
size_t compile_header_prefix(const char *name, enum header_want *want);
/* A node of constant text. */
struct expr_node *compile_literal(struct arena *a, const char *text, size_t len);
/* The value of nodes that are constant text, else NULL. */
const char *compile_constant(const struct expr_node *n);

/* ---- yes and no strings of items (branches.c) ---- */

struct branches {
    const char *item;
    bool given; /* a yes string is there */
    bool fail;  /* the word fail stands for the no string */
    const struct expr_node *yes, *no;
};
/* From after the arguments up to and with the '}' of the item. */
bool branches_compile(struct compiler *c, const char *item, struct branches *out) MUST_USE;
/* dflt: the result of success when no strings are given. */
enum expand_rc branches_eval(struct expand_ctx *ctx, const struct branches *b, bool success,
                             const char *dflt, const char **out);

/* The same for a value that was found or not (NULL): $value in the yes string, the result without. */
enum expand_rc branches_value(struct expand_ctx *ctx, const struct branches *b, const char *value,
                              const char **out);

/* ---- items (items.c) ---- */

struct item_node;
struct item {
    const char *name;
    int min, max; /* arguments, when parse is NULL */
    bool (*parse)(struct compiler *c, struct item_node *n); /* from after the name, to after the '}' */
    enum expand_rc (*eval)(struct expand_ctx *ctx, const struct item_node *n, const char **out);
};
struct item_node {
    struct expr_node node;
    const struct item *item;
    int narg;
    const struct expr_node *arg[ITEM_ARG_MAX];
    struct branches branches;
    const void *extra; /* the item's own */
};
const struct item *item_find(const char *name);
struct expr_node *item_compile(struct compiler *c, const struct item *item); /* NULL: c->err */
/* Values of all arguments; those not given are NULL. */
enum expand_rc item_args(struct expand_ctx *ctx, const struct item_node *n, const char *v[ITEM_ARG_MAX]);
extern const struct item item_table[];
extern const size_t item_count;

/* ---- operators (operators.c) ---- */

struct operator_node;
struct operator {
    const char *name;
    enum expand_rc (*eval)(struct expand_ctx *ctx, const struct operator_node *n, const char *in,
                           const char **out);
    /* Optional: looks at the suffix when the text is compiled. */
    bool (*check)(struct compiler *c, struct operator_node *n);
};
struct operator_node {
    struct expr_node node;
    const struct operator *op;
    const char *name;                     /* as written: "substr_1_2" */
    const char *suffix;                   /* after the underscore; or NULL */
    long n1, n2;                          /* numbers of hash_, substr_ ... */
    bool has_n2;
    const struct expr_node *operand;
    const struct variable *cert;          /* the operand is just this certificate */
    const void *extra;
};
/* name: "lc" or "substr_1_2"; the operand is next, up to and with the '}'. NULL: c->err. */
struct expr_node *operator_compile(struct compiler *c, const char *name);
extern const struct operator operator_table[];
extern const size_t operator_count;

/* ---- conditions (conditions.c) ---- */

struct cond_node;
struct condition {
    const char *name;
    int narg;                                               /* braced arguments, when parse is NULL */
    bool (*parse)(struct compiler *c, struct cond_node *n); /* from after the name */
    enum expand_rc (*eval)(struct expand_ctx *ctx, const struct cond_node *n, bool *out);
};
struct cond_node {
    const struct condition *cond;
    bool negate;
    int narg;
    const struct expr_node *arg[ITEM_ARG_MAX];
    const struct cond_node *sub, *next; /* and, or, forany ... */
    const void *extra;                  /* the condition's own */
};
bool condition_compile(struct compiler *c, const struct cond_node **out) MUST_USE;
enum expand_rc condition_eval(struct expand_ctx *ctx, const struct cond_node *n, bool *out);
enum expand_rc condition_args(struct expand_ctx *ctx, const struct cond_node *n,
                              const char *v[ITEM_ARG_MAX]);
extern const struct condition condition_table[];
extern const size_t condition_count;

/* ---- regular expressions in arguments (regex_arg.c) ---- */

/* What a parse function keeps for an argument that is a pattern: NULL on a bad constant one. */
const void *regex_arg_compile(struct compiler *c, const struct expr_node *pattern);
/* The compiled pattern; NULL with ctx->err. */
const struct regex *regex_arg_get(struct expand_ctx *ctx, const void *kept, const char *pattern);

#endif
