/* exim_lock - locks a mailbox as appendfile does, and runs a command while it is locked.
 *
 * -mbx is not built; it is refused. A lock that blocks (-timeout) ends by SIGALRM. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"

struct lock {
    struct arena *arena;
    bool use_fcntl, use_flock, use_lockfile, quiet, verbose, restore_times;
    int retries, interval, timeout;
    const char *file, *lockfile;
    int fd;
};

static void on_alarm(int sig)
{
    (void)sig;
}

/* Exim: the hitching post. The link either exists afterwards or does not, on NFS too. */
static bool make_lockfile(struct lock *l)
{
    char host[256] = "";
    struct stat st;

    (void)gethostname(host, sizeof(host) - 1);
    const char *post =
        arena_printf(l->arena, "%s.%s.%ld", l->lockfile, host, (long)getpid());
    int fd = open(post, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool linked = link(post, l->lockfile) == 0;
    int error = errno;
    if (!linked && fstat(fd, &st) == 0)
        linked = st.st_nlink == 2;
    (void)close(fd);
    (void)unlink(post);
    errno = error;
    return linked;
}

static bool try_fcntl(struct lock *l)
{
    struct flock region = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    (void)alarm((unsigned)l->timeout);
    int rc = fcntl(l->fd, l->timeout > 0 ? F_SETLKW : F_SETLK, &region);
    int error = errno;
    (void)alarm(0);
    errno = error;
    return rc == 0;
}

static bool try_flock(struct lock *l)
{
    (void)alarm((unsigned)l->timeout);
    int rc = flock(l->fd, LOCK_EX | (l->timeout > 0 ? 0 : LOCK_NB));
    int error = errno;
    (void)alarm(0);
    errno = error;
    return rc == 0;
}

static void release(struct lock *l, bool has_lockfile)
{
    int error = errno;

    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
    if (has_lockfile)
        (void)unlink(l->lockfile);
    errno = error;
}

/* All locks or none. */
static bool take_all(struct lock *l, const char **what)
{
    *what = "lock file";
    if (l->use_lockfile && !make_lockfile(l))
        return false;
    *what = "mailbox";
    l->fd = open(l->file, O_RDWR | O_CLOEXEC);
    if (l->fd >= 0) {
        *what = "fcntl() lock";
        if (!l->use_fcntl || try_fcntl(l)) {
            *what = "flock() lock";
            if (!l->use_flock || try_flock(l))
                return true;
        }
    }
    release(l, l->use_lockfile);
    return false;
}

static bool obtain(struct lock *l)
{
    for (int i = 1;; i++) {
        const char *what;

        if (take_all(l, &what))
            return true;
        bool busy =
            errno == EEXIST || errno == EAGAIN || errno == EACCES || errno == EINTR;
        if (!l->quiet && (l->verbose || !busy || i >= l->retries))
            fprintf(stderr, "exim_lock: %s of %s: %s\n", what, l->file, strerror(errno));
        if (!busy || i >= l->retries)
            return false;
        (void)sleep((unsigned)l->interval);
    }
}

static int run(struct lock *l, const char *command)
{
    const char *shell = getenv("SHELL");

    if (shell == NULL || *shell == 0)
        shell = "/bin/sh";
    if (!l->quiet)
        printf("Locked %s\n", l->file);
    if (l->verbose)
        printf("Running %s\n", command != NULL ? command : shell);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGINT, SIG_DFL);
        if (command != NULL)
            execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        else
            execl(shell, shell, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static int usage(void)
{
    fprintf(
        stderr,
        "Usage: exim_lock [-v] [-quiet] [-lockfile] [-fcntl] [-flock] [-restore_times]\n"
        "                 [-retries <n>] [-interval <seconds>] [-timeout <seconds>]\n"
        "                 <mailbox> [command]\n"
        "  without a choice of locks: -lockfile and -fcntl; -mbx is not built\n");
    return EXIT_FAILURE;
}

static bool read_number(const char *s, int *out)
{
    char *end;
    long n = s == NULL ? -1 : strtol(s, &end, 10);

    if (n < 0 || n > 1000000 || end == s || *end != 0)
        return false;
    *out = (int)n;
    return true;
}

/* One option, with its number; how many words it took, 0 if it is none. */
static int set_option(struct lock *l, char **word)
{
    const struct {
        const char *name;
        bool *flag;
        int *number;
    } options[] = {
        { "-fcntl", &l->use_fcntl, NULL },
        { "-flock", &l->use_flock, NULL },
        { "-lockfile", &l->use_lockfile, NULL },
        { "-quiet", &l->quiet, NULL },
        { "-v", &l->verbose, NULL },
        { "-restore_times", &l->restore_times, NULL },
        { "-retries", NULL, &l->retries },
        { "-interval", NULL, &l->interval },
        { "-timeout", NULL, &l->timeout },
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (strcmp(word[0], options[i].name) != 0)
            continue;
        if (options[i].number != NULL)
            return read_number(word[1], options[i].number) ? 2 : 0;
        *options[i].flag = true;
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct lock l = { .retries = 10, .interval = 3, .fd = -1 };
    struct stat before;
    int i = 1;

    while (i < argc && argv[i][0] == '-') {
        int used = set_option(&l, argv + i);
        if (used == 0)
            return usage();
        i += used;
    }
    if (argc - i < 1 || argc - i > 2)
        return usage();
    if (!l.use_fcntl && !l.use_flock && !l.use_lockfile)
        l.use_fcntl = l.use_lockfile = true;
    l.arena = arena_new("lock");
    l.file = argv[i];
    l.lockfile = arena_printf(l.arena, "%s.lock", l.file);
    if (stat(l.file, &before) < 0) {
        fprintf(stderr, "exim_lock: %s: %s\n", l.file, strerror(errno));
        return EXIT_FAILURE;
    }
    struct sigaction alarm_action = { .sa_handler = on_alarm }; /* no SA_RESTART */
    (void)sigaction(SIGALRM, &alarm_action, NULL);
    /* A terminal's interrupt is for the command; the locks are to be released. */
    (void)signal(SIGINT, SIG_IGN);
    if (!obtain(&l))
        return EXIT_FAILURE;
    int status = run(&l, argv[i + 1]);
    if (l.restore_times)
        (void)futimens(l.fd, (struct timespec[]){ before.st_atim, before.st_mtim });
    release(&l, l.use_lockfile);
    arena_destroy(&l.arena);
    return status;
}
