/* submission.h - local submission by ordinary users where exim is not set-uid.
 *
 * The user's process (submission_run) connects to the daemon's socket (submission_socket), sends what its
 * command line said as one record with two sockets beside it, and pumps its standard input and output.
 * A process of the daemon (submission_serve) runs the mode as if the user had called it, with those sockets
 * as standard input, output and error. It believes nothing but SO_PEERCRED.
 *
 * The end of the input counts only when the user's process has confirmed it: one that was killed leaves no
 * half of a message behind. */
#ifndef EXIM_CMD_SUBMISSION_H
#define EXIM_CMD_SUBMISSION_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/str.h"

struct arena;
struct buf;
struct cmd_line;
struct exim;

enum { SUBMISSION_MAX = 128 * 1024 /* of a request */ };

/* Has this process no rights to the spool, and is there a socket to try? */
bool submission_wanted(const struct exim *e, const struct cmd_line *c);
int submission_run(struct exim *e, const struct cmd_line *c); /* exit status */

/* In the daemon, as the Exim user: serves the caller at the other end of control. */
void submission_serve(struct exim *e, int control, uid_t uid, gid_t gid) NORETURN;
void submission_refuse(int control, const char *why);

/* The record, for both sides and their test. Modes, flags and strings of the command line; rights and
 * settings of the reader's side are not in it. */
void submission_encode(struct buf *out, const struct cmd_line *c);
bool submission_decode(struct arena *a, struct str packet, struct cmd_line *out) MUST_USE;

#endif
