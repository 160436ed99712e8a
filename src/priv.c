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

static bool set_ids(uid_t uid, gid_t gid)
{
    return setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0 &&
           (uid == 0 || setuid(0) != 0); /* there must be no way back */
}

static bool set_groups(const char *user, gid_t gid)
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
    if (!set_groups(pw == NULL ? NULL : pw->pw_name, c->exim_gid) || !set_ids(c->exim_uid, c->exim_gid))
        return err_sys(err, e->arena, errno, "unable to become uid %ld, gid %ld", (long)c->exim_uid,
                       (long)c->exim_gid);
    return true;
}

bool priv_drop_to_caller(struct exim *e, struct err *err)
{
    e->privileged = false;
    if (geteuid() != 0 || e->real_uid == 0)
        return true;
    if (!set_ids(e->real_uid, e->real_gid))
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

/* ---- the broker ---- */

static bool is_fixed_never_user(uid_t uid)
{
    struct arena *a = arena_new("never_users");
    struct list_iter it = list_begin(FIXED_NEVER_USERS, ':');
    const char *name;
    bool found = false;

    while (!found && (name = list_next(&it, a)) != NULL) {
        const struct passwd *pw = getpwnam(name);
        unsigned long number;

        found = pw != NULL ? pw->pw_uid == uid : cstr_to_ulong(name, &number) && number == uid;
    }
    arena_destroy(&a);
    return found;
}

static bool is_never_user(const struct config *c, uid_t uid)
{
    for (size_t i = 0; i < c->never_user_count; i++)
        if (c->never_users[i] == uid)
            return true;
    return is_fixed_never_user(uid);
}

static void answer(int link, bool ok, int sys_errno, const char *text)
{
    struct ipc_record r = { .kind = IPC_ANSWER, .answer = { ok, sys_errno, text } };
    bool told = ipc_send(link, &r, -1);

    (void)told; /* it reads the end of the link otherwise */
}

static bool become(struct exim *e, const struct ipc_agent *who)
{
    return !e->privileged || (set_groups(who->init_user, who->gid) && set_ids(who->uid, who->gid));
}

static NORETURN void agent_process(struct exim *e, const struct ipc_agent *who, int link, bool files_only)
{
    sigset_t none;

    proc_default(SIGCHLD);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* the daemon's broker waits with signals blocked */
    e->wal = NULL; /* other people's messages */
    priv_close_others(e, &link, 1);
    e->broker = NULL;
    e->queue_fd = -1;
    e->address_test = e->address_test || files_only;
    if (!become(e, who)) {
        answer(link, false, errno, strerror(errno));
        _exit(1);
    }
    proc_title("local delivery as uid %ld", (long)geteuid());
    answer(link, true, 0, "");
    priv_agent_entry(e, link);
    _exit(0);
}

static bool is_exim(const struct config *c, const struct ipc_agent *who)
{
    return who->uid == c->exim_uid && who->gid == c->exim_gid;
}

static void start_agent(struct exim *e, const struct ipc_agent *who, int link, bool files_only)
{
    if (e->privileged && is_never_user(e->config, who->uid)) {
        answer(link, false, EPERM,
               arena_printf(e->arena, "User %ld is on the never_users list", (long)who->uid));
        return;
    }
    if (e->config->main.deliver_drop_privilege && !is_exim(e->config, who)) {
        answer(link, false, EPERM,
               arena_printf(e->arena, "unable to set gid=%ld or uid=%ld: deliver_drop_privilege is set",
                            (long)who->gid, (long)who->uid));
        return;
    }
    pid_t pid = proc_fork("local delivery");
    if (pid == 0)
        agent_process(e, who, link, files_only);
    if (pid < 0)
        answer(link, false, errno, "cannot start a process for local deliveries");
}

bool priv_serve(struct exim *e, int sock, bool files_only)
{
    struct arena *a = arena_new("request");
    struct arena_mark mark = arena_mark(e->arena);
    struct ipc_record r;
    int link;
    enum ipc_rc rc = ipc_receive(sock, a, &r, &link);

    if (rc == IPC_OK && r.kind == IPC_AGENT && link >= 0)
        start_agent(e, &r.agent, link, files_only);
    else if (rc == IPC_OK || (rc == IPC_FAILED && errno == EPROTO))
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "broker: malformed request refused");
    if (link >= 0)
        (void)fd_close(link);
    arena_reset(e->arena, mark);
    arena_destroy(&a);
    return rc != IPC_END && (rc != IPC_FAILED || errno == EPROTO);
}

static NORETURN void broker_process(struct exim *e, int sock)
{
    priv_close_others(e, &sock, 1);
    proc_ignore(SIGCHLD); /* agents end unseen */
    proc_ignore(SIGINT);  /* as long as there is work in hand: they come to the whole terminal */
    while (priv_serve(e, sock, false))
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

int priv_agent_connect(struct exim *e, uid_t uid, gid_t gid, const char *init_user, struct err *err)
{
    struct ipc_record r = { .kind = IPC_AGENT, .agent = { uid, gid, init_user } };
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
