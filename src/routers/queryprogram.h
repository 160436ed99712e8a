/* queryprogram.h - asks a command where an address goes (manual chapter 21). */
#ifndef EXIM_ROUTER_QUERYPROGRAM_H
#define EXIM_ROUTER_QUERYPROGRAM_H

#include "routers/router.h"

struct arena;

extern const struct router_driver router_queryprogram;

/* The answer, taken apart; pure, for tests. */
struct queryprogram_answer {
    const char *word, *rest;                           /* first word, and what follows it */
    const char *transport, *hosts, *lookup, *data;     /* ACCEPT: NULL when not given */
};
void queryprogram_parse(struct arena *a, const char *line, struct queryprogram_answer *out);

#endif
