/* proxy_counts.h - what became of PROXY headers since the daemon was started.
 *
 * In memory that all processes of the daemon share, so that neither SIGHUP nor a new
 * acceptor loses it. */
#ifndef EXIM_DAEMON_PROXY_COUNTS_H
#define EXIM_DAEMON_PROXY_COUNTS_H

#include "proxy.h"

struct buf;
struct proxy_counts;

#ifdef EXPERIMENTAL_PROXY
/* NULL: no memory; nothing is counted then. */
struct proxy_counts *proxy_counts_new(void);
void proxy_counts_add(struct proxy_counts *c, const struct proxy_state *p);
void proxy_counts_add_over_limit(struct proxy_counts *c);
/* One line for each count, and all in one line. */
void proxy_counts_print(const struct proxy_counts *c, struct buf *out);
void proxy_counts_print_short(const struct proxy_counts *c, struct buf *out);
#else
static inline struct proxy_counts *proxy_counts_new(void)
{
    return (struct proxy_counts *)0;
}
static inline void proxy_counts_print(const struct proxy_counts *c, struct buf *out)
{
    (void)c;
    (void)out;
}
static inline void proxy_counts_print_short(const struct proxy_counts *c, struct buf *out)
{
    (void)c;
    (void)out;
}
#endif

#endif
