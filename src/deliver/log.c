#include "deliver/deliver_int.h"

#include <string.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "routers/router.h"
#include "spool.h"
#include "transports/transport.h"

enum { LINE_MAX = 32 * 1024 };

static bool wants(const struct delivery *d, int bit)
{
    return log_wants(d->exim->log, bit);
}

/* Seconds, with Exim's fraction when millisec is selected. */
static const char *seconds(const struct delivery *d, long ms)
{
    if (wants(d, L_millisec))
        return arena_printf(d->arena, "%ld.%03lds", ms / 1000, ms % 1000);
    return tod_interval_print(d->arena, ms / 1000);
}

static long age_ms(const struct message *m)
{
    struct timespec now = tod_now();

    return (now.tv_sec - m->received.tv_sec) * 1000 + (now.tv_nsec - m->received.tv_nsec) / 1000000;
}

/* Is only the local part shown (log_as_local, for deliveries into this host)? Lines about trouble show
 * the whole address. */
static bool shown_as_local(const struct address *addr)
{
    return addr->result.rc == RC_OK && addr->router != NULL && addr->router->log_as_local && (addr->flags & ADDR_LOCAL) &&
           addr->local_part != NULL && !(addr->flags & ADDR_PIPE_FILE_REPLY);
}

void deliver_log_address(struct delivery *d, struct buf *b, const struct address *addr)
{
    bool local = shown_as_local(addr);

    if (local)
        buf_printf(b, "%s%s%s", addr->prefix != NULL ? addr->prefix : "", addr->local_part,
                   addr->suffix != NULL ? addr->suffix : "");
    else
        buf_add_cstr(b, cstr_printable(d->arena, addr->address, true));
    if (wants(d, L_all_parents) && addr->parent != NULL && addr->parent->parent != NULL) {
        buf_add_cstr(b, " (");
        for (const struct address *p = addr->parent; p->parent != NULL; p = p->parent)
            buf_printf(b, "%s%s", p == addr->parent ? "" : ", ", p->address);
        buf_add_char(b, ')');
    }
    if (local || strcmp(addr->top->address, addr->address) != 0)
        buf_printf(b, " <%s>", cstr_printable(d->arena, addr->top->address, true));
}

static void add_host(struct delivery *d, struct buf *b, const struct address *addr)
{
    const struct host *h = addr->host_used;

    if (h == NULL)
        return;
    buf_printf(b, " H=%s [%s]%s", h->name, h->address == NULL ? "" : h->address,
               addr->log_reused && addr->result.rc == RC_OK ? "*" : "");
    if (wants(d, L_outgoing_port) && h->port > 0)
        buf_printf(b, ":%d", h->port);
    if (wants(d, L_dnssec) && h->dnssec_ok)
        buf_add_cstr(b, " DS");
}

static void add_tls(struct delivery *d, struct buf *b, const struct address *addr)
{
    static const char *const cv[] = { "no", "yes", "dane" };

    if (wants(d, L_tls_cipher) && addr->log_tls_cipher != NULL)
        buf_printf(b, " X=%s", addr->log_tls_cipher);
    if (wants(d, L_tls_certificate_verified) && addr->log_cv >= 0 && addr->log_cv <= 2)
        buf_printf(b, " CV=%s", cv[addr->log_cv]);
    if (wants(d, L_tls_verified_name) && addr->log_verified_name != NULL)
        buf_printf(b, " VN=%s", cstr_printable(d->arena, addr->log_verified_name, false));
    if (wants(d, L_tls_peerdn) && addr->log_tls_peerdn != NULL)
        buf_printf(b, " DN=\"%s\"", cstr_printable(d->arena, addr->log_tls_peerdn, true));
    if (wants(d, L_tls_sni) && addr->log_tls_sni != NULL)
        buf_printf(b, " SNI=%s", cstr_printable(d->arena, addr->log_tls_sni, true));
}

static void add_sender(struct delivery *d, struct buf *b, const struct address *addr, bool always)
{
    const struct message *m = d->message;

    if (wants(d, L_sender_on_delivery) || always)
        buf_printf(b, " F=<%s>", cstr_printable(d->arena, m->sender, true));
    if (wants(d, L_return_path_on_delivery))
        buf_printf(b, " P=<%s>", cstr_printable(d->arena, addr->errors_to != NULL ? addr->errors_to : m->sender, true));
}

static void add_route(struct buf *b, const struct address *addr)
{
    if (addr->router != NULL) {
        buf_add_cstr(b, " R=");
        buf_add_cstr(b, addr->router->name);
    }
    if (addr->transport != NULL) {
        buf_add_cstr(b, " T=");
        buf_add_cstr(b, addr->transport->name);
    } else if ((addr->flags & ADDR_FILE) && addr->result.rc == RC_OK)
        buf_add_cstr(b, " T=**bypassed**"); /* /dev/null (manual 22.6) */
}

static void add_times(struct delivery *d, struct buf *b, const struct address *addr)
{
    if (wants(d, L_queue_time))
        buf_printf(b, " QT=%s", seconds(d, age_ms(d->message)));
    if (wants(d, L_deliver_time))
        buf_printf(b, " DT=%s", seconds(d, addr->delivery_ms));
}

static void add_confirmation(struct delivery *d, struct buf *b, const struct address *addr)
{
    if (!wants(d, L_smtp_confirmation) || addr->confirmation == NULL)
        return;
    buf_add_cstr(b, " C=\"");
    for (const char *p = cstr_printable(d->arena, addr->confirmation, true); *p != '\0'; p++) {
        if (*p == '"' || (*p == '\\' && p[1] == '\0'))
            buf_add_char(b, '\\');
        buf_add_char(b, *p);
    }
    buf_add_char(b, '"');
}

static void write_line(struct delivery *d, const struct address *addr, struct buf *b)
{
    const char *id = d->message->id;
    bool quiet = (addr->router != NULL && addr->router->disable_logging) ||
                 (addr->transport != NULL && addr->transport->disable_logging);

    if (!quiet)
        log_write(d->exim->log, LOG_MAIN, id, "%s", buf_cstr(b));
}

void deliver_log_success(struct delivery *d, struct address *addr, const char *mark)
{
    struct buf b = buf_init(d->arena, LINE_MAX);

    buf_printf(&b, "%s ", mark);
    size_t start = b.len;
    if (addr->outcome == OUTCOME_DISCARDED)
        buf_printf(&b, ":blackhole: <%s>", cstr_printable(d->arena, addr->top->address, true));
    else
        deliver_log_address(d, &b, addr);
    add_sender(d, &b, addr, false);
    add_route(&b, addr);
    if (addr->shadow_message != NULL)
        buf_printf(&b, " ST=%s", addr->shadow_message);
    if (wants(d, L_delivery_size))
        buf_printf(&b, " S=%lld", (long long)d->message->message_size);
    add_host(d, &b, addr);
    add_tls(d, &b, addr);
    if (addr->log_auth != NULL)
        buf_printf(&b, " A=%s", addr->log_auth);
    if (addr->log_prdr)
        buf_add_cstr(&b, " PRDR");
    if (addr->log_chunking)
        buf_add_cstr(&b, " K");
    add_confirmation(d, &b, addr);
    add_times(d, &b, addr);
    write_line(d, addr, &b);
    spool_msglog(d->exim, d->message, "%s", buf_cstr(&b) + start);
}

/* errno text, host and message, as == and ** lines end. */
static void add_reason(struct delivery *d, struct buf *b, const struct address *addr, bool failed)
{
    const struct addr_result *r = &addr->result;

    if (r->basic_errno > 0)
        buf_printf(b, ": %s", strerror(r->basic_errno));
    if (r->message == NULL || strncmp(r->message, "H=", 2) != 0)
        add_host(d, b, addr);
    if (wants(d, L_deliver_time) && !failed)
        buf_printf(b, " DT=%s", seconds(d, addr->delivery_ms));
    if (r->message != NULL) {
        buf_add_cstr(b, ": ");
        buf_add_cstr(b, cstr_printable(d->arena, r->message, true));
    }
    if (wants(d, L_deliver_time) && failed) /* Exim: there it comes last */
        buf_printf(b, " DT=%s", seconds(d, addr->delivery_ms));
}

/* Exim: what queue_smtp_domains, -odqs and -qq put off is not logged. */
static bool waits_for_host(const struct address *addr)
{
    return addr->result.basic_errno == ERR_QUEUE_DOMAIN && addr->transport != NULL;
}

void deliver_log_defer(struct delivery *d, struct address *addr)
{
    int e = addr->result.basic_errno;
    /* Retry times not reached are in the main log when retry_defer is on. Exim: in the message's log
     * they are once, when it is new, whatever is selected (test_queue_runs.py). */
    bool skipped = e <= ERR_RRETRY && e >= ERR_TRETRY && (addr->flags & ADDR_RETRY_SKIPPED);
    bool logged = !skipped || wants(d, L_retry_defer), noted = !skipped || d->message->deliver_firsttime;

    if (waits_for_host(addr) || (!logged && !noted))
        return;
    struct buf b = buf_init(d->arena, LINE_MAX);
    buf_add_cstr(&b, "== ");
    deliver_log_address(d, &b, addr);
    add_route(&b, addr);
    buf_printf(&b, " defer (%d)", e);
    add_reason(d, &b, addr, false);
    if (logged)
        write_line(d, addr, &b);
    if (noted)
        spool_msglog(d->exim, d->message, "%s", buf_cstr(&b) + 3);
}

void deliver_log_fail(struct delivery *d, struct address *addr)
{
    struct buf b = buf_init(d->arena, LINE_MAX);

    buf_add_cstr(&b, "** ");
    deliver_log_address(d, &b, addr);
    add_sender(d, &b, addr, false);
    add_route(&b, addr);
    add_reason(d, &b, addr, true);
    write_line(d, addr, &b);
    if (addr->transport == NULL)
        spool_msglog(d->exim, d->message, "routing failed for %s", buf_cstr(&b) + 3);
    else
        spool_msglog(d->exim, d->message, "%s", buf_cstr(&b) + 3);
}
