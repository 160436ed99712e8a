/* What an agent answers besides deliveries: files and commands as its user. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/wire.h"
#include "deliver/agent_int.h"
#include "deliver/agent_ipc.h"
#include "message.h"
#include "transports/capture.h"

enum { FILE_MAX = MAX_FILTER_SIZE, MAX_IDS = 1000 };

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

static bool read_checked(int sock, struct arena *a, const char *path,
                         const struct file_rules *f)
{
    struct stat st;
    struct str text;
    int fd = fd_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

    if (fd < 0)
        return agent_ipc_error(
            sock, a, errno,
            arena_printf(a, "failed to open %s: %s", path, strerror(errno)));
    arena_owns_fd(a, fd);
    if (fstat(fd, &st) != 0)
        return agent_ipc_error(
            sock, a, errno,
            arena_printf(a, "failed to fstat %s: %s", path, strerror(errno)));
    const char *why = file_refused(a, path, &st, f);
    if (why != NULL)
        return agent_ipc_error(sock, a, EPERM, why);
    if (!fd_slurp(a, fd, FILE_MAX, &text))
        return agent_ipc_error(
            sock, a, errno,
            arena_printf(a, "failed to read %s: %s", path, strerror(errno)));
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    buf_add_str(&b, text);
    return agent_ipc_send(sock, AGENT_TEXT, &b, -1);
}

bool agent_on_read_file(int sock, struct arena *a, struct str body)
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
        return agent_ipc_error(sock, a, EPROTO, "malformed file request");
    return read_checked(sock, a, path, f);
}

bool agent_on_exists(int sock, struct arena *a, struct str body)
{
    struct wire_reader r = wire_reader(body);
    const char *path = wire_get_cstr(&r, a);
    struct stat st;
    struct buf b = buf_init(a, AGENT_RECORD_MAX);

    if (!wire_done(&r) || path == NULL)
        return agent_ipc_error(sock, a, EPROTO, "malformed file request");
    if (stat(path, &st) != 0)
        return agent_ipc_error(sock, a, errno, strerror(errno));
    return agent_ipc_send(sock, AGENT_TEXT, &b, -1);
}

bool agent_on_run(int sock, struct arena *a, struct str body)
{
    struct wire_reader r = wire_reader(body);
    uint32_t n = wire_get_count(&r, 1);
    char **argv = arena_new_array(a, char *, n + 1);
    struct capture_command c = { .argv = argv };
    struct str output;
    struct err err = { 0 };

    for (uint32_t i = 0; i < n; i++)
        argv[i] = unconst(wire_get_cstr(&r, a));
    c.cwd = wire_get_cstr(&r, a);
    c.timeout = (long)wire_get_i64(&r);
    if (!wire_done(&r) || n == 0 || argv[0] == NULL)
        return agent_ipc_error(sock, a, EPROTO, "malformed command request");
    if (!capture_run(a, &c, &output, &err))
        return agent_ipc_error(sock, a, err.sys_errno, err.msg);
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    buf_add_str(&b, output);
    return agent_ipc_send(sock, AGENT_TEXT, &b, -1);
}
