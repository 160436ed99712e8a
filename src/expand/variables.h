/* variables.h - $names as rows of one const sorted table, resolved against the context. */
#ifndef EXIM_EXPAND_VARIABLES_H
#define EXIM_EXPAND_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

#include "expand.h"

struct arena;
struct expr_node;
struct variable;

typedef enum expand_rc variable_getter(struct expand_ctx *ctx, const struct variable *v,
                                       const char *suffix, const char **out);
enum variable_kind {
    VAR_STRING, VAR_TEXT /* char [] */, VAR_INT, VAR_LONG, VAR_INT64, VAR_UINT32, VAR_SIZE,
    VAR_ID /* uid_t, gid_t */, VAR_FLAG /* bool: 0 1 */, VAR_YESNO /* bool: no yes */,
    VAR_CERT /* void *: X509 */, VAR_GETTER,
};
enum variable_scope {
    SCOPE_NONE, SCOPE_CTX, SCOPE_EXIM, SCOPE_CONFIG, SCOPE_SESSION, SCOPE_MESSAGE, SCOPE_ADDR,
    SCOPE_HOST, SCOPE_TLS_IN, SCOPE_TLS_OUT,
};
struct variable_place {
    enum variable_scope scope;
    size_t offset;
};
struct variable {
    const char *name;
    enum variable_kind kind;
    const char *dflt;            /* when there is no such object; NULL: "" */
    struct variable_place at[2]; /* the second when the first is not there (or its string is not set) */
    variable_getter *get;        /* VAR_GETTER */
    int which;                   /* for getters that serve several rows */
};

/* A row and, for names such as acl_m_foo, the part that varies. */
struct variable_ref {
    const struct variable *row;
    const char *suffix;
};
/* False: no such variable; *why may be more about it, " (...)". */
bool variable_find(struct arena *a, const char *name, struct variable_ref *out, const char **why);
enum expand_rc variable_eval(struct expand_ctx *ctx, const struct variable_ref *v, const char **out);
/* The X509 * of a certificate variable; NULL if there is none now. */
void *variable_cert(struct expand_ctx *ctx, const struct variable *v);
/* The row of a program that is one variable and nothing else, or NULL. */
const struct variable *compile_lone_variable(const struct expr_node *n);
extern const struct variable variable_table[];
extern const size_t variable_count;

/* $h_ and its kin. */
enum header_want { HEADER_WANT_DECODED, HEADER_WANT_BASE64_ONLY, HEADER_WANT_RAW, HEADER_WANT_LIST };
struct header_ref {
    const char *name;
    enum header_want want;
};
enum expand_rc variable_header(struct expand_ctx *ctx, const struct header_ref *h, const char **out);
bool variable_header_exists(const struct expand_ctx *ctx, const char *name);

#endif
