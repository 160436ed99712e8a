#include "ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/wire.h"

/* ---- parts ---- */

static void put_ip(struct buf *b, const struct ip *ip, uint16_t port)
{
    wire_put_u8(b, ip->family);
    wire_put_bytes(b, (struct str){ (const char *)ip->bytes, sizeof(ip->bytes) });
    wire_put_u32(b, port);
}

static void get_ip(struct wire_reader *r, struct ip *ip, uint16_t *port)
{
    ip->family = wire_get_u8(r);
    struct str bytes = wire_get_bytes(r);
    uint32_t number = wire_get_u32(r);

    if (r->bad || bytes.len != sizeof(ip->bytes) || number > 65535 ||
        (ip->family != 0 && ip->family != 4 && ip->family != 6)) {
        r->bad = true;
        return;
    }
    memcpy(ip->bytes, bytes.p, bytes.len);
    *port = (uint16_t)number;
}

static void put_bool(struct buf *b, bool v)
{
    wire_put_u8(b, v ? 1 : 0);
}

static bool get_bool(struct wire_reader *r)
{
    uint8_t v = wire_get_u8(r);

    r->bad = r->bad || v > 1;
    return v == 1;
}

static struct str get_copy(struct wire_reader *r, struct arena *a)
{
    struct str s = wire_get_bytes(r);

    return r->bad ? STR("") : (struct str){ str_dup(a, s), s.len };
}

static void get_id(struct wire_reader *r, char id[MSGID_LEN + 1])
{
    struct str s = wire_get_bytes(r);

    if (r->bad || s.len != MSGID_LEN) {
        r->bad = true;
        return;
    }
    memcpy(id, s.p, MSGID_LEN);
    id[MSGID_LEN] = '\0';
    r->bad = !msgid_valid(id);
}

static uint8_t get_enum(struct wire_reader *r, unsigned count)
{
    uint8_t v = wire_get_u8(r);

    r->bad = r->bad || v >= count;
    return r->bad ? 0 : v;
}

/* ---- the state of a PROXY negotiation ---- */

static void put_proxy(struct buf *b, const struct proxy_state *p)
{
    const struct proxy_header *h = &p->header;

    put_bool(b, p->ok);
    wire_put_cstr(b, p->failure);
    wire_put_bytes(b, p->first_bytes);
    wire_put_u8(b, (uint8_t)h->version);
    put_bool(b, h->local_command);
    put_bool(b, h->crc_verified);
    wire_put_u8(b, (uint8_t)h->kind);
    put_ip(b, &h->client, h->client_port);
    put_ip(b, &h->target, h->target_port);
    wire_put_bytes(b, h->tlvs);
    wire_put_u32(b, (uint32_t)h->used);
}

static void get_proxy(struct wire_reader *r, struct arena *a, struct proxy_state *p)
{
    struct proxy_header *h = &p->header;

    p->ok = get_bool(r);
    p->failure = wire_get_cstr(r, a);
    p->first_bytes = get_copy(r, a);
    h->version = get_enum(r, 3);
    h->local_command = get_bool(r);
    h->crc_verified = get_bool(r);
    h->kind = (enum proxy_kind)get_enum(r, 2);
    get_ip(r, &h->client, &h->client_port);
    get_ip(r, &h->target, &h->target_port);
    h->tlvs = get_copy(r, a);
    h->used = wire_get_u32(r);
    r->bad = r->bad || (!p->ok && p->failure == NULL);
}

/* ---- records ---- */

static void put_agent(struct buf *b, const struct ipc_record *r)
{
    wire_put_u32(b, r->agent.uid);
    wire_put_u32(b, r->agent.gid);
    wire_put_cstr(b, r->agent.init_user);
    wire_put_u8(b, r->agent.shared);
}

static void get_agent(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    r->agent.uid = wire_get_u32(w);
    r->agent.gid = wire_get_u32(w);
    r->agent.init_user = wire_get_cstr(w, a);
    r->agent.shared = wire_get_u8(w);
    if (r->agent.init_user != NULL && strlen(r->agent.init_user) > IPC_USER_MAX)
        w->bad = true;
}

static void put_answer(struct buf *b, const struct ipc_record *r)
{
    put_bool(b, r->answer.ok);
    wire_put_u32(b, (uint32_t)r->answer.sys_errno);
    wire_put_cstr(b, r->answer.text);
}

static void get_answer(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    r->answer.ok = get_bool(w);
    r->answer.sys_errno = (int)wire_get_u32(w);
    r->answer.text = wire_get_cstr(w, a);
}

static void put_connection(struct buf *b, const struct ipc_record *r)
{
    const struct ipc_connection *c = &r->connection;

    put_ip(b, &c->client, c->client_port);
    put_ip(b, &c->local, c->local_port);
    put_bool(b, c->tls_on_connect);
    put_bool(b, c->proxy_session);
    wire_put_u32(b, c->count);
    put_bool(b, c->has_proxy);
    if (c->has_proxy)
        put_proxy(b, &c->proxy);
}

static void get_connection(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    struct ipc_connection *c = &r->connection;

    get_ip(w, &c->client, &c->client_port);
    get_ip(w, &c->local, &c->local_port);
    c->tls_on_connect = get_bool(w);
    c->proxy_session = get_bool(w);
    c->count = wire_get_u32(w);
    c->has_proxy = get_bool(w);
    if (c->has_proxy)
        get_proxy(w, a, &c->proxy);
}

static void put_idle(struct buf *b, const struct ipc_record *r)
{
    put_bool(b, r->idle.leaving);
}

static void get_idle(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    (void)a;
    r->idle.leaving = get_bool(w);
}

static void put_notice(struct buf *b, const struct ipc_record *r)
{
    wire_put_cstr(b, r->notice.id);
    wire_put_u8(b, (uint8_t)r->notice.what);
    wire_put_i64(b, (int64_t)r->notice.place);
}

static void get_notice(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    (void)a;
    get_id(w, r->notice.id);
    r->notice.what = (enum ipc_notice_what)get_enum(w, IPC_NOTICE_COUNT);
    r->notice.place = (uint64_t)wire_get_i64(w);
}

static void put_deliver(struct buf *b, const struct ipc_record *r)
{
    wire_put_cstr(b, r->deliver.id);
    wire_put_u32(b, r->deliver.flags);
    wire_put_i64(b, (int64_t)r->deliver.place);
}

static void get_deliver(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    (void)a;
    get_id(w, r->deliver.id);
    r->deliver.flags = wire_get_u32(w);
    r->deliver.place = (uint64_t)wire_get_i64(w);
}

static void put_report(struct buf *b, const struct ipc_record *r)
{
    wire_put_cstr(b, r->report.id);
    wire_put_u32(b, (uint32_t)r->report.rc);
    wire_put_i64(b, r->report.next_try);
    put_bool(b, r->report.leaving);
}

static void get_report(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    (void)a;
    get_id(w, r->report.id);
    r->report.rc = (int)wire_get_u32(w);
    r->report.next_try = wire_get_i64(w);
    r->report.leaving = get_bool(w);
}

static void put_nothing(struct buf *b, const struct ipc_record *r)
{
    (void)b;
    (void)r;
}

static void get_nothing(struct wire_reader *w, struct arena *a, struct ipc_record *r)
{
    (void)w;
    (void)a;
    (void)r;
}

static const struct {
    void (*put)(struct buf *b, const struct ipc_record *r);
    void (*get)(struct wire_reader *w, struct arena *a, struct ipc_record *r);
} codecs[IPC_COUNT] = {
    [IPC_AGENT] = { put_agent, get_agent },
    [IPC_ANSWER] = { put_answer, get_answer },
    [IPC_CONNECTION] = { put_connection, get_connection },
    [IPC_IDLE] = { put_idle, get_idle },
    [IPC_NOTICE] = { put_notice, get_notice },
    [IPC_DELIVER] = { put_deliver, get_deliver },
    [IPC_REPORT] = { put_report, get_report },
    [IPC_STATUS] = { put_nothing, get_nothing },
};

void ipc_encode(struct buf *out, const struct ipc_record *r)
{
    wire_put_u8(out, (uint8_t)r->kind);
    codecs[r->kind].put(out, r);
}

bool ipc_decode(struct arena *a, struct str packet, struct ipc_record *out)
{
    struct wire_reader w = wire_reader(packet);
    uint8_t kind = wire_get_u8(&w);

    *out = (struct ipc_record){ 0 };
    if (w.bad || kind == 0 || kind >= IPC_COUNT)
        return false;
    out->kind = (enum ipc_kind)kind;
    codecs[kind].get(&w, a, out);
    return wire_done(&w);
}

bool ipc_send(int sock, const struct ipc_record *r, int fd)
{
    struct arena *a = arena_new("ipc");
    struct buf b = buf_init(a, IPC_RECORD_MAX);

    ipc_encode(&b, r);
    if (b.full)
        errno = EMSGSIZE;
    bool ok = !b.full && fd_send_msg(sock, b.p, b.len, &fd, fd >= 0 ? 1 : 0);
    int why = errno;
    arena_destroy(&a);
    errno = why;
    return ok;
}

enum { USUAL = 1024, REST = IPC_RECORD_MAX - USUAL }; /* of a packet: nearly all are no longer than the first */

/* Where the rest goes: no memory until a packet has one. NULL: there is no room. */
static char *room_for_rest(void)
{
    static char *room;

    if (room == NULL) {
        void *p = mmap(NULL, REST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        room = p == MAP_FAILED ? NULL : p;
    }
    return room;
}

static struct str whole(struct arena *a, const char usual[USUAL], const char *rest, size_t size)
{
    if (size <= USUAL)
        return (struct str){ usual, size };
    char *p = arena_alloc(a, size, 1);
    memcpy(p, usual, USUAL);
    memcpy(p + USUAL, rest, size - USUAL);
    return (struct str){ p, size };
}

enum ipc_rc ipc_receive(int sock, struct arena *a, struct ipc_record *out, int *fd)
{
    char usual[USUAL];
    char *rest = room_for_rest();
    struct iovec parts[] = { { usual, sizeof(usual) }, { rest, REST } };
    int fds[FD_PASS_MAX];
    ssize_t got = fd_recv_parts(sock, parts, rest == NULL ? 1 : 2, fds);

    *fd = -1;
    if (got < 0)
        return errno == EAGAIN ? IPC_NONE : errno == ECONNRESET ? IPC_END : IPC_FAILED;
    for (int i = 1; i < FD_PASS_MAX; i++)
        if (fds[i] >= 0)
            (void)fd_close(fds[i]);
    if (got > 0 && ipc_decode(a, whole(a, usual, rest, (size_t)got), out)) {
        *fd = fds[0];
        return IPC_OK;
    }
    if (fds[0] >= 0)
        (void)fd_close(fds[0]);
    errno = EPROTO;
    return got == 0 ? IPC_END : IPC_FAILED;
}

bool ipc_pair(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}
