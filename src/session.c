#include "session.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "host.h"
#include "message.h"

enum { HOST_TEXT_MAX = 4096 };

struct session *session_new(struct exim *e)
{
    struct arena *a = arena_new("session");
    struct session *s = arena_new_obj(a, struct session);

    s->arena = a;
    s->exim = e;
    s->started_ms = tod_monotonic_ms();
    return s;
}

void session_free(struct session **sp)
{
    if (*sp == NULL)
        return;
    struct arena *a = (*sp)->arena;
    message_free(&(*sp)->message);
    *sp = NULL;
    arena_destroy(&a);
}

/* The HELO name says something only when it is neither the host's name nor its address.
 */
static bool show_helo(const struct session *s)
{
    if (s->helo_name == NULL)
        return false;
    if (s->host_name != NULL)
        return !cstr_ieq(s->helo_name, s->host_name);
    size_t len = strlen(s->helo_name);
    return !(s->helo_name[0] == '[' && len == strlen(s->host_address) + 2 &&
             strncmp(s->helo_name + 1, s->host_address, len - 2) == 0);
}

/* "first (x y z)": what stands in the parentheses, the third item on a line of its own.
 */
static const char *rcvhost(struct session *s, bool helo, bool port)
{
    struct buf b = buf_init(s->arena, HOST_TEXT_MAX);

    if (s->host_name != NULL) {
        buf_printf(&b, "%s ([%s]", s->host_name, s->host_address);
        if (port)
            buf_printf(&b, ":%d", s->host_port);
        if (helo)
            buf_printf(&b, " helo=%s", s->helo_name);
        if (s->ident != NULL)
            buf_printf(&b, "%s ident=%s", helo ? "\n\t" : "", s->ident);
        buf_add_char(&b, ')');
        return buf_cstr(&b);
    }
    buf_printf(&b, "[%s]", s->host_address);
    if (!helo && !port && s->ident == NULL)
        return buf_cstr(&b);
    const char *space = " (";
    if (port) {
        buf_printf(&b, "%sport=%d", space, s->host_port);
        space = " ";
    }
    if (helo) {
        buf_printf(&b, "%shelo=%s", space, s->helo_name);
        space = port && s->ident != NULL ? "\n\t" : " ";
    }
    if (s->ident != NULL)
        buf_printf(&b, "%sident=%s", space, s->ident);
    buf_add_char(&b, ')');
    return buf_cstr(&b);
}

void session_set_fullhost(struct session *s)
{
    if (s->host_address == NULL)
        return;
    bool port = s->host_port > 0 && log_wants(s->exim->log, L_incoming_port),
         helo = show_helo(s);
    struct buf b = buf_init(s->arena, HOST_TEXT_MAX);

    if (s->host_name != NULL)
        buf_printf(&b, "%s ", s->host_name);
    if (helo)
        buf_printf(&b, "(%s) ", s->helo_name);
    buf_printf(&b, "[%s]", s->host_address);
    if (port)
        buf_printf(&b, ":%d", s->host_port);
    s->fullhost = buf_cstr(&b);
    s->rcvhost = rcvhost(s, helo, port);
}

enum rc session_host_name(struct session *s)
{
    struct err err = { 0 };
    const char *const *names = NULL;

    if (s->host_name != NULL || s->host_lookup == HOST_LOOKUP_OK)
        return RC_OK;
    if (s->host_address == NULL || s->host_lookup == HOST_LOOKUP_FAILED)
        return RC_FAIL;
    if (s->host_lookup == HOST_LOOKUP_DEFERRED)
        return RC_DEFER;
    enum rc rc = host_name_lookup(s->exim, s->arena, s->host_address, &names,
                                  &s->host_dnssec, &err);
    if (rc == RC_OK && names != NULL && names[0] != NULL) {
        s->host_name = names[0];
        s->host_aliases = names + 1;
        s->host_lookup = HOST_LOOKUP_OK;
        session_set_fullhost(s);
        return RC_OK;
    }
    s->host_lookup = rc == RC_DEFER ? HOST_LOOKUP_DEFERRED : HOST_LOOKUP_FAILED;
    if (log_wants(s->exim->log, L_host_lookup_failed))
        log_write(s->exim->log, LOG_MAIN | LOG_BY(host_lookup_failed), NULL, "%s",
                  err.msg != NULL
                      ? err.msg
                      : arena_printf(s->arena, "no host name found for IP address %s",
                                     s->host_address));
    return rc == RC_DEFER ? RC_DEFER : RC_FAIL;
}

const char *session_host_and_ident(struct session *s, bool flags, bool interface)
{
    struct buf b = buf_init(s->arena, HOST_TEXT_MAX);

    if (s->fullhost == NULL) {
        buf_printf(&b, "%s%s", flags ? "U=" : "", s->ident != NULL ? s->ident : "root");
        return buf_cstr(&b);
    }
    buf_printf(&b, "%s%s", flags ? "H=" : "", s->fullhost);
    if (interface && s->interface_address != NULL &&
        log_wants(s->exim->log, L_incoming_interface))
        buf_printf(&b, " I=[%s]:%d", s->interface_address, s->interface_port);
    if (s->ident != NULL)
        buf_printf(&b, " U=%s", s->ident);
    return buf_cstr(&b);
}
