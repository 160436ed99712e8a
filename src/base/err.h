/* err.h - why something did not work: filled in by the callee, worded once. */
#ifndef EXIM_ERR_H
#define EXIM_ERR_H

#include <stdbool.h>

#include "base/attr.h"

struct arena;

/* The outcome of anything that can be tried again later. */
enum rc {
    RC_OK,
    RC_DECLINE, /* not mine: let the next one try */
    RC_FAIL,    /* permanent: the answer is no */
    RC_DEFER,   /* temporary: ask again later */
};

struct err {
    const char *msg; /* in the caller's arena, or static; no newline */
    int sys_errno;   /* 0 when no system call was involved */
};

/* Words the error into a and returns false, so that a caller can `return err_set(...)`. */
bool err_set(struct err *e, struct arena *a, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same, with the text of errno (kept in sys_errno) after a colon. */
bool err_sys(struct err *e, struct arena *a, int sys_errno, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* A fault of ours: panic log if there is one, message to stderr, abort(). */
void bug(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;
/* The environment is unusable or memory is gone: message, exit(EXIT_FAILURE). */
void die(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;
/* Called with the text before bug() or die() ends the process; the log sets it. */
void err_on_death(void (*fn)(const char *text));

#endif
