/* pump.h - talks to a command through two pipes at once: what it writes is taken while it is fed,
 * so neither side waits for the other for ever. */
#ifndef EXIM_TRANSPORT_PUMP_H
#define EXIM_TRANSPORT_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct arena;

struct pump {
    int in, out;             /* the command's ends as we hold them; -1: closed */
    int64_t deadline_ms;     /* monotonic; -1: none */
    long idle;               /* seconds without any progress; 0: no limit */
    /* Takes what the command wrote; false: give up, errno set. */
    bool (*output)(void *arg, const char *p, size_t n);
    void *arg;
    char *buf;
    int sys_errno;           /* why it failed; ETIMEDOUT after a time-out */
    bool timed_out, output_failed;
};
/* Makes both ends non-blocking. in, out from proc_spawn. */
void pump_init(struct pump *p, struct arena *a, int in, int out);
/* As struct transport_output's write. */
bool pump_feed(void *pump, const void *data, size_t n);
/* Ends the command's input, and takes the rest of its output: until end of file, or until the
 * process is gone (a child of it may keep the pipe open). */
bool pump_drain(struct pump *p, pid_t pid) MUST_USE;
void pump_close(struct pump *p);

#endif
