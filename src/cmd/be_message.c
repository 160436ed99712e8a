#include "cmd/be_message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "message.h"

enum { MESSAGE_MAX = 256 * 1024 * 1024 };

void be_split_address(struct arena *a, const char *text, const char **address, int *port)
{
    const char *dot = text == NULL ? NULL : strrchr(text, '.');
    struct ip ip;

    if (text == NULL)
        return;
    *address = text;
    if (ip_parse(text, &ip) || dot == NULL)
        return;
    const char *host = arena_strndup(a, text, (size_t)(dot - text));
    long n;
    if (ip_parse(host, &ip) && cstr_to_long(dot + 1, &n) && n > 0 && n <= UINT16_MAX) {
        *address = host;
        *port = (int)n;
    }
}

/* The end of a header line that begins at p, with its continuation lines; NULL: not a
 * header line. */
static const char *header_end(const char *p, const char *end)
{
    const char *colon = p;

    while (colon<end && * colon> ' ' && *colon < 127 && *colon != ':')
        colon++;
    while (colon < end && is_blank(*colon))
        colon++;
    if (colon == end || *colon != ':' || colon == p)
        return NULL;
    for (p = colon;;) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (p == NULL)
            return end;
        if (++p == end || !is_blank(*p))
            return p;
    }
}

static const char *add_headers(struct message *m, const char *p, const char *end)
{
    const char *next;

    while (p < end && (next = header_end(p, end)) != NULL) {
        bool open = next[-1] != '\n';
        const char *text =
            arena_printf(m->arena, "%.*s%s", (int)(next - p), p, open ? "\n" : "");

        header_append(&m->headers, m->arena, header_type_of(text), text);
        m->message_linecount++;
        p = next;
    }
    return p < end && *p == '\n' ? p + 1 : p;
}

/* Lines of the body, and the longest of all. */
static void measure(struct message *m, const char *p, const char *body, const char *end)
{
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        long len = (nl == NULL ? end : nl) - p;

        if (len > m->max_received_linelength)
            m->max_received_linelength = len;
        m->body_linecount += nl != NULL && p >= body;
        p = nl == NULL ? end : nl + 1;
    }
    m->message_linecount += m->body_linecount;
}

static void set_envelope(struct exim *e, struct message *m)
{
    const char *login = e->originator_login == NULL ? "" : e->originator_login;

    m->sender = arena_printf(m->arena, "%s@%s", login, e->config->qualify_domain);
    m->originator_login = m->sender_ident = m->authenticated_id = login;
    m->authenticated_sender = m->sender;
    m->originator_uid = e->real_uid;
    m->originator_gid = e->real_gid;
    m->local = true;
}

struct message *be_no_message(struct exim *e)
{
    struct message *m = message_new("expansion test");

    set_envelope(e, m);
    m->deliver_firsttime = false;
    return m;
}

struct message *be_read_message(struct exim *e, const char *file, struct err *err)
{
    struct message *m = message_new("expansion test");
    struct str text;
    int fd = fd_open(file, O_RDONLY, 0);

    if (fd < 0) {
        err_set(err, e->arena, "failed to open %s: %s", file, strerror(errno));
        message_free(&m);
        return NULL;
    }
    arena_owns_fd(m->arena, fd);
    if (!fd_slurp(m->arena, fd, MESSAGE_MAX, &text)) {
        err_set(err, e->arena, "failed to read %s: %s", file, strerror(errno));
        message_free(&m);
        return NULL;
    }
    const char *end = text.p + text.len, *body = add_headers(m, text.p, end);
    m->body = (struct body){ .fd = fd, .start = body - text.p, .size = end - body };
    m->message_size = (int64_t)text.len;
    measure(m, text.p, body, end);
    set_envelope(e, m);
    m->received = tod_now();
    return m;
}
