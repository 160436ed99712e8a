/* value.h - what an option holds once read: compiled expressions and lists.
 *
 * The insides of the programs belong to expand/ and match; the reader makes them through
 * struct hooks, everyone else evaluates them with expand.h and match.h. Text is kept for -bP. */
#ifndef EXIM_CONFIG_VALUE_H
#define EXIM_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>

struct expr_node;
struct match_program;

/* A string that is expanded when used. A constant one costs nothing. */
struct expr {
    const char *text;               /* as written */
    const char *constant;           /* the value when no expansion is needed, else NULL */
    const struct expr_node *program;
};

enum list_kind { LIST_DOMAIN, LIST_HOST, LIST_ADDRESS, LIST_LOCAL_PART };

/* A domain, host, address or local part list; parsed when constant, else expanded per use. */
struct match_list {
    const char *text;
    enum list_kind kind;
    const struct expr *expr;             /* NULL when constant */
    const struct match_program *program; /* NULL unless constant */
};

/* +name: domainlist, hostlist, addresslist, localpartlist definitions. */
struct named_list {
    const char *name;
    const struct match_list *list;
    bool hide;
    bool cache;      /* domainlist_cache and the like: remembered though it is expanded */
    unsigned number; /* 0.. within its kind: index of per-message cache bits */
};

/* One line of a cumulative option: condition=, headers_add=, headers_remove=, or set= (then name is
 * the variable, "r_xxx"). */
struct router_text {
    const struct router_text *next;
    const char *name;
    const struct expr *value;
};

struct time_list { /* delay_warning */
    unsigned count;
    const long *seconds;
};

#endif
