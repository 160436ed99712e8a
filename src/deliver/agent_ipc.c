#include "deliver/agent_ipc.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/wire.h"

enum { PACKET_MAX = 48 * 1024, HEAD_SIZE = 6 };

/* A packet: kind, "large" flag, length; then the bytes, unless large. */
static bool send_packet(int sock, enum agent_record kind, const struct buf *body, bool large,
                        const int *fds, int nfds)
{
    struct arena *a = arena_new("agent packet");
    struct buf b = buf_init(a, PACKET_MAX + HEAD_SIZE);

    wire_put_u8(&b, (uint8_t)kind);
    wire_put_u8(&b, large);
    wire_put_u32(&b, (uint32_t)body->len);
    if (!large)
        buf_add(&b, body->p, body->len);
    bool ok = fd_send_msg(sock, b.p, b.len, fds, nfds);
    int saved = errno;
    arena_destroy(&a);
    errno = saved;
    return ok;
}

bool agent_ipc_send(int sock, enum agent_record kind, const struct buf *body, int body_fd)
{
    int fds[2], nfds = 0;
    bool large = body->len > PACKET_MAX - HEAD_SIZE;

    if (body->full || body->len > AGENT_RECORD_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    if (!large) {
        if (body_fd >= 0)
            fds[nfds++] = body_fd;
        return send_packet(sock, kind, body, false, fds, nfds);
    }
    int mem = memfd_create("agent record", MFD_CLOEXEC);
    if (mem < 0)
        return false;
    fds[nfds++] = mem;
    if (body_fd >= 0)
        fds[nfds++] = body_fd;
    bool ok = fd_write_all(mem, body->p, body->len) && send_packet(sock, kind, body, true, fds, nfds);
    int saved = errno;
    fd_close(mem);
    errno = saved;
    return ok;
}

static bool read_large(struct arena *a, int fd, size_t len, struct str *body)
{
    if (fd < 0 || len > AGENT_RECORD_MAX)
        return false;
    char *p = arena_new_array(a, char, len + 1);
    if (fd_pread_full(fd, p, len, 0) != (ssize_t)len)
        return false;
    *body = (struct str){ p, len };
    return true;
}

static bool decode(struct arena *a, struct str packet, const int *fds, enum agent_record *kind,
                   struct str *body, int *body_fd)
{
    struct wire_reader r = wire_reader(packet);
    uint8_t k = wire_get_u8(&r), large = wire_get_u8(&r);
    size_t len = wire_get_u32(&r);

    if (r.bad || k < AGENT_DELIVER || k > AGENT_ERROR)
        return false;
    *kind = (enum agent_record)k;
    *body_fd = large ? fds[1] : fds[0];
    if (large)
        return read_large(a, fds[0], len, body);
    if ((size_t)(r.end - r.p) != len)
        return false;
    char *copy = arena_strndup(a, r.p, len);
    *body = (struct str){ copy, len };
    return true;
}

bool agent_ipc_recv(int sock, struct arena *a, enum agent_record *kind, struct str *body, int *body_fd)
{
    char packet[PACKET_MAX];
    int fds[FD_PASS_MAX];
    ssize_t n = fd_recv_msg(sock, packet, sizeof packet, fds);

    if (n <= 0)
        return false;
    bool ok = decode(a, (struct str){ packet, (size_t)n }, fds, kind, body, body_fd);
    for (int i = 0; i < FD_PASS_MAX; i++)
        if (fds[i] >= 0 && !(ok && fds[i] == *body_fd))
            fd_close(fds[i]);
    return ok;
}

bool agent_ipc_error(int sock, struct arena *a, int sys_errno, const char *msg)
{
    struct buf b = buf_init(a, AGENT_RECORD_MAX);

    wire_put_i64(&b, sys_errno);
    wire_put_cstr(&b, msg);
    return agent_ipc_send(sock, AGENT_ERROR, &b, -1);
}
