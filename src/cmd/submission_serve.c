#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/tod.h"
#include "cmd/cmd.h"
#include "cmd/startup.h"
#include "cmd/submission.h"
#include "config/config.h"
#include "exim.h"

enum { ANSWER_MAX = 1024, REQUEST_MS = 10 * 1000, STALLED_SECONDS = 60, INPUT_SECONDS = 3600 };

void submission_refuse(int control, const char *why)
{
    char text[ANSWER_MAX];
    int len = snprintf(text, sizeof(text), "R%s", why);

    if (len > 0 && send(control, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1,
                        MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return; /* he has gone */
}

static NORETURN void give_up(int control, const char *why)
{
    submission_refuse(control, why);
    _exit(EXIT_FAILURE);
}

/* A message whose sender's process was killed in the middle ends there, too. */
static bool input_ended(const struct cmd_line *c)
{
    char mark = '\0';

    return fd_wait_read(c->control_fd, tod_monotonic_ms() + REQUEST_MS) > 0 &&
           recv(c->control_fd, &mark, 1, MSG_DONTWAIT) == 1 && mark == 'E';
}

static bool is_socket(int fd)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Who does not read what he is told is not waited for. */
static bool take_standard_fds(const int fds[FD_PASS_MAX])
{
    const struct timeval stalled = { .tv_sec = STALLED_SECONDS };

    if (!is_socket(fds[0]) || !is_socket(fds[1]))
        return false;
    for (int i = 0; i < 2; i++)
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDTIMEO, &stalled, sizeof(stalled)) < 0 ||
            !fd_set_nonblock(fds[i], false))
            return false;
    return dup2(fds[0], STDIN_FILENO) >= 0 && dup2(fds[0], STDOUT_FILENO) >= 0 &&
           dup2(fds[1], STDERR_FILENO) >= 0;
}

static void receive_request(struct exim *e, int control, struct cmd_line *c)
{
    char *packet = arena_alloc(e->arena, SUBMISSION_MAX, 1);
    int fds[FD_PASS_MAX];

    if (fd_wait_read(control, tod_monotonic_ms() + REQUEST_MS) <= 0)
        give_up(control, "no request came");
    ssize_t got = fd_recv_msg(control, packet, SUBMISSION_MAX, fds);
    if (got <= 0 || !submission_decode(e->arena, (struct str){ packet, (size_t)got }, c))
        give_up(control, "the request cannot be read (is this exim as old as the daemon?)");
    if (!take_standard_fds(fds))
        give_up(control, "the request came without sockets");
    for (int i = 0; i < FD_PASS_MAX; i++)
        if (fds[i] > STDERR_FILENO)
            (void)fd_close(fds[i]);
}

/* Delivery is the queue's; this process may not start agents. */
static void set_options(struct exim *e, struct cmd_line *c, int control)
{
    struct receive_options *o = &c->receive;

    o->foreground = false;
    o->background = true;
    o->no_delivery = o->no_delivery && (e->real_uid == 0 || e->real_uid == e->config->exim_uid);
    if (o->receive_timeout == 0 && e->config->main.receive_timeout == 0)
        o->receive_timeout = INPUT_SECONDS;
    c->control_fd = control;
    c->input_ended = input_ended;
    e->message_reference = c->oMm;
}

void submission_serve(struct exim *e, int control, uid_t uid, gid_t gid)
{
    struct cmd_line c;
    struct err err = { 0 };

    receive_request(e, control, &c);
    if (!startup_submitter(e, &c, uid, gid, &err))
        give_up(control, err.msg);
    const char *forbidden = cmd_forbidden(e, &c);
    if (forbidden != NULL)
        give_up(control, forbidden);
    set_options(e, &c, control);
    proc_title("submission by %s", e->originator_login);
    char answer[2] = { 'S', (char)c.mode->run(e, &c) };
    (void)fflush(NULL);
    (void)!send(control, answer, sizeof(answer), MSG_NOSIGNAL);
    _exit(EXIT_SUCCESS);
}
