#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "message.h"
#include "parse.h"
#include "transports/autoreply_int.h"

enum { FILE_MAX = 16 * 1024 * 1024, REFERENCES_MAX = 12, LOG_MAX = 64 * 1024 };

static void put_field(struct buf *out, const char *name, const char *value)
{
    if (value != NULL)
        buf_printf(out, "%s: %s\n", name, value);
}

/* Without From: of its own the answer comes from whose mail it answers. */
static const char *default_from(struct autoreply_run *run)
{
    const struct passwd *pw = getpwuid(geteuid());

    return arena_printf(run->arena, "%s@%s", pw == NULL ? "nobody" : pw->pw_name,
                        run->call->ctx->exim->config->qualify_domain);
}

/* RFC 5322: the parent's References, or its In-Reply-To, and its Message-ID; the first and the last
 * ones when there are many. */
static void put_references(struct autoreply_run *run, struct buf *out)
{
    const struct header_list *l = &run->call->message->headers;
    const char *id = header_value(run->arena, l, "message-id", HEADER_RAW, NULL);
    const char *refs = header_value(run->arena, l, "references", HEADER_RAW, NULL);
    const char *ids[256], *rest;
    size_t n = 0;

    if (refs[0] == '\0')
        refs = header_value(run->arena, l, "in-reply-to", HEADER_RAW, NULL);
    for (const char *one; n + 1 < ARRAY_LEN(ids) && (one = parse_message_id(run->arena, refs, &rest)) != NULL; refs = rest)
        ids[n++] = one;
    const char *own = parse_message_id(run->arena, id, &rest);
    if (own != NULL) {
        buf_printf(out, "In-Reply-To: %s\n", own);
        ids[n++] = own;
    }
    if (n == 0)
        return;
    size_t skip = n > REFERENCES_MAX ? n - REFERENCES_MAX : 0;
    buf_add_cstr(out, "References:");
    for (size_t i = 0; i < n; i++)
        if (i == 0 || i > skip)
            buf_printf(out, "%s%s", i == 0 ? " " : "\n ", ids[i]);
    buf_add_char(out, '\n');
}

static void put_head(struct autoreply_run *run, struct buf *out)
{
    const struct transport_reply *r = &run->r;

    put_field(out, "From", r->from != NULL ? r->from : default_from(run));
    put_field(out, "Reply-To", r->reply_to);
    put_field(out, "To", r->to);
    put_field(out, "Cc", r->cc);
    put_field(out, "Subject", r->subject);
    put_references(run, out);
    buf_add_cstr(out, "Auto-Submitted: auto-replied\n");
    if (r->headers != NULL)
        buf_printf(out, "%s%s", r->headers, cstr_ends(r->headers, "\n") ? "" : "\n");
    buf_add_char(out, '\n');
}

static bool put_file(struct autoreply_run *run, struct buf *out)
{
    const struct transport_reply *r = &run->r;
    struct expand_ctx *ctx = run->call->ctx;
    struct str text;
    const char *v;

    if (r->file == NULL)
        return true;
    if (!file_slurp(run->arena, r->file, FILE_MAX, &text))
        return run->t->file_optional ||
               autoreply_defer(run, errno, "Failed to open file %s when sending message from %s transport: %s", r->file,
                               run->t->base.name, strerror(errno));
    if (!r->file_expand) {
        buf_add_str(out, text);
        return true;
    }
    unsigned before = ctx->forbid;
    ctx->forbid |= r->expand_forbid;
    enum expand_rc rc = expand_text(ctx, str_dup(run->arena, text), &v);
    ctx->forbid = before;
    if (rc != EXPAND_OK) {
        buf_printf(out, "Error while expanding the text of this message: %s\n", ctx->err.msg);
        return true;
    }
    buf_add_cstr(out, v);
    return true;
}

/* ---- the message that is answered ---- */

struct copy {
    struct buf *out;
    size_t limit; /* bytes that may stand in out; 0: none */
};

static bool to_buf(void *arg, const void *p, size_t n)
{
    struct copy *c = arg;
    size_t room = c->limit == 0 ? n : c->out->len >= c->limit ? 0 : c->limit - c->out->len;

    buf_add(c->out, p, n < room ? n : room);
    return true;
}

static bool put_original(struct autoreply_run *run, struct buf *out)
{
    const struct transport *t = &run->t->base;
    long limit = run->call->ctx->exim->config->main.bounce_return_size_limit;
    bool cut = limit > 0 && transport_message_size(t, run->call, false) > limit;
    struct copy c = { .out = out };
    struct transport_output o = { .write = to_buf, .arg = &c };
    struct err err = { 0 };

    if (!run->r.return_message)
        return true;
    const char *what = t->headers_only ? "copy of the message's headers"
                       : t->body_only  ? "copy of the body of the message"
                       : cut           ? "copy of the beginning of the message"
                                       : "copy of the message, with its headers";
    buf_printf(out, "\n------ This is a %s. ------\n", what);
    if (cut)
        buf_printf(out, "------ It has been cut after %ld bytes. ------\n", limit);
    buf_add_char(out, '\n');
    c.limit = cut ? out->len + (size_t)limit : 0;
    return transport_write_message(t, run->call, &o, &err) ||
           autoreply_defer(run, err.sys_errno, "%s transport: %s", t->name, err.msg);
}

bool autoreply_print(struct autoreply_run *run, struct buf *out)
{
    put_head(run, out);
    if (run->r.text != NULL)
        buf_printf(out, "%s%s", run->r.text, cstr_ends(run->r.text, "\n") ? "" : "\n");
    if (!put_file(run, out) || !put_original(run, out))
        return false;
    return !out->full || autoreply_defer(run, EFBIG, "the message from %s transport is too long", run->t->base.name);
}

void autoreply_log(struct autoreply_run *run, bool sent_before)
{
    const struct transport_reply *r = &run->r;
    struct buf b = buf_init(run->arena, LOG_MAX);

    if (r->log == NULL)
        return;
    int fd = fd_open(r->log, O_WRONLY | O_APPEND | O_CREAT, (mode_t)run->t->mode);
    if (fd < 0)
        return;
    buf_printf(&b, "%s\n", tod_print(run->arena, TOD_LOG, tod_now()));
    if (sent_before) {
        buf_printf(&b, "  previously sent to %.200s\n", cstr_printable(run->arena, r->to, false));
    } else {
        put_field(&b, "  From", r->from);
        put_field(&b, "  To", r->to);
        put_field(&b, "  Cc", r->cc);
        put_field(&b, "  Bcc", r->bcc);
        put_field(&b, "  Reply-To", r->reply_to);
        put_field(&b, "  Subject", r->subject);
    }
    bool ok = fd_write_all(fd, b.p, b.len);
    (void)ok;
    fd_close(fd);
}
