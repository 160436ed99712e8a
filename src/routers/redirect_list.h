/* redirect_list.h - the items of a redirection list that is not a filter (manual 22.3-22.6).
 *
 * Pure but for the arena: files named by :include: are read by the caller's function. */
#ifndef EXIM_ROUTER_REDIRECT_LIST_H
#define EXIM_ROUTER_REDIRECT_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct arena;

enum redirect_kind { REDIRECT_ADDRESS, REDIRECT_PIPE, REDIRECT_FILE };
struct redirect_item {
    struct redirect_item *next;
    enum redirect_kind kind;
    const char *text;      /* address as parsed (may lack a domain), "|command", "/path" */
    bool backslash;        /* \name: qualified with the incoming domain */
};
struct redirect_error { /* skipped because of skip_syntax_errors */
    struct redirect_error *next;
    const char *message;   /* with the text at fault */
};

enum redirect_outcome {
    REDIRECT_ITEMS,     /* items, maybe none */
    REDIRECT_BLACKHOLE, /* :blackhole: was among them */
    REDIRECT_FAIL, REDIRECT_DEFER, REDIRECT_UNKNOWN, /* :fail: :defer: (text) :unknown: */
    REDIRECT_ERROR,     /* text is worded for "error in redirect data: ..." */
};

struct redirect_rules {
    bool allow_defer, allow_fail, forbid_blackhole, forbid_include, skip_syntax_errors;
    bool allow_domain_literals, allow_utf8;
    const char *include_directory;
    /* Text of an included file; NULL: *why is worded. */
    const char *(*include)(void *arg, const char *path, const char **why);
    void *arg;
};

struct redirect_list {
    struct redirect_item *items; /* in order */
    struct redirect_error *errors;
    const char *text;
};
enum redirect_outcome redirect_list_parse(struct arena *a, const char *text, const struct redirect_rules *rules,
                                          struct redirect_list *out);

#endif
