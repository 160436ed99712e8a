#include "deliver/agent.h"

#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/wire.h"
#include "config/config.h"
#include "deliver/agent_ipc.h"
#include "deliver/deliver_int.h"
#include "exim.h"
#include "message.h"
#include "priv.h"
#include "spool.h"
#include "transports/capture.h"
#include "transports/transport.h"

/* Connections to agents, kept as long as this process lives: bounded, the oldest goes
 * first. */
enum { AGENTS_KEPT = 16 };
struct link {
    int fd; /* -1: free */
    bool busy;
    uid_t uid;
    gid_t gid;
    char message_id[MSGID_LEN + 1]; /* the one the agent holds */
};
static struct link links[AGENTS_KEPT];
static size_t links_used, next_victim;

static void link_close(struct link *l)
{
    if (l->fd >= 0)
        fd_close(l->fd);
    l->fd = -1;
    l->busy = false;
}

void agent_close_all(void)
{
    for (size_t i = 0; i < links_used; i++)
        link_close(&links[i]);
    links_used = 0;
}

static struct link *link_slot(void)
{
    for (size_t i = 0; i < links_used; i++)
        if (links[i].fd < 0)
            return &links[i];
    if (links_used < AGENTS_KEPT)
        return &links[links_used++];
    struct link *l;
    do /* not all are busy: AGENT_JOBS_MAX is less */
        l = &links[next_victim++ % AGENTS_KEPT];
    while (l->busy);
    link_close(l);
    return l;
}

static struct link *link_get(struct exim *e, const struct agent_id *who, struct err *err)
{
    for (size_t i = 0; i < links_used; i++)
        if (links[i].fd >= 0 && !links[i].busy && links[i].uid == who->uid &&
            links[i].gid == who->gid && who->init_user == NULL)
            return &links[i];

    int fd = priv_agent_connect(e, who->uid, who->gid, who->init_user, err);
    if (fd < 0)
        return NULL;
    struct link *l = link_slot();
    /* An agent with supplementary groups of one user serves nobody else. */
    *l = (struct link){ .fd = fd, .uid = who->uid, .gid = who->gid };
    if (who->init_user != NULL)
        l->uid = (uid_t)-1;
    return l;
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

/* The agent needs no recipients: a message to a thousand people is not sent a thousand
 * times. */
static bool send_message(struct link *l, struct arena *a, const struct message *m)
{
    if (strcmp(l->message_id, m->id) == 0)
        return true;
    struct message copy = *m;
    copy.recipient_count = 0;
    copy.nonrecipients = NULL;
    struct buf text = buf_init(a, AGENT_RECORD_MAX / 2),
               b = buf_init(a, AGENT_RECORD_MAX);
    spool_header_print(&text, &copy);
    wire_put_bytes(&b, buf_view(&text));
    wire_put_bytes(&b, m->body.text == NULL
                           ? STR("")
                           : (struct str){ m->body.text, (size_t)m->body.size });
    wire_put_i64(&b, m->body.start);
    wire_put_i64(&b, m->body.size);
    if (text.full || !agent_ipc_send(l->fd, AGENT_MESSAGE, &b, m->body.fd)) {
        link_close(l);
        return false;
    }
    memcpy(l->message_id, m->id, sizeof l->message_id);
    return true;
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
};

static bool send_job(struct link *l, const struct transport *t,
                     const struct transport_call *call)
{
    struct arena *a = call->ctx->arena;
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    uint32_t n = 0;

    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        n++;
    wire_put_cstr(&b, t->name);
    wire_put_cstr(&b, call->return_path);
    wire_put_u32(&b, n);
    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        report_put_job(&b, addr);
    return send_message(l, a, call->message) &&
           agent_ipc_send(l->fd, AGENT_DELIVER, &b, -1);
}

static bool lost(struct link *l, const struct agent_id *who, struct arena *a,
                 struct err *err)
{
    link_close(l);
    return err_set(err, a, "the agent for uid=%ld gid=%ld was lost during local delivery",
                   (long)who->uid, (long)who->gid);
}

struct agent_job *agent_start(struct exim *e, const struct agent_id *who,
                              const struct transport *t, struct transport_call *call,
                              struct err *err)
{
    struct arena *a = call->ctx->arena;
    struct link *l = link_get(e, who, err);

    if (l == NULL)
        return NULL;
    if (!send_job(l, t, call)) {
        (void)lost(l, who, a, err);
        return NULL;
    }
    l->busy = true;
    struct agent_job *job = arena_new_obj(a, struct agent_job);
    *job = (struct agent_job){ .link = l, .who = *who };
    return job;
}

bool agent_finish(struct agent_job *job, struct transport_call *call, struct err *err)
{
    struct arena *a = call->ctx->arena;
    struct link *l = job->link;
    enum agent_record answer;
    struct str body;
    int fd = -1;
    bool ok = agent_ipc_recv(l->fd, a, &answer, &body, &fd);

    l->busy = false;
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
    struct link *l = link_get(e, &reader, err);
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
    struct link *l = link_get(e, &reader, &err);
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
    struct link *l = link_get(e, who, err);
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
