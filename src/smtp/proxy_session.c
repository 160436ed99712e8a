#include "smtp/proxy_session.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "proxy.h"
#include "session.h"
#include "smtp_in.h"

static const char *ip_text(struct arena *a, const struct ip *ip)
{
    char text[IP_TEXT_MAX];

    return arena_strdup(a, ip_print(ip, text));
}

void smtp_proxy_adopt(struct session *s, const struct smtp_peer *peer)
{
    s->proxy_session = peer->proxy_session;
    if (peer->proxy == NULL)
        return;
    struct proxy_state *state = arena_new_obj(s->arena, struct proxy_state);
    *state = *peer->proxy;
    struct proxy_header *h = &state->header;
    h->tlvs.p = h->tlvs.len > 0 ? arena_strndup(s->arena, h->tlvs.p, h->tlvs.len) : "";
    s->proxy = state;
    if (!state->ok) {
        s->proxy_failed = true;
        return;
    }
    /* Probes and unknown families leave the real end points: the proxy is the sender
     * then. */
    s->proxy_host_address = s->host_address;
    s->proxy_host_port = s->host_port;
    s->proxy_target_address = s->interface_address;
    s->proxy_target_port = s->interface_port;
    struct str id;
    if (proxy_tlv_find(h->tlvs, PP_UNIQUE_ID, &id))
        s->proxy_unique_id = cstr_printable_len(s->arena, id.p, id.len, false);
    if (h->kind != PROXY_KIND_INET)
        return;
    s->proxy_target_address = ip_text(s->arena, &h->target);
    s->proxy_target_port = h->target_port;
    s->host_address = ip_text(s->arena, &h->client);
    s->host_port = h->client_port;
    s->host_name = NULL;
    s->host_aliases = NULL;
    s->host_lookup = HOST_LOOKUP_NONE;
    s->ident = NULL;
    s->list_cache = NULL;
    if (!peer->tls_on_connect) /* the session's own TLS counts where there is one */
        smtp_proxy_believe_tls(s);
}

static void log_failure(struct session *s)
{
    const struct proxy_state *p = s->proxy;
    const char *hint =
        proxy_hint((const unsigned char *)p->first_bytes.p, p->first_bytes.len);

    log_write(s->exim->log, LOG_MAIN | LOG_BY(proxy_fail), NULL,
              "PROXY negotiation failed for %s: %s%s%s%s; input=\"%s\"",
              session_host_and_ident(s, true, true),
              p->failure != NULL ? p->failure : "no header", hint != NULL ? " (" : "",
              hint != NULL ? hint : "", hint != NULL ? ")" : "",
              cstr_printable_len(s->arena, p->first_bytes.p, p->first_bytes.len, false));
}

void smtp_proxy_begin(struct session *s)
{
    if (s->proxy == NULL)
        return;
    if (!s->proxy->ok) {
        if (log_wants(s->exim->log, L_proxy_fail))
            log_failure(s);
        return;
    }
    (void)session_host_name(s);
}

void smtp_proxy_refused(struct session *s, const char *line)
{
    /* Version 2 begins with empty lines and one that is a NUL, shown as "?". */
    bool header = cstr_starts(line, "PROXY ") || strcmp(line, "?") == 0;

    if (!header || s->proxy == NULL || s->proxy->late || !log_wants(s->exim->log, L_proxy_fail))
        return;
    s->proxy->late = true;
    log_write(s->exim->log, LOG_MAIN | LOG_BY(proxy_fail), NULL,
              "PROXY header of %s came after the banner, too late (does the balancer "
              "send it with the "
              "client's first data? AWS NLB: set header_placement to on_first_ack)",
              session_host_and_ident(s, true, true));
}
