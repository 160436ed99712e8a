/* search.h - lookups: the driver interface, partial matching, open files and cached answers.
 *
 * "type", "type,options", "partial-type*@" as in the manual chapter 9. */
#ifndef EXIM_SEARCH_H
#define EXIM_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct arena;
struct expand_ctx;
struct exim;

struct lookup_call {
    struct exim *exim;
    struct arena *arena;  /* results live here */
    void *handle;         /* from open */
    const char *filename; /* single-key; NULL for query style */
    const char *key;      /* key or query */
    const char *options;  /* after the comma of the type, or NULL */
    const char *result;   /* out on RC_OK */
    bool nocache;         /* out: do not keep the answer */
    struct err err;       /* out on RC_DEFER */
    struct expand_ctx *ctx; /* for lookups that expand or match; may be NULL */
};

enum { LOOKUP_ABSFILE = 1 << 0 /* needs an absolute file name */, LOOKUP_QUERY = 1 << 1,
       LOOKUP_ABSFILEQUERY = 1 << 2 /* query begins with a file name (sqlite) */ };

struct lookup_driver {
    const char *name;
    unsigned flags;
    /* Opens call->filename (single-key): handle, closed by close(). NULL with err: defer. */
    void *(*open)(struct lookup_call *call);
    bool (*check)(const struct lookup_call *call, long modemask, const void *owners); /* optional */
    enum rc (*find)(struct lookup_call *call); /* RC_OK, RC_FAIL (no data), RC_DEFER */
    void (*close)(void *handle);               /* optional */
    void (*tidy)(struct exim *exim);           /* optional: drop cached connections */
    char *(*quote)(struct arena *a, const char *s, const char *opt); /* optional: ${quote_xxx: */
};

/* A parsed type: "partial3(affix)lsearch*@,ret=full". */
struct search_type {
    const struct lookup_driver *driver;
    int partial; /* -1 none, else minimum components */
    const char *affix;
    enum { STAR_NONE, STAR_PLAIN, STAR_AT } star;
    const char *options;
};
bool search_type_parse(struct arena *a, const char *text, struct search_type *out, struct err *err) MUST_USE;

struct search *search_new(struct exim *exim);
void search_tidy(struct search *s); /* close files, forget answers: end of a message or connection */
/* RC_OK: call.result. captures ($1,$2 of partial and wild matches) through *wild,*nonwild if not NULL. */
enum rc search_find(struct expand_ctx *ctx, const struct search_type *type, const char *filename,
                    const char *key, const char **result, const char *captured[2]) MUST_USE;
/* A pointer that a driver keeps as long as the process (indexes, connections); NULL at first. */
void **search_slot(struct search *s, const char *driver);

const struct lookup_driver *lookup_driver_find(const char *name); /* drtables.c */
const struct lookup_driver *const *lookup_drivers(size_t *count);

#endif
