/* The writer of reports with records full of anything. The oracle is strict: lines, characters, encodings, boundaries,
 * fields; the same for the report made again in ASCII. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "drtables.h"
#include "dsn.h"
#include "dsn_int.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "readconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STRING_MAX = 3000, REPORT_MAX = 1 << 22, LINE_LIMIT = 998 };

struct input { const uint8_t *p; size_t left; struct arena *a; };

static unsigned byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

/* A string: a length, then its bytes; now and then repeated, to be long. NUL ends it. */
static const char *text(struct input *in)
{
    unsigned head = byte(in);
    size_t n = head % 64;
    struct buf b = buf_init(in->a, STRING_MAX + 64);

    n = n < in->left ? n : in->left;
    for (unsigned times = head >= 192 ? 60 : 1; times > 0; times--)
        buf_add(&b, in->p, n);
    in->p += n;
    in->left -= n;
    return arena_strndup(in->a, b.p == NULL ? "" : b.p, b.len < STRING_MAX ? b.len : STRING_MAX);
}

static const char *maybe(struct input *in)
{
    return byte(in) % 2 == 0 ? NULL : text(in);
}

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* What every part promises: no control characters but in what the message itself had. */
static void check_lines(const char *p, size_t n, bool ascii)
{
    size_t column = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        column = c == '\n' ? 0 : column + 1;
        check(column <= LINE_LIMIT);
        check(c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f));
        check(!ascii || c < 0x80);
    }
}

/* Fields "Name: value" in groups between single blank lines; a continuation line is not blank. */
static void check_fields(const char *p, size_t n)
{
    bool blank = true;

    while (n > 0) {
        const char *nl = memchr(p, '\n', n);
        size_t len = nl == NULL ? n : (size_t)(nl - p);
        if (len > 0 && p[0] == ' ')
            check(!blank && len > 1 && p[1] != ' ');
        else if (len > 0)
            check(strcspn(p, ": \n") < len && p[strcspn(p, ": \n")] == ':');
        else
            check(!blank || nl + 1 >= p + n);
        blank = len == 0;
        p += len + (nl != NULL);
        n -= len + (nl != NULL);
    }
}

static void check_report(const struct buf *out, bool ascii, bool utf8)
{
    static const char type[] = "boundary=";
    const char *text_end = out->p + out->len, *b = strstr(out->p, type);

    check(b != NULL);
    b += strlen(type);
    char mark[80] = "\n--";
    size_t len = strcspn(b, ";\n");
    check(len > 0 && len < 70);
    memcpy(mark + 3, b, len);
    const char *part[5];
    size_t n = 0;
    for (const char *p = out->p; (p = memmem(p, (size_t)(text_end - p), mark, len + 3)) != NULL; p += len)
        if (n < 5)
            part[n++] = p;
    check(n == 4 && strcmp(part[3] + len + 3, "--\n") == 0);
    check_lines(out->p, (size_t)(part[0] - out->p), ascii || !utf8);
    check_lines(part[0], (size_t)(part[1] - part[0]), ascii);
    check_lines(part[1], (size_t)(part[2] - part[1]), ascii || !utf8);
    const char *body = memmem(part[1], (size_t)(part[2] - part[1]), "\n\n", 2);
    check(body != NULL && body < part[2]);
    check_fields(body + 2, (size_t)(part[2] - body - 2));
    for (const char *p = part[2]; ascii && p < text_end; p++)
        check((unsigned char)*p < 0x80);
}

static void take_recipient(struct input *in, struct dsn_recipient *r)
{
    static const char *const actions[] = { "delivered", "relayed", "expanded", "relayed", "failed", "delayed" };

    r->outcome = (enum dsn_outcome)(byte(in) % 6);
    *r = (struct dsn_recipient){ .outcome = r->outcome, .action = actions[r->outcome], .original = maybe(in),
                                 .final = text(in), .status = maybe(in), .remote_mta = maybe(in),
                                 .diagnostic = maybe(in), .diagnostic_type = "smtp", .text = maybe(in),
                                 .shown = text(in), .log_id = maybe(in), .last_attempt = byte(in),
                                 .will_retry_until = byte(in) };
    if (r->outcome < DSN_FAILED)
        r->note = maybe(in);
}

static const struct config *configuration(void)
{
    static const struct config *cfg;
    static const struct readconf_request rq = { .filenames = "fuzz", .hooks = &drtables_hooks,
        .text = "exim_user = root\nexim_group = root\nprimary_hostname = host.test\nspool_directory = /nonexistent\n" };
    struct err err = { 0 };

    if (cfg == NULL)
        cfg = readconf(arena_new("configuration"), &rq, &err);
    check(cfg != NULL);
    return cfg;
}

/* Sent again in ASCII, as it would be when it failed. */
static void check_seven(struct arena *a, const struct buf *out)
{
    struct message *m = message_new("report");
    const char *body = strstr(out->p, "\n\n");
    struct buf again = buf_init(a, REPORT_MAX);
    struct err err = { 0 };
    int fd = memfd_create("report", 0);

    for (const char *p = out->p; p <= body;) { /* header lines, with their continuation lines */
        const char *e = p;
        do
            e = strchr(e, '\n') + 1;
        while (*e == ' ' || *e == '\t');
        header_append(&m->headers, m->arena, HEADER_OTHER, arena_strndup(m->arena, p, (size_t)(e - p)));
        p = e;
    }
    size_t n = out->len - (size_t)(body + 2 - out->p);
    check(write(fd, body + 2, n) == (ssize_t)n);
    m->body = (struct body){ .fd = fd, .start = 0, .size = (off_t)n };
    check(dsn_7bit_print(a, m, &again, &err));
    (void)buf_cstr(&again);
    check_report(&again, true, false);
    (void)close(fd);
    message_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct input in = { data, size, a };
    struct exim e = { .arena = a, .config = configuration(), .hooks = &drtables_hooks, .queue_fd = -1 };
    struct message *m = message_new("original");
    struct expand_ctx ctx;
    struct err err = { 0 };
    struct dsn_recipient recipients[3];
    unsigned head = byte(&in);

    m->sender = text(&in);
    m->smtputf8 = head & 1;
    expand_ctx_init(&ctx, &e, a);
    ctx.message = m;
    header_append(&m->headers, m->arena, HEADER_OTHER,
                  arena_printf(m->arena, "Subject: %s\n", cstr_printable(a, text(&in), true)));
    header_append(&m->headers, m->arena, HEADER_OTHER,
                  arena_printf(m->arena, "Message-Id: <%s>\n", cstr_printable(a, text(&in), true)));
    struct dsn_report r = { .kind = (enum dsn_report_kind)(1 + head / 2 % 3), .to = text(&in), .envid = maybe(&in),
                            .arrival = 1, .received_from_mta = maybe(&in), .original = m, .message_id = "id",
                            .recipients = recipients, .recipient_count = 1 + head / 8 % 3, .delay = "2 hours",
                            .ret = DSN_RET_HDRS };
    for (size_t i = 0; i < r.recipient_count; i++)
        take_recipient(&in, &recipients[i]);
    struct str output[2] = { str_from(text(&in)), { NULL, 0 } };
    const char *names[2] = { text(&in), NULL };
    if (head & 64 && r.kind == DSN_REPORT_FAILURE) {
        r.output_texts = output;
        r.output_names = names;
    }
    r.utf8 = dsn_report_is_utf8(&r);
    struct buf out = buf_init(a, REPORT_MAX);
    if (dsn_report_print(&ctx, &r, &out, &err)) {
        (void)buf_cstr(&out);
        check_report(&out, false, r.utf8);
        check_seven(a, &out);
    }
    message_free(&m);
    arena_destroy(&a);
    return 0;
}
