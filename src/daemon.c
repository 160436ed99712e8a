#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/berkeley.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/libs.h"
#include "base/log.h"
#include "base/openssl.h"
#include "base/proc.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "daemon/proxy_counts.h"
#include "exim.h"
#include "ipc.h"
#include "priv.h"
#include "spool.h"
#include "spool_wal.h"

enum { PID_FILE_MODE = 0644 };

static int failed(struct exim *e, const char *why)
{
    log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "%s: daemon abandoned", why);
    if (e->log != NULL)
        fprintf(stderr, "exim: %s: daemon abandoned\n", why);
    return EXIT_FAILURE;
}

/* Thousands of connections wait in one process. */
static void allow_many_files(void)
{
    enum { WANTED = 1 << 16 };
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= WANTED)
        return;
    if (r.rlim_max < WANTED && geteuid() == 0)
        r.rlim_max = WANTED;
    r.rlim_cur = r.rlim_max < WANTED ? r.rlim_max : WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &r);
}

/* With -oX the usual pid file belongs to another daemon; one that does not listen has
 * none. */
static const char *pid_file(const struct exim *e, const struct daemon_options *o)
{
    if (o->oP != NULL)
        return o->oP;
    return o->listen && o->oX == NULL ? e->config->pid_file_path : NULL;
}

static void write_pid(const struct exim *e, const struct daemon_options *o, pid_t pid)
{
    const char *path = pid_file(e, o);
    char text[16];

    if (path == NULL || *path == '\0')
        return;
    (void)unlink(path); /* whatever it is or points to */
    int fd = fd_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PID_FILE_MODE);
    int len = snprintf(text, sizeof(text), "%d\n", (int)pid);
    if (fd < 0 || !fd_write_all(fd, text, (size_t)len))
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "failed to write pid file %s: %s",
                  path, strerror(errno));
    if (fd >= 0) {
        (void)fchmod(fd, PID_FILE_MODE);
        (void)fd_close(fd);
    }
}

static bool leave_terminal(void)
{
    int null = fd_open("/dev/null", O_RDWR, 0);
    bool ok = null >= 0;

    (void)setsid();
    for (int fd = 0; ok && fd <= 2; fd++)
        ok = dup2(null, fd) == fd;
    if (null > 2)
        (void)fd_close(null);
    return ok;
}

/* The caller's process ends when the daemon can be reached and its pid can be read. */
static bool detach(const struct exim *e, const struct daemon_options *o)
{
    pid_t pid = proc_fork("daemon");

    if (pid > 0) {
        write_pid(e, o, pid);
        _exit(EXIT_SUCCESS);
    }
    return pid == 0 && leave_terminal();
}

static bool recover(struct exim *e)
{
    struct err err = { 0 };
    pid_t pid = proc_fork("recovery of the spool");

    if (pid == 0) { /* it reads messages: not as root */
        bool ok = priv_drop(e, &err) && spool_recover(e, &err);
        if (!ok)
            log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "%s", err.msg);
        _exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    struct proc_status end = proc_wait(pid, -1);
    return end.kind == PROC_EXITED && end.code == EXIT_SUCCESS;
}

/* Without a log every message gets its files at once: slower, no more. */
static void start_log(struct exim *e)
{
    struct err err = { 0 };

    if (!e->config->main.write_ahead_log || !recover(e))
        return;
    e->wal = wal_create(e, &err);
    if (e->wal == NULL)
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "%s: messages go without it",
                  err.msg);
}

/* What every process of the tree may call is loaded before the first of them: once, and while files
 * can be opened. */
static bool load_libraries(struct err *err)
{
    (void)berkeley();
    libs_load();
    return openssl_load(err);
}

int daemon_run(struct exim *e, const struct daemon_options *o)
{
    struct daemon d = { .exim = e, .options = o, .proxy_counts = proxy_counts_new() };
    struct err err = { 0 };
    sigset_t during_wait;

    allow_many_files();
    if (!load_libraries(&err) || !spool_prepare(e, &err) || !daemon_listen(e, e->arena, NULL, &d, &err))
        return failed(e, err.msg);
    daemon_signals_block(&during_wait); /* who can connect may also send signals */
    if (!ipc_pair(d.notices) || !ipc_pair(d.queue_agents) || !ipc_pair(d.session_agents))
        return failed(e, "no sockets");
    if (chdir(e->config->spool_directory) < 0)
        return failed(e, "cannot change to the spool directory");
    if (o->foreground)
        write_pid(e, o, getpid());
    else if (!detach(e, o))
        return failed(e, "cannot detach from the terminal");
    start_log(e);
    return daemon_broker(&d);
}
