#include "deliver/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/wire.h"
#include "config/config.h"
#include "deliver/agent_ipc.h"
#include "deliver/deliver_int.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "spool.h"
#include "transports/capture.h"
#include "transports/transport.h"

enum { FILE_MAX = MAX_FILTER_SIZE, MAX_ADDRESSES = 100000, MAX_IDS = 1000 };

struct agent {
    struct exim *exim;
    int sock;
    struct message *message; /* what the next deliveries are about */
};

static bool send_error(struct agent *ag, struct arena *a, int sys_errno, const char *msg)
{
    struct buf b = buf_init(a, AGENT_RECORD_MAX);

    wire_put_i64(&b, sys_errno);
    wire_put_cstr(&b, msg);
    return agent_ipc_send(ag->sock, AGENT_ERROR, &b, -1);
}

static bool on_message(struct agent *ag, struct str body, int body_fd)
{
    struct wire_reader r = wire_reader(body);
    struct str text = wire_get_bytes(&r), inside = wire_get_bytes(&r);
    off_t start = wire_get_i64(&r), size = wire_get_i64(&r);
    struct err err = { 0 };

    message_free(&ag->message);
    if (!wire_done(&r) || size < 0 || (body_fd < 0 && inside.len != (size_t)size)) {
        if (body_fd >= 0)
            (void)fd_close(body_fd);
        return false;
    }
    ag->message = message_new("agent message");
    ag->message->body = (struct body){ .fd = body_fd, .start = start, .size = size };
    if (body_fd >= 0)
        arena_owns_fd(ag->message->arena, body_fd);
    else
        ag->message->body.text = str_dup(ag->message->arena, inside);
    return spool_header_parse(ag->message, text, &err);
}

/* Where the driver starts from: current_directory, else home, else the root. */
static void enter_directory(const struct address *addr)
{
    const char *dir = addr->current_dir != NULL ? addr->current_dir : addr->home_dir;

    if (dir == NULL || dir[0] != '/' || chdir(dir) != 0)
        if (chdir("/") != 0)
            die("cannot change directory to /: %s", strerror(errno));
}

static void run_transport(struct agent *ag, struct arena *a, const struct transport *t,
                          const char *return_path, struct address *addrs)
{
    struct expand_ctx ctx;
    struct transport_call call = {
        .ctx = &ctx, .message = ag->message, .addrs = addrs, .return_path = return_path
    };

    expand_ctx_init(&ctx, ag->exim, a);
    ctx.message = ag->message;
    ctx.addr = addrs;
    ctx.transport = t;
    ctx.router = addrs->router;
    ctx.host = addrs->host_list;
    enter_directory(addrs);
    umask(077);
    t->driver->deliver(t, &call);
}

static bool on_deliver(struct agent *ag, struct arena *a, struct str body)
{
    struct wire_reader r = wire_reader(body);
    const char *name = wire_get_cstr(&r, a), *return_path = wire_get_cstr(&r, a);
    uint32_t n = wire_get_count(&r, 1);
    struct address *first = NULL, **tail = &first;
    const struct transport *t =
        name == NULL ? NULL : transport_find(ag->exim->config, name);

    for (uint32_t i = 0; i < n && i < MAX_ADDRESSES; i++) {
        struct address *addr = report_get_job(&r, a, ag->exim);
        if (addr == NULL)
            return false;
        addr->transport = t;
        *tail = addr;
        tail = &addr->next;
    }
    if (ag->exim->address_test) /* an agent of a session reads files, no more */
        return send_error(ag, a, EPERM, "this agent does not deliver");
    if (!wire_done(&r) || first == NULL || t == NULL || ag->message == NULL)
        return send_error(ag, a, EPROTO, "malformed delivery job");
    run_transport(ag, a, t, return_path == NULL ? "" : return_path, first);

    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    for (const struct address *addr = first; addr != NULL; addr = addr->next)
        report_put_result(&b, addr);
    return agent_ipc_send(ag->sock, AGENT_RESULTS, &b, -1);
}

static bool get_ids(struct wire_reader *r, uint32_t *ids, size_t *n)
{
    uint32_t count = wire_get_count(r, 4);

    for (uint32_t i = 0; i < count && i < MAX_IDS; i++)
        ids[i] = wire_get_u32(r);
    *n = count;
    return !r->bad && count <= MAX_IDS;
}

static bool has_id(const uint32_t *ids, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

struct file_rules {
    long modemask;
    bool check_owner, check_group;
    uint32_t owners[MAX_IDS], groups[MAX_IDS];
    size_t owner_count, group_count;
};

/* NULL: fine; else why redirect may not use the file. */
static const char *file_refused(struct arena *a, const char *path, const struct stat *st,
                                const struct file_rules *f)
{
    if (!S_ISREG(st->st_mode))
        return arena_printf(a, "%s is not a regular file", path);
    if (((long)st->st_mode & 07777 & f->modemask) != 0)
        return arena_printf(a, "bad mode (0%lo) for %s: 0%lo bit(s) unexpected",
                            (unsigned long)st->st_mode, path,
                            (unsigned long)st->st_mode & 07777 &
                                (unsigned long)f->modemask);
    if (f->check_owner && !has_id(f->owners, f->owner_count, st->st_uid))
        return arena_printf(a, "bad owner for %s", path);
    if (f->check_group && !has_id(f->groups, f->group_count, st->st_gid))
        return arena_printf(a, "bad group for %s", path);
    return NULL;
}

static bool read_checked(struct agent *ag, struct arena *a, const char *path,
                         const struct file_rules *f)
{
    struct stat st;
    struct str text;
    int fd = fd_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0)
        return send_error(
            ag, a, errno,
            arena_printf(a, "failed to open %s: %s", path, strerror(errno)));
    arena_owns_fd(a, fd);
    if (fstat(fd, &st) != 0)
        return send_error(
            ag, a, errno,
            arena_printf(a, "failed to fstat %s: %s", path, strerror(errno)));
    const char *why = file_refused(a, path, &st, f);
    if (why != NULL)
        return send_error(ag, a, EPERM, why);
    if (!fd_slurp(a, fd, FILE_MAX, &text))
        return send_error(
            ag, a, errno,
            arena_printf(a, "failed to read %s: %s", path, strerror(errno)));
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    buf_add_str(&b, text);
    return agent_ipc_send(ag->sock, AGENT_TEXT, &b, -1);
}

static bool on_read_file(struct agent *ag, struct arena *a, struct str body)
{
    struct wire_reader r = wire_reader(body);
    struct file_rules *f = arena_new_obj(a, struct file_rules);
    const char *path = wire_get_cstr(&r, a);

    f->modemask = (long)wire_get_i64(&r);
    uint8_t bits = wire_get_u8(&r);
    f->check_owner = bits & 1;
    f->check_group = bits & 2;
    if (!get_ids(&r, f->owners, &f->owner_count) ||
        !get_ids(&r, f->groups, &f->group_count) || !wire_done(&r) || path == NULL)
        return send_error(ag, a, EPROTO, "malformed file request");
    return read_checked(ag, a, path, f);
}

static bool on_exists(struct agent *ag, struct arena *a, struct str body)
{
    struct wire_reader r = wire_reader(body);
    const char *path = wire_get_cstr(&r, a);
    struct stat st;
    struct buf b = buf_init(a, AGENT_RECORD_MAX);

    if (!wire_done(&r) || path == NULL)
        return send_error(ag, a, EPROTO, "malformed file request");
    if (stat(path, &st) != 0)
        return send_error(ag, a, errno, strerror(errno));
    return agent_ipc_send(ag->sock, AGENT_TEXT, &b, -1);
}

static bool on_run(struct agent *ag, struct arena *a, struct str body)
{
    struct wire_reader r = wire_reader(body);
    uint32_t n = wire_get_count(&r, 1);
    char **argv = arena_new_array(a, char *, n + 1);
    struct capture_command c = { .argv = argv };
    struct str output;
    struct err err = { 0 };

    for (uint32_t i = 0; i < n; i++)
        argv[i] = (char *)wire_get_cstr(&r, a);
    c.cwd = wire_get_cstr(&r, a);
    c.timeout = (long)wire_get_i64(&r);
    if (!wire_done(&r) || n == 0 || argv[0] == NULL)
        return send_error(ag, a, EPROTO, "malformed command request");
    if (!capture_run(a, &c, &output, &err))
        return send_error(ag, a, err.sys_errno, err.msg);
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    buf_add_str(&b, output);
    return agent_ipc_send(ag->sock, AGENT_TEXT, &b, -1);
}

/* False ends the agent: the peer is gone or does not speak the protocol. */
static bool serve_one(struct agent *ag)
{
    struct arena *a = arena_new("agent job");
    enum agent_record kind;
    struct str body;
    int fd = -1;
    bool ok = agent_ipc_recv(ag->sock, a, &kind, &body, &fd);

    if (ok && fd >= 0 && kind != AGENT_MESSAGE) {
        fd_close(fd);
        ok = false;
    }
    if (ok)
        switch (kind) {
        case AGENT_MESSAGE:
            ok = on_message(ag, body, fd);
            break;
        case AGENT_DELIVER:
            ok = on_deliver(ag, a, body);
            break;
        case AGENT_READ_FILE:
            ok = on_read_file(ag, a, body);
            break;
        case AGENT_EXISTS:
            ok = on_exists(ag, a, body);
            break;
        case AGENT_RUN:
            ok = on_run(ag, a, body);
            break;
        default:
            ok = false;
        }
    arena_destroy(&a);
    return ok;
}

void agent_main(struct exim *e, int fd)
{
    struct agent ag = { .exim = e, .sock = fd };

    while (serve_one(&ag))
        ;
    message_free(&ag.message);
    _exit(0);
}
