/* link: base deliver/agent_ipc */
/* A packet from the other side of an agent's socket, with a file beside it or not. What is taken can be sent
 * again, and is the same then. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "deliver/agent_ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGE_MAX = 1 << 20 };

/* Allocating what a false length claims is the reader's business, but not a test of it. */
static bool is_too_large(const uint8_t *p, size_t n)
{
    return n >= 6 && p[1] != 0 && (p[2] != 0 || p[3] > (LARGE_MAX >> 16));
}

static void send_again(struct arena *a, int socks[2], enum agent_record kind, struct str body)
{
    enum agent_record kind2;
    struct str body2;
    struct buf b = buf_init(a, AGENT_RECORD_MAX);
    int fd;

    buf_add_str(&b, body);
    if (!agent_ipc_send(socks[0], kind, &b, -1) || !agent_ipc_recv(socks[1], a, &kind2, &body2, &fd) ||
        kind2 != kind || fd >= 0 || !str_eq(body, body2))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    enum agent_record kind;
    struct str body;
    int socks[2], body_fd = -1, files[2] = { -1, -1 }, count = size == 0 ? 0 : data[0] % 3;

    if (size < 2 || size > 32 * 1024 || is_too_large(data + 1, size - 1) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0) {
        arena_destroy(&a);
        return 0;
    }
    for (int i = 0; i < count; i++) {
        files[i] = memfd_create("fuzz", MFD_CLOEXEC);
        if (!fd_write_all(files[i], data, size))
            abort();
    }
    if (!fd_send_msg(socks[0], data + 1, size - 1, files, count))
        abort();
    if (agent_ipc_recv(socks[1], a, &kind, &body, &body_fd)) {
        if (body_fd >= 0)
            (void)fd_close(body_fd);
        send_again(a, socks, kind, body);
    }
    for (int i = 0; i < 2; i++) {
        if (files[i] >= 0)
            (void)fd_close(files[i]);
        (void)fd_close(socks[i]);
    }
    arena_destroy(&a);
    return 0;
}
