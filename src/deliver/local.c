#include "deliver/deliver_int.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver/agent.h"
#include "exim.h"
#include "message.h"
#include "retry.h"
#include "route.h"
#include "transports/envelope.h"
#include "transports/transport.h"

/* ---- who delivers (manual chapter 23): transport, then router, then exim itself ---- */

static bool expand_user(struct expand_ctx *ctx, const struct transport *t,
                        struct agent_id *who, struct address *addr, struct err *err)
{
    const char *name;
    struct route_user u;

    if (t->user == NULL)
        return true;
    if (expand(ctx, t->user, &name) != EXPAND_OK)
        return err_set(err, ctx->arena,
                       "failed to expand user string \"%s\" for %s transport: %s",
                       t->user->text, t->name, ctx->err.msg);
    if (!route_find_user(ctx, name, &u))
        return err_set(err, ctx->arena, "user %s not found for %s transport", name,
                       t->name);
    who->uid = u.uid;
    addr->uid_set = true;
    if (t->group == NULL) {
        who->gid = u.gid;
        addr->gid_set = u.found;
    }
    if (addr->local_user_name == NULL)
        addr->local_user_name = u.name;
    return true;
}

static bool expand_group(struct expand_ctx *ctx, const struct transport *t,
                         struct agent_id *who, struct address *addr, struct err *err)
{
    const char *name;

    if (t->group == NULL)
        return true;
    if (expand(ctx, t->group, &name) != EXPAND_OK)
        return err_set(err, ctx->arena,
                       "failed to expand group string \"%s\" for %s transport: %s",
                       t->group->text, t->name, ctx->err.msg);
    if (!route_find_group(ctx, name, &who->gid))
        return err_set(err, ctx->arena, "group %s not found for %s transport", name,
                       t->name);
    addr->gid_set = true;
    return true;
}

static bool find_identity(struct expand_ctx *ctx, struct address *addr,
                          struct agent_id *who, struct err *err)
{
    const struct transport *t = addr->transport;
    struct exim *e = ctx->exim;

    *who = (struct agent_id){ .uid = addr->uid_set ? addr->uid : e->config->exim_uid,
                              .gid = addr->gid_set ? addr->gid : e->config->exim_gid };
    if (t->as_creator && t->user == NULL) {
        who->uid = ctx->message->originator_uid;
        if (!addr->gid_set)
            who->gid = ctx->message->originator_gid;
        addr->uid_set = addr->gid_set = true;
    }
    if (!expand_user(ctx, t, who, addr, err) || !expand_group(ctx, t, who, addr, err))
        return false;
    if (addr->uid_set && !addr->gid_set)
        return err_set(err, ctx->arena,
                       "neither router nor transport set a gid for local delivery to %s",
                       addr->address);
    if (addr->uid_set && (addr->initgroups || t->initgroups))
        who->init_user = addr->local_user_name;
    return true;
}

static bool set_directories(struct expand_ctx *ctx, struct address *addr, struct err *err)
{
    const struct transport *t = addr->transport;
    const char *dir;

    if (t->home_directory != NULL) {
        if (expand(ctx, t->home_directory, &dir) != EXPAND_OK)
            return err_set(err, ctx->arena,
                           "home directory \"%s\" failed to expand for %s transport: %s",
                           t->home_directory->text, t->name, ctx->err.msg);
        addr->home_dir = dir;
    }
    if (t->current_directory != NULL) {
        if (expand(ctx, t->current_directory, &dir) != EXPAND_OK)
            return err_set(
                err, ctx->arena,
                "current directory \"%s\" failed to expand for %s transport: %s",
                t->current_directory->text, t->name, ctx->err.msg);
        addr->current_dir = dir;
    }
    return true;
}

/* ---- batching ---- */

static const char *batch_id(struct delivery *d, struct address *addr)
{
    struct expand_ctx ctx;
    const char *id;

    deliver_ctx(&ctx, d, addr);
    return expand(&ctx, addr->transport->batch_id, &id) == EXPAND_OK ? id : NULL;
}

static bool may_join(struct delivery *d, struct address *first, struct address *next)
{
    const struct transport *t = first->transport;

    if (next->transport != t || !deliver_same_headers(first, next) ||
        first->uid_set != next->uid_set || first->uid != next->uid ||
        first->gid != next->gid || ((first->flags | next->flags) & ADDR_PIPE_FILE_REPLY))
        return false;
    if ((t->driver->flags & TRANSPORT_DSN) &&
        envelope_passes_dsn(first) != envelope_passes_dsn(next))
        return false;
    if (t->batch_id != NULL) {
        const char *x = batch_id(d, first), *y = batch_id(d, next);
        return x != NULL && y != NULL && strcmp(x, y) == 0;
    }
    if (t->uses_local_part)
        return false;
    return strcmp(first->domain, next->domain) == 0 || !t->uses_domain;
}

/* Takes first's batch out of d->addr_local. */
static struct address *take_batch(struct delivery *d)
{
    struct address *first = d->addr_local, *last = first;
    long n = 1;

    d->addr_local = first->next;
    first->next = NULL;
    for (struct address **p = &d->addr_local;
         *p != NULL && n < first->transport->batch_max;) {
        struct address *c = *p;
        if (!may_join(d, first, c)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        c->next = NULL;
        last->next = c;
        last = c;
        n++;
    }
    return first;
}

/* ---- one call ---- */

/* One delivery that an agent has, or that came to nothing before. */
struct job {
    struct address *batch;
    struct expand_ctx ctx;
    struct transport_call call;
    struct agent_job *agent;         /* NULL: the results are there */
    const struct transport *counted; /* for max_parallel; NULL: it is not */
    int64_t start;
};

static void defer_job(struct job *j, const struct err *err)
{
    transport_set_all(&j->call, RC_DEFER,
                      err->sys_errno > 0 ? err->sys_errno : ERR_BADUGID, "4.3.0",
                      err->msg);
}

/* False: agents are busy, and nothing has begun. */
static bool start_job(struct job *j, const struct transport *t)
{
    struct agent_id who;
    struct err err = { 0 };

    j->start = tod_monotonic_ms();
    j->agent = NULL;
    bool counted;
    if (!deliver_limit_enter(&j->call, t, &counted))
        return true;
    j->counted = counted ? t : NULL;
    enum agent_rc rc = AGENT_NONE;
    if (find_identity(&j->ctx, j->batch, &who, &err) &&
        set_directories(&j->ctx, j->batch, &err))
        rc = agent_start(j->ctx.exim, &who, &j->call, &j->agent, &err);
    if (rc == AGENT_NONE)
        defer_job(j, &err);
    return rc != AGENT_BUSY;
}

static void finish_job(struct job *j)
{
    struct err err = { 0 };

    if (j->agent != NULL && !agent_finish(j->agent, &j->call, &err))
        defer_job(j, &err);
    if (j->counted != NULL)
        deliver_limit_leave(j->ctx.exim, j->counted);
    j->counted = NULL;
    for (struct address *addr = j->batch; addr != NULL; addr = addr->next)
        addr->delivery_ms = tod_monotonic_ms() - j->start;
}

/* A copy for shadow_transport, with the words for ST=. */
static void run_shadow(struct delivery *d, struct address *addr)
{
    const struct transport *t = addr->transport, *shadow = t->shadow_instance;
    struct job j = { 0 };
    bool wanted = true;

    if (shadow == NULL || addr->result.rc != RC_OK)
        return;
    deliver_ctx(&j.ctx, d, addr);
    if (expand_bool(&j.ctx, t->shadow_condition, true, &wanted) != EXPAND_OK) {
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id,
                  "failed to expand shadow_condition of %s transport: %s", t->name,
                  j.ctx.err.msg);
        return;
    }
    if (!wanted)
        return;
    struct address *copy = arena_new_obj(d->arena, struct address);
    *copy = *addr;
    copy->transport = shadow;
    copy->next = NULL;
    copy->shadow_message = NULL;
    copy->result = (struct addr_result){ 0 };
    j.batch = copy;
    if (deliver_prepare(d, shadow, copy, &j.call, &j.ctx)) {
        if (deliver_pretends(d))
            transport_set_all(&j.call, RC_OK, 0, NULL, NULL);
        else
            (void)start_job(&j, shadow); /* alone: agents are not busy */
        finish_job(&j);
    }
    addr->shadow_message =
        copy->result.rc == RC_OK
            ? shadow->name
            : arena_printf(d->arena, "%s (%s)", shadow->name,
                           copy->result.message == NULL ? "failed"
                                                        : copy->result.message);
}

/* What the transport wants sent or said, which an agent cannot do itself. */
static void carry_out(struct delivery *d, struct address *addr)
{
    struct err err = { 0 };
    char id[MSGID_LEN + 1];

    if (addr->output_line != NULL)
        log_write(d->exim->log, LOG_MAIN, d->message->id, "<%s>: %s transport output: %s",
                  addr->address, addr->transport->name, addr->output_line);
    if (addr->submissions != NULL)
        log_release(d->exim->log); /* held lines do not wait for a submission */
    for (const struct transport_submission *s = addr->submissions; s != NULL; s = s->next)
        if (!deliver_submit(d->exim, "", s->recipients, s->recipient_count,
                            str_from(s->text), d->message->id, id, &err))
            log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id,
                      "failed to submit a message for %s: %s", addr->address, err.msg);
}

static void add_retries(struct delivery *d, struct address *addrs)
{
    for (struct address *addr = addrs; addr != NULL; addr = addr->next) {
        const char *key = retry_transport_key(d->arena, addr);
        if (addr->result.rc == RC_DEFER && addr->result.basic_errno == ERR_TRETRY)
            continue; /* max_parallel: nothing is wrong with it */
        if (addr->result.rc == RC_DEFER)
            retry_add(d->arena, addr, key, false, false);
        else if (!d->message->deliver_firsttime)
            retry_add(d->arena, addr, key, false, true);
    }
}

static bool time_has_come(struct delivery *d, struct address *addr)
{
    bool expired = false;

    if (retry_check_address(d, addr, false, &expired))
        return true;
    addr->flags |= ADDR_RETRY_SKIPPED;
    addr->result = (struct addr_result){ .rc = RC_DEFER,
                                         .basic_errno = ERR_LRETRY,
                                         .status = "4.4.7",
                                         .message = "Retry time not yet reached" };
    deliver_settle(d, addr);
    return false;
}

/* Leaves only the addresses that may be tried now. */
static void drop_not_due(struct delivery *d)
{
    struct address *list = d->addr_local, *keep = NULL, **tail = &keep;

    for (struct address *next; list != NULL; list = next) {
        next = list->next;
        list->next = NULL;
        if (!time_has_come(d, list))
            continue;
        *tail = list;
        tail = &list->next;
    }
    d->addr_local = keep;
}

/* ---- all of them ---- */

struct line { /* jobs under way, finished in the order in which they were started: so is
                 the log */
    struct job jobs[AGENT_JOBS_MAX];
    size_t first, count;
};

/* So many deliveries, that have come to an end when one is waited for, are logged and noted with one write each. */
enum { NOTED_TOGETHER = 16 };

static struct job *oldest(struct line *l)
{
    return &l->jobs[l->first];
}

static void settle_oldest(struct delivery *d, struct line *l)
{
    struct job *j = oldest(l);

    l->first = (l->first + 1) % AGENT_JOBS_MAX;
    l->count--;
    finish_job(j);
    d->in_flight--;
    if (j->batch->transport->shadow_instance != NULL)
        deliver_note(d, j->batch); /* what the shadow does may take long, and the log waits for it */
    for (struct address *addr = j->batch; addr != NULL; addr = addr->next) {
        run_shadow(d, addr);
        carry_out(d, addr);
    }
    add_retries(d, j->batch);
    deliver_settle_held(d, j->batch);
}

/* Waits for the oldest, and takes those behind it that are done, down to `left`. */
static void settle_some(struct delivery *d, struct line *l, size_t left)
{
    size_t n = 0;

    do
        settle_oldest(d, l);
    while (++n < NOTED_TOGETHER && l->count > left &&
           (oldest(l)->agent == NULL || agent_has_answered(oldest(l)->agent)));
    log_release(d->exim->log);
    deliver_journal_soon(d);
}

static void settle_until(struct delivery *d, struct line *l, size_t left)
{
    while (l->count > left)
        settle_some(d, l, left);
}

/* Shadows run between deliveries, and so alone. */
static bool runs_beside_others(const struct transport *t)
{
    return agent_is_quick(t) && t->shadow_instance == NULL && t->max_parallel == NULL;
}

static void deliver_one(struct delivery *d, struct line *l, struct address *batch)
{
    const struct transport *t = batch->transport;
    bool beside = runs_beside_others(t);

    d->in_flight++; /* before earlier ones are settled: they are noted while this one takes its time */
    if (!beside)
        settle_until(d, l, 0);
    else if (l->count == AGENT_JOBS_MAX)
        settle_some(d, l, 0);
    struct job *j = &l->jobs[(l->first + l->count) % AGENT_JOBS_MAX];
    j->batch = batch;
    j->agent = NULL;
    j->start = tod_monotonic_ms();
    if (deliver_prepare(d, t, batch, &j->call, &j->ctx)) {
        if (deliver_pretends(d))
            transport_set_all(&j->call, RC_OK, 0, NULL, NULL);
        else
            while (!start_job(j, t))
                settle_some(d, l, 0);
    }
    l->count++;
    if (!beside)
        settle_until(d, l, 0);
}

void deliver_local_all(struct delivery *d)
{
    drop_not_due(d);
    if (d->addr_local == NULL)
        return;
    struct line *l = arena_new_obj(d->arena, struct line);
    while (d->addr_local != NULL)
        deliver_one(d, l, take_batch(d));
    settle_until(d, l, 0);
    deliver_journal_sync(d);
}
