#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/proc.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "exim.h"

/* What the handler needs must be there already: it can call next to nothing. */
static char process_log[512];

static void set_process_log(const struct exim *e)
{
    const char *path = e->config->main.process_log_path;

    if (path != NULL && *path != '\0')
        (void)snprintf(process_log, sizeof(process_log), "%s", path);
    else
        (void)snprintf(process_log, sizeof(process_log), "%s/exim-process.info",
                       e->config->spool_directory);
}

static void write_title(void)
{
    char line[1100];
    int why = errno;
    int n = snprintf(line, sizeof(line), "%5d %s\n", (int)getpid(), proc_title_get());
    int fd = open(process_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, LOG_MODE);

    if (fd >= 0) {
        ssize_t written = write(fd, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);

        (void)written;
        (void)close(fd);
    }
    errno = why;
}

static void on_usr1(int sig)
{
    (void)sig;
    write_title();
}

void daemon_show_on_usr1(struct exim *e)
{
    struct sigaction act = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };

    set_process_log(e);
    (void)sigemptyset(&act.sa_mask);
    (void)sigaction(SIGUSR1, &act, NULL);
}

void daemon_show(struct exim *e)
{
    set_process_log(e);
    write_title();
}

void daemon_signals_block(sigset_t *during_wait)
{
    static const int signals[] = { SIGHUP, SIGTERM, SIGINT, SIGCHLD, SIGUSR1 };
    sigset_t block;

    (void)sigemptyset(&block);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        (void)sigaddset(&block, signals[i]);
        proc_catch(signals[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &block, during_wait);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        (void)sigdelset(during_wait, signals[i]);
}
