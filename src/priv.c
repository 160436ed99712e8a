#include "priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "ipc.h"
#include "priv_int.h"
#include "spool_wal.h"

enum { ANSWER_MS = 60 * 1000 };

struct broker {
    int sock; /* requests go here; nothing comes back: each has a socket of its own. -1: not started yet */
};

struct broker *priv_broker(struct arena *a, int sock)
{
    struct broker *b = arena_new_obj(a, struct broker);

    b->sock = sock;
    return b;
}

int priv_broker_socket(const struct broker *b)
{
    return b == NULL ? -1 : b->sock;
}

/* ---- becoming somebody ---- */

bool priv_set_ids(uid_t uid, gid_t gid)
{
    return setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
           (uid == 0 || setuid(0) != 0); /* there must be no way back */
}

bool priv_set_groups(const char *user, gid_t gid)
{
    return user != NULL ? initgroups(user, gid) == 0 : setgroups(1, &gid) == 0;
}

bool priv_drop(struct exim *e, struct err *err)
{
    const struct config *c = e->config;

    e->privileged = geteuid() == 0;
    if (!e->privileged)
        return true;
    const struct passwd *pw = getpwuid(c->exim_uid);
    if (!priv_set_groups(pw == NULL ? NULL : pw->pw_name, c->exim_gid) || !priv_set_ids(c->exim_uid, c->exim_gid))
        return err_sys(err, e->arena, errno, "unable to become uid %ld, gid %ld", (long)c->exim_uid,
                       (long)c->exim_gid);
    return true;
}

bool priv_drop_to_caller(struct exim *e, struct err *err)
{
    e->privileged = false;
    if (geteuid() != 0 || e->real_uid == 0)
        return true;
    if (!priv_set_ids(e->real_uid, e->real_gid))
        return err_sys(err, e->arena, errno, "unable to become uid %ld, gid %ld", (long)e->real_uid,
                       (long)e->real_gid);
    return true;
}

/* ---- descriptors ---- */

static void close_span(unsigned from, unsigned to)
{
    if (from > to)
        return;
    if (syscall(SYS_close_range, from, to, 0U) == 0)
        return;
    unsigned last = (unsigned)sysconf(_SC_OPEN_MAX);
    for (unsigned fd = from; fd <= to && fd < last; fd++)
        (void)close((int)fd);
}

void priv_close_others(struct exim *e, const int *keep, size_t n)
{
    unsigned from = 3;
    int log = wal_fd(e->wal);

    if (e->log != NULL)
        log_close_others(e->log, keep, n);
    for (;;) { /* the next higher one that is kept */
        int next = -1;

        if (log >= (int)from)
            next = log;
        for (size_t i = 0; i < n; i++)
            if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
                next = keep[i];
        if (next < 0)
            break;
        close_span(from, (unsigned)next - 1);
        from = (unsigned)next + 1;
    }
    close_span(from, ~0U);
}

/* ---- the broker of a command-line mode ---- */

static NORETURN void broker_process(struct exim *e, int sock)
{
    struct priv_agents *agents = priv_agents_new(e->arena);

    priv_close_others(e, &sock, 1);
    proc_ignore(SIGCHLD); /* agents end unseen */
    proc_ignore(SIGINT);  /* as long as there is work in hand: they come to the whole terminal */
    while (priv_serve(e, agents, sock))
        ;
    _exit(0);
}

static bool start_broker(struct exim *e, struct err *err)
{
    int ends[2];

    if (!ipc_pair(ends))
        return err_sys(err, e->arena, errno, "cannot make a socket pair");
    pid_t pid = proc_fork("broker");
    if (pid == 0)
        broker_process(e, ends[1]);
    (void)fd_close(ends[1]);
    if (pid < 0) {
        int why = errno;

        (void)fd_close(ends[0]);
        return err_sys(err, e->arena, why, "cannot start the broker");
    }
    e->broker->sock = ends[0];
    return true;
}

bool priv_start(struct exim *e, struct err *err)
{
    if (e->config->main.deliver_drop_privilege && !priv_drop(e, err))
        return false;
    e->privileged = geteuid() == 0;
    e->broker = priv_broker(e->arena, -1);
    return !e->privileged || (start_broker(e, err) && priv_drop(e, err));
}

/* ---- its clients ---- */

static int refused(struct exim *e, struct err *err, int link, int sys_errno, const char *why)
{
    (void)fd_close(link);
    err_set(err, e->arena, "%s", why);
    if (err != NULL)
        err->sys_errno = sys_errno;
    return -1;
}

static int await_answer(struct exim *e, int link, struct err *err)
{
    struct arena *a = arena_new("answer");
    struct ipc_record r;
    int extra = -1, fd = link;

    if (fd_wait_read(link, tod_monotonic_ms() + ANSWER_MS) != 1 ||
        ipc_receive(link, a, &r, &extra) != IPC_OK || r.kind != IPC_ANSWER)
        fd = refused(e, err, link, ECONNRESET, "no process for local deliveries could be started");
    else if (!r.answer.ok)
        fd = refused(e, err, link, r.answer.sys_errno, r.answer.text == NULL ? "" : r.answer.text);
    if (extra >= 0)
        (void)fd_close(extra);
    arena_destroy(&a);
    return fd;
}

int priv_agent_connect(struct exim *e, const struct ipc_agent *who, struct err *err)
{
    struct ipc_record r = { .kind = IPC_AGENT, .agent = *who };
    int ends[2];

    if (e->broker == NULL) {
        err_set(err, e->arena, "there is no broker to start local deliveries");
        return -1;
    }
    if (e->broker->sock < 0 && !start_broker(e, err))
        return -1;
    if (!ipc_pair(ends)) {
        err_sys(err, e->arena, errno, "cannot make a socket pair");
        return -1;
    }
    bool sent = ipc_send(e->broker->sock, &r, ends[1]);
    int why = errno;
    (void)fd_close(ends[1]);
    if (!sent)
        return refused(e, err, ends[0], why, "the broker is gone");
    return await_answer(e, ends[0], err);
}
