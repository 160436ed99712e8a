/* capture.h - runs a command and takes what it writes: queryprogram here, and in an agent. */
#ifndef EXIM_TRANSPORT_CAPTURE_H
#define EXIM_TRANSPORT_CAPTURE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct arena;

struct capture_command {
    char *const *argv;  /* argv[0]: absolute path */
    const char *cwd;    /* NULL: as it is */
    long timeout;       /* seconds; 0: none */
};
enum { CAPTURE_OUTPUT_MAX = 64 * 1024 };
/* Standard input is empty, output beyond the maximum is dropped. False with err: it could not run,
 * timed out (sys_errno ETIMEDOUT; the process group is killed), failed or was killed. */
bool capture_run(struct arena *a, const struct capture_command *c, struct str *output, struct err *err) MUST_USE;

#endif
