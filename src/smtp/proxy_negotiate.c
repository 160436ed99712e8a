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
        if (rc == PROXY_BAD)
            return false;
        state->failure = "no header in time";
        char *to = buf_reserve(in, need - in->len);
        if (to == NULL || fd_wait_read(fd, deadline) <= 0)
            return false;
        ssize_t got = fd_read(fd, to, need - in->len);
        if (got <= 0) {
            state->failure = "connection lost during the header";
            return false;
        }
        buf_commit(in, (size_t)got);
    }
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
    if (state->ok)
        state->failure = NULL;
    else
        state->first_bytes =
            (struct str){ buf_cstr(&in), in.len < FIRST_BYTES ? in.len : FIRST_BYTES };
    peer->proxy = state;
    peer->proxy_session = true;
}
