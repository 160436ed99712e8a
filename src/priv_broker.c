#include "priv.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "ipc.h"
#include "priv_int.h"

/* The agents that further links can be given to. One whose links have all gone refuses more and ends; that
 * is noticed when it is tried. */
enum { SHARED_MAX = 64, SHARED_PER_ID_MAX = 16 };

struct shared {
    uid_t uid;
    gid_t gid;
    int control; /* the links go there; it does not block */
};

struct priv_agents {
    struct shared list[SHARED_MAX]; /* oldest first */
    size_t count, turn;
};

struct priv_agents *priv_agents_new(struct arena *a)
{
    return arena_new_obj(a, struct priv_agents);
}

static void forget(struct priv_agents *g, size_t i)
{
    (void)fd_close(g->list[i].control);
    memmove(&g->list[i], &g->list[i + 1], (--g->count - i) * sizeof(g->list[0]));
}

void priv_agents_forget(struct priv_agents *g)
{
    while (g->count > 0)
        forget(g, g->count - 1);
}

/* ---- who may not be ---- */

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
    return !e->privileged || (priv_set_groups(who->init_user, who->gid) && priv_set_ids(who->uid, who->gid));
}

/* ---- an agent ---- */

static NORETURN void agent_process(struct exim *e, const struct ipc_agent *who, const int ends[2],
                                   bool files_only)
{
    int link = ends[0];
    sigset_t none;

    proc_default(SIGCHLD);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* the daemon's broker waits with signals blocked */
    e->wal = NULL; /* other people's messages */
    priv_close_others(e, ends, 2);
    e->broker = NULL;
    e->queue_fd = -1;
    e->address_test = e->address_test || files_only;
    if (!become(e, who)) {
        answer(link, false, errno, strerror(errno));
        _exit(1);
    }
    proc_title("local delivery as uid %ld", (long)geteuid());
    answer(link, true, 0, "");
    priv_agent_entry(e, link, ends[1]);
    _exit(0);
}

/* ends: of its first link, and of what further links come by; -1: there is none but this. */
static bool start_agent(struct exim *e, const struct ipc_agent *who, const int ends[2], bool files_only)
{
    pid_t pid = proc_fork("local delivery");

    if (pid == 0)
        agent_process(e, who, ends, files_only);
    if (pid < 0)
        answer(ends[0], false, errno, "cannot start a process for local deliveries");
    return pid > 0;
}

/* ---- shared ones ---- */

static bool hand_over(const struct shared *s, const struct ipc_agent *who, int link)
{
    struct ipc_record r = { .kind = IPC_AGENT, .agent = *who };

    return ipc_send(s->control, &r, link);
}

static size_t find(const struct priv_agents *g, const struct ipc_agent *who, size_t found[SHARED_PER_ID_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < g->count && n < SHARED_PER_ID_MAX; i++)
        if (g->list[i].uid == who->uid && g->list[i].gid == who->gid)
            found[n++] = i;
    return n;
}

/* False: there are not enough of them yet. */
static bool give_to_one(struct priv_agents *g, const struct ipc_agent *who, int link)
{
    size_t found[SHARED_PER_ID_MAX], n;

    while ((n = find(g, who, found)) == SHARED_PER_ID_MAX || n >= who->shared) {
        size_t i = found[g->turn++ % n];

        if (hand_over(&g->list[i], who, link)) {
            answer(link, true, 0, "");
            return true;
        }
        forget(g, i);
    }
    return false;
}

static void start_shared(struct exim *e, struct priv_agents *g, const struct ipc_agent *who, int link)
{
    int control[2];

    if (give_to_one(g, who, link))
        return;
    if (!ipc_pair(control)) {
        answer(link, false, errno, strerror(errno));
        return;
    }
    bool started = fd_set_nonblock(control[0], true) &&
                   start_agent(e, who, (const int[]){ link, control[1] }, false);
    (void)fd_close(control[1]);
    if (!started) {
        (void)fd_close(control[0]);
        return;
    }
    if (g->count == SHARED_MAX)
        forget(g, 0);
    g->list[g->count++] = (struct shared){ who->uid, who->gid, control[0] };
}

/* ---- requests ---- */

static bool is_exim(const struct config *c, const struct ipc_agent *who)
{
    return who->uid == c->exim_uid && who->gid == c->exim_gid;
}

static bool is_refused(struct exim *e, const struct ipc_agent *who, int link)
{
    if (e->privileged && is_never_user(e->config, who->uid)) {
        answer(link, false, EPERM,
               arena_printf(e->arena, "User %ld is on the never_users list", (long)who->uid));
        return true;
    }
    if (e->config->main.deliver_drop_privilege && !is_exim(e->config, who)) {
        answer(link, false, EPERM,
               arena_printf(e->arena, "unable to set gid=%ld or uid=%ld: deliver_drop_privilege is set",
                            (long)who->gid, (long)who->uid));
        return true;
    }
    return false;
}

static void serve(struct exim *e, struct priv_agents *agents, const struct ipc_agent *who, int link)
{
    if (is_refused(e, who, link))
        return;
    if (agents != NULL && who->shared > 0 && who->init_user == NULL)
        start_shared(e, agents, who, link);
    else
        (void)start_agent(e, who, (const int[]){ link, -1 }, agents == NULL);
}

bool priv_serve(struct exim *e, struct priv_agents *agents, int sock)
{
    struct arena *a = arena_new("request");
    struct arena_mark mark = arena_mark(e->arena);
    struct ipc_record r;
    int link;
    enum ipc_rc rc = ipc_receive(sock, a, &r, &link);

    if (rc == IPC_OK && r.kind == IPC_AGENT && link >= 0)
        serve(e, agents, &r.agent, link);
    else if (rc == IPC_OK || (rc == IPC_FAILED && errno == EPROTO))
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "broker: malformed request refused");
    if (link >= 0)
        (void)fd_close(link);
    arena_reset(e->arena, mark);
    arena_destroy(&a);
    return rc != IPC_END && (rc != IPC_FAILED || errno == EPROTO);
}
