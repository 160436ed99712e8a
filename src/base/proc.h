/* proc.h - the one place that forks, and signals as flags. */
#ifndef EXIM_PROC_H
#define EXIM_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <sys/types.h>

#include "base/attr.h"

/* fork(); in the child the title becomes "exim: purpose", signal handlers are reset and the
 * pseudo-random state is reseeded. purpose is shown by debug output. */
pid_t proc_fork(const char *purpose);
void proc_title_init(int argc, char **argv);               /* before anything else in main */
void proc_title(const char *fmt, ...) PRINTF_LIKE(1, 2);   /* what ps and exiwhat show */
const char *proc_title_get(void);

enum proc_exit_kind { PROC_EXITED, PROC_SIGNALLED, PROC_TIMED_OUT, PROC_ERROR };
struct proc_status {
    enum proc_exit_kind kind;
    int code; /* exit code, or signal number, or errno */
};
/* Waits for pid until deadline (monotonic ms, -1 none); on time-out kills the process group. */
struct proc_status proc_wait(pid_t pid, int64_t deadline_ms);

/* Flags set by handlers; the loop that waits looks at them. */
extern volatile sig_atomic_t proc_got_hup, proc_got_term, proc_got_alrm, proc_got_chld, proc_got_usr1;
void proc_catch(int sig);     /* set the flag of sig; without SA_RESTART */
void proc_default(int sig);
void proc_ignore(int sig);

/* argv[0] is an absolute path; runs it with the given environment; uid/gid are already right.
 * stdin/stdout are pipes returned in *in and *out (either may be NULL: /dev/null);
 * stderr joins stdout when join_stderr. Child is a process group leader. -1 with errno. */
struct proc_spawn {
    char *const *argv, *const *envp;
    const char *cwd;
    mode_t umask;
    bool join_stderr;
    int stdio; /* > 0: a socket (the caller's) for standard input and output; in and out are NULL then */
};
pid_t proc_spawn(const struct proc_spawn *s, int *in, int *out);

#endif
