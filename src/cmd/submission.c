#include "cmd/submission.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "exim.h"

enum { PUMP_BYTES = 16 * 1024, ANSWER_MAX = 1024 };

bool submission_wanted(const struct exim *e, const struct cmd_line *c)
{
    bool own_rights = geteuid() != 0 && geteuid() == getuid();

    return (c->mode->run == cmd_bm || c->mode->run == cmd_bs) && own_rights &&
           geteuid() != e->config->exim_uid && e->config->main.submission_socket != NULL &&
           access(e->config->spool_directory, W_OK | X_OK) != 0;
}

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "exim: %s%s%s\n", what, why != NULL ? ": " : "", why != NULL ? why : "");
    return EXIT_FAILURE;
}

static int connect_daemon(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = -1;

    if (strlen(path) >= sizeof(sa.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        int why = errno;

        (void)fd_close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Our ends of what is the daemon's standard input and output, and error. */
struct pump {
    int control, stream, errors;
    char held[PUMP_BYTES]; /* read here, not yet taken there */
    size_t at, len;
    bool input_open;
    int status; /* -1: not said yet */
};

static bool request(struct pump *p, const struct cmd_line *c)
{
    struct arena *a = arena_new("submission");
    struct buf b = buf_init(a, SUBMISSION_MAX);
    int stream[2] = { -1, -1 }, errors[2] = { -1, -1 };
    bool ok = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) == 0 &&
              socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, errors) == 0;
    int theirs[] = { stream[1], errors[1] };

    submission_encode(&b, c);
    if (ok && b.full) {
        ok = false;
        errno = E2BIG;
    }
    ok = ok && fd_send_msg(p->control, b.p, b.len, theirs, 2);
    int why = errno;
    for (size_t i = 0; i < 2; i++)
        if (theirs[i] >= 0)
            (void)fd_close(theirs[i]);
    p->stream = stream[0];
    p->errors = errors[0];
    arena_destroy(&a);
    errno = why;
    return ok && fd_set_nonblock(p->stream, true);
}

/* The daemon takes the end of the input for its end only when told so. */
static void end_input(struct pump *p, bool confirmed)
{
    p->input_open = false;
    if (confirmed)
        confirmed = send(p->control, "E", 1, MSG_NOSIGNAL) == 1;
    (void)shutdown(p->stream, SHUT_WR);
}

static void take_input(struct pump *p)
{
    ssize_t got = fd_read(STDIN_FILENO, p->held, sizeof(p->held));

    if (got <= 0) {
        end_input(p, got == 0);
        return;
    }
    p->at = 0;
    p->len = (size_t)got;
}

static void pass_on(struct pump *p)
{
    ssize_t put = send(p->stream, p->held + p->at, p->len - p->at, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (put > 0)
        p->at += (size_t)put;
    else if (put < 0 && errno != EAGAIN) {
        p->at = p->len; /* nobody wants it any more */
        p->input_open = false;
    }
}

static void copy_out(int *from, int to)
{
    char bytes[PUMP_BYTES];
    ssize_t got = recv(*from, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        (void)fd_close(*from);
        *from = -1;
        return;
    }
    bool written = fd_write_all(to, bytes, (size_t)got);

    (void)written; /* the caller does not read what is said to him */
}

static void take_answer(struct pump *p)
{
    char text[ANSWER_MAX + 1];
    ssize_t got = recv(p->control, text, ANSWER_MAX, 0);

    if (got < 0 && errno == ECONNRESET) /* what he said before comes next */
        return;
    if (got == 2 && text[0] == 'S') {
        p->status = (unsigned char)text[1];
    } else if (got > 1 && text[0] == 'R') {
        text[got] = '\0';
        p->status = complain("not submitted", text + 1);
    } else if (p->status < 0) {
        p->status = complain("the daemon has ended: the message is not submitted", NULL);
    }
    (void)fd_close(p->control);
    p->control = -1;
}

static void pump_once(struct pump *p)
{
    bool held = p->at < p->len;
    struct pollfd fds[] = {
        { .fd = p->input_open && !held ? STDIN_FILENO : -1, .events = POLLIN },
        { .fd = p->stream, .events = (short)(POLLIN | (held ? POLLOUT : 0)) },
        { .fd = p->errors, .events = POLLIN },
        { .fd = p->control, .events = POLLIN },
    };

    if (poll(fds, 4, -1) <= 0)
        return;
    if (fds[0].revents != 0)
        take_input(p);
    if (held && (fds[1].revents & (POLLOUT | POLLERR | POLLHUP)) != 0)
        pass_on(p);
    if ((fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        copy_out(&p->stream, STDOUT_FILENO);
    if (fds[2].revents != 0)
        copy_out(&p->errors, STDERR_FILENO);
    if (fds[3].revents != 0)
        take_answer(p);
}

int submission_run(struct exim *e, const struct cmd_line *c)
{
    const char *path = e->config->main.submission_socket;
    struct pump p = { .control = connect_daemon(path), .stream = -1, .errors = -1,
                      .input_open = true, .status = -1 };

    if (p.control < 0)
        return complain(arena_printf(e->arena, "no daemon takes messages on %s (submission_socket)", path),
                        strerror(errno));
    if (!request(&p, c) && errno != EPIPE && errno != ECONNRESET) /* he has said why */
        return complain("cannot hand the message to the daemon", strerror(errno));
    while (p.stream >= 0 || p.errors >= 0 || p.control >= 0) {
        if (p.stream < 0)
            p.input_open = false, p.at = p.len;
        pump_once(&p);
    }
    return p.status;
}
