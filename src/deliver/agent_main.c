#include "deliver/agent.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/wire.h"
#include "config/config.h"
#include "deliver/agent_int.h"
#include "deliver/agent_ipc.h"
#include "deliver/deliver_int.h"
#include "exim.h"
#include "ipc.h"
#include "message.h"
#include "spool.h"
#include "transports/transport.h"

enum { MAX_ADDRESSES = 100000, LINKS_MAX = 256, BATCH_MAX = 32 /* open files */ };

/* A delivery that is under way; its answer follows those of the link's earlier ones. */
struct run {
    struct run *next;
    struct arena *arena;
    struct agent_link *link;
    struct expand_ctx ctx;
    struct transport_call call;
    const struct transport *transport;
    struct transport_pending *pending; /* NULL: the result is set */
};

struct agent_link {
    int sock; /* -1: the other end is gone; dropped after the batch */
    struct message *message; /* what its next deliveries are about */
    size_t runs;             /* under way */
};

struct agent {
    struct exim *exim;
    int control; /* further links come from there; -1: none do */
    struct agent_link links[LINKS_MAX];
    size_t count;
    struct run *batch, **tail; /* begun, in order */
    size_t batch_size;
};

/* body_fd is the message's from now on. */
static bool read_message(struct agent_link *l, struct wire_reader *r, int body_fd)
{
    struct str text = wire_get_bytes(r), inside = wire_get_bytes(r);
    off_t start = wire_get_i64(r), size = wire_get_i64(r);
    struct err err = { 0 };

    message_free(&l->message);
    l->message = message_new("agent message");
    l->message->body = (struct body){ .fd = body_fd, .start = start, .size = size };
    if (body_fd >= 0)
        arena_owns_fd(l->message->arena, body_fd);
    else
        l->message->body.text = str_dup(l->message->arena, inside);
    return !r->bad && start >= 0 && size >= 0 && (body_fd >= 0 || inside.len == (size_t)size) &&
           spool_header_parse(l->message, text, &err);
}

/* ---- deliveries ---- */

/* Where the driver starts from: current_directory, else home, else the root. */
static void enter_directory(const struct address *addr)
{
    const char *dir = addr->current_dir != NULL ? addr->current_dir : addr->home_dir;

    if (dir == NULL || dir[0] != '/' || chdir(dir) != 0)
        if (chdir("/") != 0)
            die("cannot change directory to /: %s", strerror(errno));
}

static void begin(struct agent *ag, struct run *run)
{
    const struct transport *t = run->transport;
    struct address *addrs = run->call.addrs;

    expand_ctx_init(&run->ctx, ag->exim, run->arena);
    run->ctx.message = run->call.message;
    run->ctx.addr = addrs;
    run->ctx.transport = t;
    run->ctx.router = addrs->router;
    run->ctx.host = addrs->host_list;
    run->call.ctx = &run->ctx;
    enter_directory(addrs);
    if (t->driver->begin != NULL)
        run->pending = t->driver->begin(t, &run->call);
    else
        t->driver->deliver(t, &run->call);
}

static bool answer(const struct run *run)
{
    struct buf b = buf_init(run->arena, AGENT_RECORD_MAX);

    for (const struct address *addr = run->call.addrs; addr != NULL; addr = addr->next)
        report_put_result(&b, addr);
    return agent_ipc_send(run->link->sock, AGENT_RESULTS, &b, -1);
}

/* All of one driver that wait, at once. */
static void finish_like(struct run *first)
{
    void (*finish)(struct transport_pending *) = first->transport->driver->finish;
    struct transport_pending *list = NULL, **tail = &list;

    for (struct run *run = first; run != NULL; run = run->next) {
        if (run->pending == NULL || run->transport->driver->finish != finish)
            continue;
        run->pending->next = NULL;
        *tail = run->pending;
        tail = &run->pending->next;
        run->pending = NULL;
    }
    finish(list);
}

static void drop_link(struct agent_link *l)
{
    if (l->sock >= 0)
        (void)fd_close(l->sock);
    l->sock = -1;
}

static void finish_batch(struct agent *ag)
{
    for (struct run *run = ag->batch; run != NULL; run = run->next)
        if (run->pending != NULL)
            finish_like(run);
    for (struct run *run = ag->batch, *next; run != NULL; run = next) {
        next = run->next;
        run->link->runs--;
        if (run->link->sock >= 0 && !answer(run))
            drop_link(run->link);
        arena_destroy(&run->arena);
    }
    ag->batch = NULL;
    ag->tail = &ag->batch;
    ag->batch_size = 0;
}

static bool read_job(struct agent *ag, struct run *run, struct wire_reader *r)
{
    const char *name = wire_get_cstr(r, run->arena), *return_path = wire_get_cstr(r, run->arena);
    uint32_t n = wire_get_count(r, 1);
    struct address **tail = &run->call.addrs;

    run->transport = name == NULL ? NULL : transport_find(ag->exim->config, name);
    run->call.message = run->link->message;
    run->call.return_path = return_path == NULL ? "" : return_path;
    for (uint32_t i = 0; i < n && i < MAX_ADDRESSES; i++) {
        struct address *addr = report_get_job(r, run->arena, ag->exim);
        if (addr == NULL)
            return false;
        addr->transport = run->transport;
        *tail = addr;
        tail = &addr->next;
    }
    return wire_done(r) && run->call.addrs != NULL && run->transport != NULL && run->call.message != NULL;
}

static void add_to_batch(struct agent *ag, struct run *run)
{
    *ag->tail = run;
    ag->tail = &run->next;
    ag->batch_size++;
    run->link->runs++;
}

/* *a becomes the run's, if it comes to one: NULL then. A new message waits for the runs of the one before. */
static bool on_deliver(struct agent *ag, struct agent_link *l, struct arena **a, struct str body, int body_fd)
{
    struct wire_reader r = wire_reader(body);
    bool is_new = wire_get_u8(&r) != 0;
    struct run *run = arena_new_obj(*a, struct run);

    run->arena = *a;
    run->link = l;
    if (is_new && l->runs > 0)
        finish_batch(ag);
    if (body_fd >= 0 && !is_new)
        (void)fd_close(body_fd);
    if (is_new && !read_message(l, &r, body_fd))
        return false;
    if (ag->exim->address_test) /* an agent of a session reads files, no more */
        return agent_ipc_error(l->sock, *a, EPERM, "this agent does not deliver");
    if (!read_job(ag, run, &r))
        return agent_ipc_error(l->sock, *a, EPROTO, "malformed delivery job");
    *a = NULL;
    add_to_batch(ag, run);
    begin(ag, run);
    return true;
}

/* ---- links ---- */

static bool serve_record(struct agent *ag, struct agent_link *l, struct arena **a)
{
    enum agent_record kind;
    struct str body;
    int fd = -1;

    if (!agent_ipc_recv(l->sock, *a, &kind, &body, &fd))
        return false;
    if (kind == AGENT_DELIVER)
        return on_deliver(ag, l, a, body, fd);
    if (fd >= 0) {
        fd_close(fd);
        return false;
    }
    if (l->runs > 0)
        finish_batch(ag);
    switch (kind) {
    case AGENT_READ_FILE:
        return agent_on_read_file(l->sock, *a, body);
    case AGENT_EXISTS:
        return agent_on_exists(l->sock, *a, body);
    case AGENT_RUN:
        return agent_on_run(l->sock, *a, body);
    default:
        return false;
    }
}

static void serve_link(struct agent *ag, struct agent_link *l)
{
    struct arena *a = arena_new("agent job");

    if (!serve_record(ag, l, &a)) /* the peer is gone or does not speak the protocol */
        drop_link(l);
    arena_destroy(&a);
    if (ag->batch_size == BATCH_MAX)
        finish_batch(ag);
}

static void add_link(struct agent *ag, int sock)
{
    ag->links[ag->count++] = (struct agent_link){ .sock = sock };
}

/* False: there is nothing now. There is room for one. */
static bool take_link(struct agent *ag)
{
    struct arena *a = arena_new("link");
    struct ipc_record r;
    int sock = -1;
    enum ipc_rc rc = ipc_receive(ag->control, a, &r, &sock);

    if (rc == IPC_OK && sock >= 0)
        add_link(ag, sock);
    if (rc == IPC_END || rc == IPC_FAILED) { /* the broker has ended, or wants others from now on */
        (void)fd_close(ag->control);
        ag->control = -1;
    }
    arena_destroy(&a);
    return rc == IPC_OK;
}

/* No more links are wanted; those that are on their way still count. */
static void refuse_links(struct agent *ag)
{
    (void)shutdown(ag->control, SHUT_RD);
    while (ag->control >= 0 && ag->count < LINKS_MAX && take_link(ag))
        ;
    if (ag->control >= 0)
        (void)fd_close(ag->control);
    ag->control = -1;
}

static void sweep_links(struct agent *ag)
{
    for (size_t i = ag->count; i-- > 0;) {
        if (ag->links[i].sock >= 0)
            continue;
        message_free(&ag->links[i].message);
        ag->links[i] = ag->links[--ag->count];
    }
    if (ag->count == 0 && ag->control >= 0)
        refuse_links(ag);
}

/* Whatever has come is begun; when nothing more is there, what was begun is finished together. */
static void serve(struct agent *ag)
{
    struct pollfd fds[LINKS_MAX + 1];
    size_t n = ag->count;

    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){ .fd = ag->links[i].sock, .events = POLLIN };
    fds[n] = (struct pollfd){ .fd = n < LINKS_MAX ? ag->control : -1, .events = POLLIN };
    int ready = fd_poll(fds, n + 1, ag->batch != NULL ? 0 : -1);
    if (ready < 0 && ag->batch == NULL)
        die("agent: %s", strerror(errno));
    if (ready <= 0) {
        finish_batch(ag);
    } else {
        for (size_t i = 0; i < n; i++)
            if (fds[i].revents != 0 && ag->links[i].sock >= 0)
                serve_link(ag, &ag->links[i]);
        if (fds[n].revents != 0)
            (void)take_link(ag);
    }
    if (ag->batch == NULL)
        sweep_links(ag);
}

void agent_main(struct exim *e, int link, int control)
{
    struct agent ag = { .exim = e, .control = control };

    ag.tail = &ag.batch;
    umask(077);
    if (control >= 0 && !fd_set_nonblock(control, true))
        die("agent: %s", strerror(errno));
    add_link(&ag, link);
    while (ag.count > 0)
        serve(&ag);
    _exit(0);
}
