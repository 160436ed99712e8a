#include "smtp/proxy_negotiate.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "match.h"
#include "proxy.h"
#include "smtp_in.h"

enum { FIRST_BYTES = 64 };

static bool is_listed(struct exim *e, struct arena *a, const struct smtp_peer *peer)
{
    char text[IP_TEXT_MAX];
    struct match_host_subject host = { .address = ip_print(&peer->client, text) };
    struct expand_ctx ctx;

    if (e->config->main.proxy_required_hosts == NULL || peer->client.family == 0)
        return false;
    expand_ctx_init(&ctx, e, a);
    return match_host(&ctx, e->config->main.proxy_required_hosts, &host, NULL) != RC_FAIL;
}

/* Up to n bytes in all. False: state->failure says why no more came. */
static bool read_to(int fd, int64_t deadline, struct buf *in, size_t n,
                    struct proxy_state *state)
{
    char *to = buf_reserve(in, n - in->len);
    int ready = to == NULL ? -1 : fd_wait_read(fd, deadline);
    ssize_t got = ready > 0 ? fd_read(fd, to, n - in->len) : -1;

    if (got > 0) {
        buf_commit(in, (size_t)got);
        return true;
    }
    state->failure = proxy_reason_text(ready == 0 && in->len == 0 ? PROXY_REASON_SILENT
                                       : ready == 0 ? PROXY_REASON_INCOMPLETE
                                       : got == 0 && in->len == 0 ? PROXY_REASON_CLOSED
                                       : got == 0 ? PROXY_REASON_CLOSED_WITHIN
                                                  : PROXY_REASON_LOST);
    return false;
}

/* Exactly the header's bytes; false with state->failure and what came instead. */
static bool read_header(int fd, int64_t deadline, struct buf *in, size_t max,
                        struct proxy_state *state)
{
    size_t need = 1;

    for (;;) {
        enum proxy_rc rc =
            proxy_decode(&state->header, (const unsigned char *)buf_cstr(in), in->len,
                         max, &need, &state->failure);
        if (rc == PROXY_OK)
            return true;
        if (rc == PROXY_BAD || !read_to(fd, deadline, in, need, state))
            return false;
    }
}

/* Reads the rest of a header that is refused. What is behind it is the client's. */
static struct str drop_header(int fd, int64_t deadline, struct buf *in)
{
    struct proxy_state ignored = { 0 };
    bool complete = false;
    size_t extent;

    for (;;) {
        const unsigned char *p = (const unsigned char *)buf_cstr(in);
        size_t more = 1;

        extent = proxy_extent(p, in->len, &complete);
        if (complete)
            break;
        if (p[0] != 'P' && in->len >= PROXY_V2_FIXED)
            more = PROXY_V2_FIXED + ((size_t)p[14] << 8 | p[15]) - in->len;
        if (!read_to(fd, deadline, in, in->len + more, &ignored))
            break;
    }
    return (struct str){ in->p + extent, in->len - extent };
}

void smtp_proxy_negotiate(struct exim *e, struct arena *a, struct smtp_peer *peer)
{
    const struct main_options *o = &e->config->main;
    struct proxy_state *state = arena_new_obj(a, struct proxy_state);
    struct buf in = buf_init(a, PROXY_HEADER_MAX);

    if (!is_listed(e, a, peer))
        return;
    int64_t deadline = tod_monotonic_ms() + o->proxy_protocol_timeout * 1000;
    state->ok = read_header(peer->in_fd, deadline, &in,
                            (size_t)o->proxy_protocol_max_header, state);
    if (state->ok) {
        state->failure = NULL;
    } else if (in.len > 0) {
        peer->early = drop_header(peer->in_fd, deadline, &in);
        state->first_bytes =
            (struct str){ in.p, in.len < FIRST_BYTES ? in.len : FIRST_BYTES };
    }
    peer->proxy = state;
    peer->proxy_session = true;
}
