#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "parse.h"
#include "receive_int.h"

static const char *expand_or_log(struct receive *r, const struct expr *e,
                                 const char *name)
{
    struct expand_ctx ctx;
    const char *text = "";

    if (e == NULL)
        return "";
    receive_context(r, &ctx);
    ctx.received_for = r->m->recipient_count == 1 ? r->m->recipients[0].address : NULL;
    enum expand_rc rc = expand(&ctx, e, &text);
    if (rc == EXPAND_OK)
        return text;
    if (rc != EXPAND_FORCED)
        receive_log(r, LOG_MAIN | LOG_PANIC, "Expansion of \"%s\" (%s) failed: %s",
                    e->text, name, ctx.err.msg != NULL ? ctx.err.msg : "");
    return "";
}

/* Everything but what may stand in an id's half becomes a hyphen. */
static const char *clean(struct arena *a, const char *s, const char *also)
{
    char *copy = arena_strdup(a, s);

    for (char *p = copy; *p != '\0'; p++)
        if (!is_alnum(*p) && strchr(also, *p) == NULL)
            *p = '-';
    return copy;
}

static void add(struct receive *r, int type, bool at_top, const char *text)
{
    if (at_top)
        (void)header_prepend(&r->m->headers, r->m->arena, type, text);
    else
        (void)header_append(&r->m->headers, r->m->arena, type, text);
}

static void add_message_id(struct receive *r, const char *prefix)
{
    const struct main_options *o = &r->e->config->main;
    struct arena *a = r->m->arena;

    if (header_exists(&r->m->headers, arena_printf(a, "%sMessage-ID", prefix)))
        return;
    const char *domain =
        expand_or_log(r, o->message_id_header_domain, "message_id_header_domain");
    const char *text =
        expand_or_log(r, o->message_id_header_text, "message_id_header_text");
    domain = *domain != '\0' ? clean(a, domain, "-.[]:") : r->e->config->primary_hostname;
    r->msgid_made = true;
    add(r, HEADER_MESSAGE_ID, *prefix != '\0',
        arena_printf(a, "%sMessage-Id: <E%s%s%s@%s>\n", prefix, r->m->id,
                     *text != '\0' ? "." : "", clean(a, text, "!#$%&'*+-/=?^_`{|}~."),
                     domain));
}

static void add_date(struct receive *r, const char *prefix)
{
    struct arena *a = r->m->arena;

    if (header_exists(&r->m->headers, arena_printf(a, "%sDate", prefix)))
        return;
    add(r, HEADER_OTHER, *prefix != '\0',
        arena_printf(a, "%sDate: %s\n", prefix, tod_print(a, TOD_FULL, tod_now())));
}

/* "From: login" of a message that is not SMTP gets the user's name and address
 * (manual 48.11). */
static void fix_login_from(struct receive *r)
{
    struct arena *a = r->m->arena;
    const char *login = r->m->originator_login, *name = receive_sender_name(r);

    for (struct header *h = r->m->headers.first; h != NULL && login != NULL;
         h = h->next) {
        bool resent = cstr_istarts(h->text, "Resent-");

        if (h->type != HEADER_FROM ||
            !str_ieq(str_trim(str_from(header_body(h))), str_from(login)))
            continue;
        h->type = HEADER_OLD;
        const char *domain = r->e->config->qualify_domain,
                   *prefix = resent ? "Resent-" : "";
        (void)header_append(
            &r->m->headers, a, HEADER_FROM,
            *name != '\0'
                ? arena_printf(a, "%sFrom: %s <%s@%s>\n", prefix, name, login, domain)
                : arena_printf(a, "%sFrom: %s@%s\n", prefix, login, domain));
    }
}

static void add_local_from(struct receive *r, const char *prefix)
{
    struct arena *a = r->m->arena;
    const char *name = receive_sender_name(r), *sender = r->m->sender;

    if (*sender == '\0' ||
        header_exists(&r->m->headers, arena_printf(a, "%sFrom", prefix)))
        return;
    add(r, HEADER_FROM, false,
        *name != '\0' ? arena_printf(a, "%sFrom: %s <%s>\n", prefix, name, sender)
                      : arena_printf(a, "%sFrom: %s\n", prefix, sender));
}

static void fix_submitted_from(struct receive *r, const char *prefix)
{
    struct arena *a = r->m->arena;
    const char *name = receive_sender_name(r), *who = r->m->sender;

    if (header_exists(&r->m->headers, arena_printf(a, "%sFrom", prefix)))
        return;
    if (*who == '\0')
        who = receive_sender_submitter(r);
    if (who == NULL)
        return;
    add(r, HEADER_FROM, false,
        *name != '\0' ? arena_printf(a, "%sFrom: %s <%s>\n", prefix, name, who)
                      : arena_printf(a, "%sFrom: %s\n", prefix, who));
}

void receive_header_sort_out(struct receive *r)
{
    const struct main_options *o = &r->e->config->main;
    struct header_list *l = &r->m->headers;

    for (struct header *h = l->first; h != NULL; h = h->next) {
        h->type = header_type_of(h->text);
        r->m->received_count += h->type == HEADER_RECEIVED;
        r->resent = r->resent || cstr_istarts(h->text, "Resent-");
    }
    if (o->return_path_remove)
        (void)header_remove(l, "Return-path", 0);
    if (o->delivery_date_remove)
        (void)header_remove(l, "Delivery-date", 0);
    if (o->envelope_to_remove)
        (void)header_remove(l, "Envelope-to", 0);
    if (r->local && !r->s->smtp_input && !r->m->no_fixups)
        fix_login_from(r);
}

void receive_header_fix(struct receive *r)
{
    const char *prefix = r->resent ? "Resent-" : "";

    if ((!r->local && !r->m->submission) || r->m->no_fixups)
        return;
    add_message_id(r, prefix);
    if (r->local)
        add_local_from(r, prefix);
    else
        fix_submitted_from(r, prefix);
    add_date(r, prefix);
}

/* What is added may be folded but must not end its header line. */
static const char *one_header(struct arena *a, const char *text)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    size_t len = strlen(text);

    while (len > 0 && is_space(text[len - 1]))
        len--;
    for (size_t i = 0; i < len; i++) {
        buf_add_char(&b, text[i]);
        if (text[i] == '\n' && !is_blank(text[i + 1]))
            buf_add_char(&b, '\t');
    }
    return buf_cstr(&b);
}

static const char *stamped(struct receive *r)
{
    return arena_printf(r->m->arena, "%s;\n\t%s\n", r->received_text,
                        tod_print(r->m->arena, TOD_FULL, tod_now()));
}

void receive_header_received(struct receive *r)
{
    const char *text =
        expand_or_log(r, r->e->config->main.received_header_text, "received_header_text");

    if (*text == '\0')
        return;
    if (!cstr_istarts(text, "Received:")) {
        receive_log(r, LOG_MAIN | LOG_PANIC,
                    "Expansion of \"%s\" (received_header_text) does not start with "
                    "\"Received:\"",
                    r->e->config->main.received_header_text->text);
        return;
    }
    r->received_text = one_header(r->m->arena, text);
    r->received =
        header_prepend(&r->m->headers, r->m->arena, HEADER_RECEIVED, stamped(r));
}

void receive_header_stamp(struct receive *r)
{
    if (r->received == NULL)
        return;
    r->m->headers.bytes -= r->received->len;
    r->received->text = stamped(r);
    r->received->len = strlen(r->received->text);
    r->m->headers.bytes += r->received->len;
}
