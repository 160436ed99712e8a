#include "deliver/agent.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/wire.h"
#include "config/config.h"
#include "deliver/agent_ipc.h"
#include "deliver/deliver_int.h"
#include "exim.h"
#include "expand.h"
#include "ipc.h"
#include "message.h"
#include "priv.h"
#include "spool.h"
#include "transports/capture.h"
#include "transports/transport.h"

/* Connections to agents, kept as long as this process lives: bounded, the oldest goes first. What waits in the
 * socket is bounded, so that sending never waits for an agent that waits for us to read. */
enum { LINKS_KEPT = 32, LINKS_PER_ID = 8, JOBS_PER_LINK = 8, WAITING_MAX = 64 * 1024 };
/* So many agents of one identity are enough as long as nobody has many deliveries at once: the more each has to
 * do, the more it does together. */
enum { AGENTS_SHARED = 2 };
struct link {
    int fd;         /* -1: free */
    uint8_t shared; /* the agent serves other processes, too; as in ipc_agent */
    size_t jobs, waiting; /* under way; bytes of them */
    uid_t uid;
    gid_t gid;
    char message_id[MSGID_LEN + 1]; /* the one the agent holds */
};
static struct link links[LINKS_KEPT];
static size_t links_used, next_victim;

static void link_close(struct link *l)
{
    if (l->fd >= 0)
        fd_close(l->fd);
    l->fd = -1;
}

void agent_close_all(void)
{
    for (size_t i = 0; i < links_used; i++)
        link_close(&links[i]);
    links_used = 0;
}

/* NULL: all are busy. */
static struct link *link_slot(void)
{
    for (size_t i = 0; i < links_used; i++)
        if (links[i].fd < 0 && links[i].jobs == 0)
            return &links[i];
    if (links_used < LINKS_KEPT) {
        links[links_used].fd = -1;
        return &links[links_used++];
    }
    for (size_t i = 0; i < LINKS_KEPT; i++) {
        struct link *l = &links[next_victim++ % LINKS_KEPT];
        if (l->jobs == 0) {
            link_close(l);
            return l;
        }
    }
    return NULL;
}

/* NULL without err: there is no room for it. */
static struct link *link_new(struct exim *e, const struct agent_id *who, size_t shared, struct err *err)
{
    struct ipc_agent request = { who->uid, who->gid, who->init_user, (uint8_t)shared };
    struct link *l = link_slot();
    int fd = l == NULL ? -1 : priv_agent_connect(e, &request, err);

    if (fd < 0)
        return NULL;
    *l = (struct link){ .fd = fd, .uid = who->uid, .gid = who->gid, .shared = request.shared };
    if (who->init_user != NULL) /* it has the groups of one user, and serves nobody else */
        l->uid = (uid_t)-1;
    return l;
}

static bool link_serves(const struct link *l, const struct agent_id *who)
{
    return l->fd >= 0 && l->uid == who->uid && l->gid == who->gid && who->init_user == NULL;
}

/* For one request, or a delivery that may take long (`own`): an agent with nothing to do. */
static struct link *link_get(struct exim *e, const struct agent_id *who, bool own, struct err *err)
{
    for (size_t i = 0; i < links_used; i++)
        if (link_serves(&links[i], who) && links[i].jobs == 0 && !(own && links[i].shared > 0))
            return &links[i];
    struct link *l = link_new(e, who, own ? 0 : AGENTS_SHARED, err);
    if (l == NULL && err->msg == NULL)
        err_set(err, e->arena, "too many local deliveries are under way");
    return l;
}

static bool has_room(const struct link *l)
{
    return l->jobs < JOBS_PER_LINK && l->waiting < WAITING_MAX;
}

/* For one of many quick deliveries: the link with the fewest, and one more when that has enough to do. NULL
 * without err: all are full. */
static struct link *link_join(struct exim *e, const struct agent_id *who, struct err *err)
{
    struct link *best = NULL;
    size_t n = 0;

    for (size_t i = 0; i < links_used; i++) {
        struct link *l = &links[i];
        if (!link_serves(l, who) || l->shared == 0)
            continue;
        n++;
        if (best == NULL || l->jobs < best->jobs)
            best = l;
    }
    if (best == NULL || (best->jobs >= JOBS_PER_LINK / 2 && n < LINKS_PER_ID)) {
        struct link *l = link_new(e, who, n < AGENTS_SHARED ? AGENTS_SHARED : n + 1, err);
        if (l != NULL || best == NULL)
            return l;
        *err = (struct err){ 0 }; /* those that there are will do */
    }
    return has_room(best) ? best : NULL;
}

/* deliver_drop_privilege: files are looked at as exim, whosesoever they are. */
static struct agent_id reader_of(const struct exim *e, const struct agent_id *who)
{
    const struct config *c = e->config;

    return c->main.deliver_drop_privilege ? (struct agent_id){ .uid = c->exim_uid, .gid = c->exim_gid } : *who;
}

/* One request and its answer; the link is closed when the agent is gone. */
static bool ask(struct link *l, struct arena *a, enum agent_record kind,
                const struct buf *request, enum agent_record *answer, struct str *body)
{
    int fd = -1;
    bool ok = agent_ipc_send(l->fd, kind, request, -1) &&
              agent_ipc_recv(l->fd, a, answer, body, &fd);

    if (fd >= 0)
        fd_close(fd);
    if (!ok)
        link_close(l);
    return ok;
}

/* The agent needs no recipients: a message to a thousand people is not sent a thousand times. */
static bool put_message(struct buf *b, struct arena *a, const struct message *m)
{
    struct message copy = *m;
    struct buf text = buf_init(a, AGENT_RECORD_MAX / 2);

    copy.recipient_count = 0;
    copy.nonrecipients = NULL;
    spool_header_print(&text, &copy);
    wire_put_bytes(b, buf_view(&text));
    wire_put_bytes(b, m->body.text == NULL
                          ? STR("")
                          : (struct str){ m->body.text, (size_t)m->body.size });
    wire_put_i64(b, m->body.start);
    wire_put_i64(b, m->body.size);
    return !text.full;
}

static bool results_get(struct str body, struct arena *a, struct address *addrs)
{
    struct wire_reader r = wire_reader(body);

    for (struct address *addr = addrs; addr != NULL; addr = addr->next)
        report_get_result(&r, a, addr);
    return wire_done(&r);
}

struct agent_job {
    struct link *link;
    struct agent_id who;
    size_t bytes;
};

static bool send_job(struct link *l, const struct transport *t, const struct transport_call *call,
                     size_t *bytes)
{
    const struct message *m = call->message;
    struct arena *a = call->ctx->arena;
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    bool has_it = strcmp(l->message_id, m->id) == 0;
    uint32_t n = 0;

    wire_put_u8(&b, !has_it);
    if (!has_it && !put_message(&b, a, m))
        return false;
    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        n++;
    wire_put_cstr(&b, t->name);
    wire_put_cstr(&b, call->return_path);
    wire_put_u32(&b, n);
    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        report_put_job(&b, addr);
    if (!agent_ipc_send(l->fd, AGENT_DELIVER, &b, has_it ? -1 : m->body.fd))
        return false;
    memcpy(l->message_id, m->id, sizeof l->message_id);
    *bytes = b.len;
    return true;
}

static bool lost(struct link *l, const struct agent_id *who, struct arena *a,
                 struct err *err)
{
    link_close(l);
    return err_set(err, a, "the agent for uid=%ld gid=%ld was lost during local delivery",
                   (long)who->uid, (long)who->gid);
}

bool agent_is_quick(const struct transport *t)
{
    return t->driver->begin != NULL && t->driver->independent(t) && t->transport_filter == NULL;
}

enum agent_rc agent_start(struct exim *e, const struct agent_id *who, struct transport_call *call,
                          struct agent_job **out, struct err *err)
{
    const struct transport *t = call->ctx->transport;
    struct arena *a = call->ctx->arena;
    struct link *l = agent_is_quick(t) ? link_join(e, who, err) : link_get(e, who, true, err);
    size_t bytes;

    if (l == NULL)
        return err->msg == NULL ? AGENT_BUSY : AGENT_NONE;
    if (!send_job(l, t, call, &bytes)) {
        (void)lost(l, who, a, err);
        return AGENT_NONE;
    }
    l->jobs++;
    l->waiting += bytes;
    *out = arena_new_obj(a, struct agent_job);
    **out = (struct agent_job){ .link = l, .who = *who, .bytes = bytes };
    return AGENT_STARTED;
}

bool agent_has_answered(const struct agent_job *job)
{
    struct pollfd p = { .fd = job->link->fd, .events = POLLIN };

    return fd_poll(&p, 1, 0) != 0;
}

bool agent_finish(struct agent_job *job, struct transport_call *call, struct err *err)
{
    struct arena *a = call->ctx->arena;
    struct link *l = job->link;
    enum agent_record answer;
    struct str body;
    int fd = -1;
    bool ok = l->fd >= 0 && agent_ipc_recv(l->fd, a, &answer, &body, &fd);

    l->jobs--;
    l->waiting -= job->bytes;
    if (fd >= 0)
        (void)fd_close(fd);
    if (!ok)
        return lost(l, &job->who, a, err);
    if (answer == AGENT_RESULTS && results_get(body, a, call->addrs))
        return true;
    link_close(l);
    return err_set(err, a, "malformed answer from the agent for uid=%ld",
                   (long)job->who.uid);
}

/* AGENT_TEXT: true; AGENT_ERROR: errno and words. */
static bool text_answer(struct arena *a, enum agent_record answer, struct str body,
                        struct str *text, struct err *err)
{
    if (answer == AGENT_TEXT) {
        *text = body;
        return true;
    }
    struct wire_reader r = wire_reader(body);
    err->sys_errno = (int)wire_get_i64(&r);
    err->msg = wire_get_cstr(&r, a);
    if (answer != AGENT_ERROR || r.bad || err->msg == NULL)
        return err_set(err, a, "malformed answer from an agent");
    return false;
}

static void put_ids(struct buf *b, const uint32_t *ids, size_t n)
{
    wire_put_u32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        wire_put_u32(b, ids[i]);
}

bool agent_read_file(struct exim *e, struct arena *a, const struct agent_id *who,
                     const struct agent_file_check *c, struct str *text, struct err *err)
{
    const struct agent_id reader = reader_of(e, who);
    struct link *l = link_get(e, &reader, false, err);
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    enum agent_record answer;
    struct str body;

    _Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t),
                   "ids");
    if (l == NULL)
        return false;
    wire_put_cstr(&b, c->path);
    wire_put_i64(&b, c->modemask);
    wire_put_u8(&b, (uint8_t)(c->check_owner | c->check_group << 1));
    put_ids(&b, c->owners, c->owner_count);
    put_ids(&b, c->owngroups, c->owngroup_count);
    if (!ask(l, a, AGENT_READ_FILE, &b, &answer, &body)) {
        err->sys_errno = EPIPE;
        return err_set(err, a, "the agent for uid=%ld was lost", (long)who->uid);
    }
    return text_answer(a, answer, body, text, err);
}

bool agent_file_exists(struct exim *e, const struct agent_id *who, const char *path,
                       int *sys_errno)
{
    struct arena *a = arena_new("agent_file_exists");
    struct err err = { 0 };
    const struct agent_id reader = reader_of(e, who);
    struct link *l = link_get(e, &reader, false, &err);
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    enum agent_record answer;
    struct str body;
    bool ok = false;

    wire_put_cstr(&b, path);
    if (l == NULL || !ask(l, a, AGENT_EXISTS, &b, &answer, &body))
        *sys_errno = EPIPE;
    else if (!(ok = text_answer(a, answer, body, &body, &err)))
        *sys_errno = err.sys_errno != 0 ? err.sys_errno : EPROTO;
    arena_destroy(&a);
    return ok;
}

bool agent_run(struct exim *e, struct arena *a, const struct agent_id *who,
               const struct capture_command *c, struct str *output, struct err *err)
{
    struct link *l = link_get(e, who, true, err); /* a command may take long */
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    enum agent_record answer;
    struct str body;
    uint32_t n = 0;

    if (l == NULL)
        return false;
    while (c->argv[n] != NULL)
        n++;
    wire_put_u32(&b, n);
    for (uint32_t i = 0; i < n; i++)
        wire_put_cstr(&b, c->argv[i]);
    wire_put_cstr(&b, c->cwd);
    wire_put_i64(&b, c->timeout);
    if (!ask(l, a, AGENT_RUN, &b, &answer, &body))
        return err_set(err, a, "the agent for uid=%ld was lost", (long)who->uid);
    if (!text_answer(a, answer, body, output, err))
        return false;
    *output = str_from(str_dup(a, *output));
    return true;
}
