#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/debug.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/format.h"
#include "base/tod.h"
#include "os.h"

volatile sig_atomic_t proc_got_hup, proc_got_term, proc_got_alrm, proc_got_chld, proc_got_usr1;

/* What ps shows is the process's own argv and environment area, which we took over. The text is not empty
 * at first: so it lies with the few other things that every child writes to, on a page that it copies anyway. */
static struct {
    char *area;
    size_t room;
    char text[1024];
    bool caught[NSIG]; /* by proc_catch: a child starts without them */
} own = { .text = "exim" };

static void on_signal(int sig)
{
    switch (sig) {
    case SIGHUP:
        proc_got_hup = 1;
        break;
    case SIGTERM:
    case SIGINT:
        proc_got_term = 1;
        break;
    case SIGALRM:
        proc_got_alrm = 1;
        break;
    case SIGCHLD:
        proc_got_chld = 1;
        break;
    case SIGUSR1:
        proc_got_usr1 = 1;
        break;
    default:
        break;
    }
}

static void set_handler(int sig, void (*handler)(int))
{
    struct sigaction act = { .sa_handler = handler };

    (void)sigemptyset(&act.sa_mask);
    if (sigaction(sig, &act, NULL) < 0)
        bug("sigaction(%d): %s", sig, strerror(errno));
    own.caught[sig] = handler == on_signal;
}

void proc_catch(int sig)
{
    set_handler(sig, on_signal);
}

void proc_default(int sig)
{
    set_handler(sig, SIG_DFL);
}

void proc_ignore(int sig)
{
    set_handler(sig, SIG_IGN);
}

static char *own_copy(const char *s)
{
    char *copy = strdup(s);

    if (copy == NULL)
        die("out of memory at start");
    return copy;
}

/* The strings of argv and environ lie one after another: move them away, keep the area. */
void proc_title_init(int argc, char **argv)
{
    size_t vars = 0;

    if (argc == 0 || own.area != NULL)
        return;
    char *end = argv[0];
    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(argv[i]) + 1;
    for (; environ != NULL && environ[vars] != NULL; vars++)
        if (environ[vars] == end)
            end += strlen(end) + 1;

    char **copies = calloc(vars + 1, sizeof(*copies));
    if (copies == NULL)
        die("out of memory at start");
    for (size_t i = 0; i < vars; i++)
        copies[i] = own_copy(environ[i]);
    own.area = argv[0];
    own.room = (size_t)(end - argv[0]);
    environ = copies;
    program_invocation_name = own_copy(program_invocation_name);
    program_invocation_short_name = own_copy(program_invocation_short_name);
    for (int i = 0; i < argc; i++)
        argv[i] = own_copy(argv[i]);
}

void proc_title(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format_text(own.text, sizeof(own.text), fmt, ap);
    va_end(ap);
    if (own.room < 2)
        return;
    memset(own.area, 0, own.room);
    (void)format(own.area, own.room - 1, "exim: %s", own.text);
}

const char *proc_title_get(void)
{
    return own.text;
}

pid_t proc_fork(const char *purpose)
{
    if (__fpending(stdout) > 0)
        (void)fflush(stdout); /* or the child would write it once more */
    if (__fpending(stderr) > 0)
        (void)fflush(stderr);
    pid_t pid = os_fork();
    if (pid != 0) {
        DEBUG(D_EXEC)
            debug_printf("forked %d for %s\n", (int)pid, purpose);
        return pid;
    }
    for (int sig = 1; sig < NSIG; sig++)
        if (own.caught[sig])
            proc_default(sig);
    proc_got_hup = proc_got_term = proc_got_alrm = proc_got_chld = proc_got_usr1 = 0;
    proc_title("%s", purpose);
    return 0;
}

static struct proc_status status_from(int wstatus)
{
    if (WIFEXITED(wstatus))
        return (struct proc_status){ PROC_EXITED, WEXITSTATUS(wstatus) };
    return (struct proc_status){ PROC_SIGNALLED, WTERMSIG(wstatus) };
}

static pid_t reap(pid_t pid, int flags, int *wstatus)
{
    pid_t got;

    do
        got = waitpid(pid, wstatus, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

/* False when the deadline passed first. A pidfd wakes us at once; without one we look often. */
static bool wait_for_end(pid_t pid, int64_t deadline_ms)
{
    int pidfd = os_pidfd_open(pid);
    bool ended = true;

    if (pidfd >= 0) {
        ended = fd_wait_read(pidfd, deadline_ms) != 0;
        (void)fd_close(pidfd);
        return ended;
    }
    for (int pause_ms = 1;; pause_ms = pause_ms < 50 ? pause_ms * 2 : 50) {
        siginfo_t info = { 0 };

        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0)
            return true;
        if (tod_monotonic_ms() >= deadline_ms)
            return false;
        (void)poll(NULL, 0, pause_ms);
    }
}

struct proc_status proc_wait(pid_t pid, int64_t deadline_ms)
{
    bool timed_out = deadline_ms >= 0 && !wait_for_end(pid, deadline_ms);
    int wstatus = 0;

    if (timed_out) {
        (void)kill(-pid, SIGKILL);
        (void)kill(pid, SIGKILL);
    }
    if (reap(pid, 0, &wstatus) < 0)
        return (struct proc_status){ PROC_ERROR, errno };
    return timed_out ? (struct proc_status){ PROC_TIMED_OUT, SIGKILL } : status_from(wstatus);
}

/* The four ends a spawn needs; -1 where /dev/null is wanted. */
struct pipes {
    int in[2], out[2], fault[2];
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            (void)fd_close(pair[i]);
}

static void close_pipes(struct pipes *p)
{
    int why = errno;

    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->fault);
    errno = why;
}

static bool open_pipes(struct pipes *p, bool in, bool out)
{
    *p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
    if (pipe2(p->fault, O_CLOEXEC) == 0 && (!in || pipe2(p->in, O_CLOEXEC) == 0) &&
        (!out || pipe2(p->out, O_CLOEXEC) == 0))
        return true;
    close_pipes(p);
    return false;
}

/* Makes `from` (or /dev/null) descriptor `to`; from is never below 3: see above_stdio. */
static bool put_at(int from, int to)
{
    if (from >= 0)
        return dup2(from, to) == to;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fd == to) /* it was closed; clear close-on-exec */
        return fcntl(fd, F_SETFD, 0) == 0;
    bool ok = dup2(fd, to) == to;
    (void)fd_close(fd);
    return ok;
}

static bool above_stdio(int *fd)
{
    if (*fd < 0 || *fd > 2)
        return true;
    *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    return *fd >= 0;
}

static bool become_program(const struct proc_spawn *s, struct pipes *p)
{
    sigset_t none;

    (void)setpgid(0, 0);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    if (!above_stdio(&p->fault[1]) || !above_stdio(&p->in[0]) || !above_stdio(&p->out[1]) ||
        !put_at(p->in[0], STDIN_FILENO) || !put_at(p->out[1], STDOUT_FILENO) ||
        !put_at(s->join_stderr ? p->out[1] : -1, STDERR_FILENO))
        return false;
    if (s->cwd != NULL && chdir(s->cwd) < 0)
        return false;
    (void)umask(s->umask);
    os_close_on_exec_from(3); /* ours are so already; a library's may not be */
    (void)execve(s->argv[0], s->argv, s->envp);
    return false;
}

static NORETURN void child_main(const struct proc_spawn *s, struct pipes *p)
{
    if (!become_program(s, p)) {
        int why = errno;
        bool told = p->fault[1] >= 0 && fd_write_all(p->fault[1], &why, sizeof(why));

        (void)told; /* the parent sees end of file otherwise, and then exit code 127 */
    }
    _exit(127);
}

static void hand_over(int pair[2], int mine, int *to)
{
    if (to == NULL)
        return;
    *to = pair[mine];
    pair[mine] = -1;
}

static bool use_socket(struct pipes *p, int fd)
{
    p->in[0] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    p->out[1] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return p->in[0] >= 0 && p->out[1] >= 0;
}

pid_t proc_spawn(const struct proc_spawn *s, int *in, int *out)
{
    struct pipes p;
    int why = 0;

    if (!open_pipes(&p, in != NULL, out != NULL))
        return -1;
    if (s->stdio > 0 && !use_socket(&p, s->stdio)) {
        close_pipes(&p);
        return -1;
    }
    pid_t pid = proc_fork(s->argv[0]);
    if (pid == 0)
        child_main(s, &p);
    if (pid < 0) {
        close_pipes(&p);
        return -1;
    }
    (void)setpgid(pid, pid); /* both sides: whoever is first */
    (void)fd_close(p.fault[1]);
    p.fault[1] = -1;
    ssize_t got = fd_read_full(p.fault[0], &why, sizeof(why));
    if (got == (ssize_t)sizeof(why)) {
        int wstatus;

        (void)reap(pid, 0, &wstatus);
        errno = why;
        close_pipes(&p);
        return -1;
    }
    hand_over(p.in, 1, in);
    hand_over(p.out, 0, out);
    close_pipes(&p);
    return pid;
}
