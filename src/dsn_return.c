#include "dsn_int.h"

#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "deliver.h"
#include "exim.h"
#include "expand.h"
#include "header.h"

enum { CHUNK = 64 * 1024, LINE_LIMIT = 998, CUT_AT = 900 };

static bool add_body(const struct body *body, struct buf *out)
{
    for (off_t at = 0; at < body->size;) {
        size_t want = body->size - at > CHUNK ? CHUNK : (size_t)(body->size - at);
        char *p = buf_reserve(out, want);
        ssize_t n = p == NULL ? -1 : body_read(body, p, want, at);
        if (n <= 0)
            return false;
        buf_commit(out, (size_t)n);
        at += n;
    }
    return true;
}

/* RFC 5322: no line is longer than 998; what cannot be folded is cut. */
static void add_header(struct buf *out, const struct header *h)
{
    for (size_t at = 0; at < h->len;) {
        const char *nl = memchr(h->text + at, '\n', h->len - at);
        size_t n = nl == NULL ? h->len - at : (size_t)(nl - h->text) + 1 - at;
        while (n > LINE_LIMIT) {
            size_t cut = CUT_AT;
            while (cut > CUT_AT / 2 && h->text[at + cut] != ' ' && h->text[at + cut] != '\t')
                cut--;
            cut = cut == CUT_AT / 2 ? CUT_AT : cut;
            buf_add(out, h->text + at, cut);
            buf_add_cstr(out, h->text[at + cut] == ' ' || h->text[at + cut] == '\t' ? "\n" : "\n ");
            at += cut;
            n -= cut;
        }
        buf_add(out, h->text + at, n);
        at += n;
    }
}

bool dsn_return_print(struct expand_ctx *ctx, const struct dsn_report *r, bool full, const char *info,
                      struct buf *out, struct err *err)
{
    const struct message *m = r->original;

    if (info != NULL)
        buf_printf(out, "X-Exim-DSN-Information: %s\n", info);
    buf_printf(out, "Return-path: <%s>\n", cstr_printable(ctx->arena, m->sender, true));
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            add_header(out, h);
    buf_add_char(out, '\n');
    if (full && !add_body(&m->body, out))
        return err_set(err, ctx->arena, "failed to copy the body of the message into its report");
    return true;
}
