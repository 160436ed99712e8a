/* bm_dsn.h - what --dsn-ret, --dsn-envid and --dsn-notify make of a message submitted locally. */
#ifndef EXIM_CMD_BM_DSN_H
#define EXIM_CMD_BM_DSN_H

#include <stdbool.h>

struct cmd_line;
struct message;

#ifdef EXPERIMENTAL_DSN
/* False: *why says what is wrong with one of them. */
bool bm_dsn_set(const struct cmd_line *c, struct message *m, const char **why);
#else
static inline bool bm_dsn_set(const struct cmd_line *c, struct message *m, const char **why)
{
    (void)c;
    (void)m;
    (void)why;
    return true;
}
#endif

#endif
