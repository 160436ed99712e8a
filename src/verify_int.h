/* verify_int.h - the insides of verification. */
#ifndef EXIM_VERIFY_INT_H
#define EXIM_VERIFY_INT_H

#include "expand.h"
#include "route.h"
#include "verify.h"

struct address;

enum route_mode verify_mode(const struct verify_options *o);
/* The address with a domain; NULL with *r set when it may not lack one. */
struct address *verify_start(struct expand_ctx *ctx, const char *text, const struct verify_options *o,
                             struct verify_result *r);

/* ---- verify_callout.c ---- */
/* addr was routed to hosts: asks them. Sets r; RC_OK when they (or the cache) say yes. */
void verify_callout(struct expand_ctx *ctx, struct address *addr, const struct verify_options *o,
                    struct verify_result *r);

/* ---- verify_cache.c: the "callout" hints ---- */
enum cache_verdict { CACHE_UNKNOWN, CACHE_ACCEPT, CACHE_REJECT, CACHE_REJECT_MFNULL };
struct verify_cache {
    const char *domain, *address;      /* keys */
    enum cache_verdict domain_result, postmaster, random, address_result;
    bool domain_changed, address_changed;
    time_t postmaster_stamp, random_stamp;
};
/* What is known and not out of date; all unknown when there is nothing. */
void verify_cache_read(struct expand_ctx *ctx, struct verify_cache *c);
/* Keeps what has changed. */
void verify_cache_write(struct expand_ctx *ctx, const struct verify_cache *c);

#endif
