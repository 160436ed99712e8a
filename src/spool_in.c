#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/ctype.h"
#include "base/hash.h"
#include "base/ip.h"
#include "message.h"
#include "spool.h"
#include "spool_int.h"

/* What is being read: the rest of the text, and where the message goes. */
struct reader {
    struct message *m;
    struct str rest;
    size_t field; /* the row behind the last one found: lines mostly come in the order of the table */
};

/* A run of digits at the end of s is taken off it. */
static bool take_number_back(struct str *s, long *out)
{
    size_t n = s->len;
    char digits[20];

    while (n > 0 && is_digit(s->p[n - 1]))
        n--;
    if (n > 0 && s->p[n - 1] == '-')
        n--;
    size_t len = s->len - n;
    if (len == 0 || len >= sizeof(digits))
        return false;
    memcpy(digits, s->p + n, len);
    digits[len] = '\0';
    s->len = n;
    return cstr_to_long(digits, out);
}

static bool take_char_back(struct str *s, char c)
{
    if (s->len == 0 || s->p[s->len - 1] != c)
        return false;
    s->len--;
    return true;
}

static bool to_long(struct str s, long *out)
{
    return take_number_back(&s, out) && s.len == 0;
}

/* ---- the four lines at the top ---- */

static bool read_id(struct reader *r)
{
    struct str line;
    char id[MSGID_LEN + 1];

    if (!spool_line(&r->rest, &line) || line.len != MSGID_LEN + 2 ||
        memcmp(line.p + MSGID_LEN, "-H", 2) != 0)
        return false;
    memcpy(id, line.p, MSGID_LEN);
    id[MSGID_LEN] = '\0';
    if (!msgid_valid(id) || (r->m->id[0] != '\0' && strcmp(r->m->id, id) != 0))
        return false;
    memcpy(r->m->id, id, sizeof(id));
    return true;
}

/* The login may hold spaces: the numbers are taken from the end. */
static bool read_originator(struct reader *r)
{
    struct str line;
    long uid, gid;

    if (!spool_line(&r->rest, &line) || !take_number_back(&line, &gid) ||
        !take_char_back(&line, ' ') || !take_number_back(&line, &uid) || !take_char_back(&line, ' '))
        return false;
    r->m->originator_login = str_dup(r->m->arena, line);
    r->m->originator_uid = (uid_t)uid;
    r->m->originator_gid = (gid_t)gid;
    return true;
}

static bool read_sender(struct reader *r)
{
    struct str line;

    if (!spool_line(&r->rest, &line) || line.len < 2 || line.p[0] != '<' ||
        line.p[line.len - 1] != '>')
        return false;
    r->m->sender = str_dup(r->m->arena, (struct str){ line.p + 1, line.len - 2 });
    return true;
}

static bool read_times(struct reader *r)
{
    struct str line;
    long received, warnings;

    if (!spool_line(&r->rest, &line) || !take_number_back(&line, &warnings) ||
        !take_char_back(&line, ' ') || !to_long(line, &received) || warnings < 0)
        return false;
    r->m->received.tv_sec = received;
    r->m->warning_count = warnings > INT_MAX ? INT_MAX : (unsigned)warnings;
    return true;
}

/* ---- lines that begin with a hyphen ---- */

static bool looks_like_address(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != ':' && s.p[i] != '.' && s.p[i] != '%')
            return false;
    return s.len > 0;
}

/* "[address]:port", or "address.port" as older releases wrote it; the port may be missing. */
static bool read_endpoint(struct message *m, const struct spool_field *f, struct str value)
{
    const char *text = str_dup(m->arena, value);
    const char *colon = strrchr(text, ':'), *dot = strrchr(text, '.');
    struct str address = value, port = STR("0");
    struct ip ip;
    long number;

    if (*text == '[') {
        const char *end = strchr(text, ']');

        if (end == NULL)
            return false;
        address = (struct str){ text + 1, (size_t)(end - text) - 1 };
        if (colon == end + 1)
            port = str_from(colon + 1);
    } else if (!ip_parse(text, &ip) && dot != NULL) {
        address = (struct str){ text, (size_t)(dot - text) };
        port = str_from(dot + 1);
    }
    if (!looks_like_address(address) || !to_long(port, &number) || number < 0 || number > 65535)
        return false;
    *(const char **)spool_field_at(m, f->offset) = str_dup(m->arena, address);
    *(int *)spool_field_at(m, f->port) = (int)number;
    return true;
}

static bool read_usec(struct timespec *when, struct str value)
{
    long usec;

    if (value.len != 7 || value.p[0] != '.' || value.p[1] == '-')
        return false;
    if (!to_long((struct str){ value.p + 1, 6 }, &usec))
        return false;
    when->tv_nsec = usec * 1000;
    return true;
}

/* The value follows its length: it may hold newlines. */
static bool read_counted(struct reader *r, long length, const char **value)
{
    if (length < 0 || (size_t)length >= r->rest.len || r->rest.p[length] != '\n')
        return false;
    if (memchr(r->rest.p, '\0', (size_t)length) != NULL)
        return false;
    *value = arena_strndup(r->m->arena, r->rest.p, (size_t)length);
    r->rest.p += length + 1;
    r->rest.len -= (size_t)length + 1;
    return true;
}

static void put_acl(struct message *m, struct hash **vars, const char *name, const char *value)
{
    if (*vars == NULL)
        *vars = hash_new(m->arena, false);
    hash_put(*vars, name, unconst(value));
}

static bool read_acl(struct reader *r, struct hash **vars, struct str value)
{
    long length;
    const char *text;

    if (!take_number_back(&value, &length) || !take_char_back(&value, ' ') || value.len == 0 ||
        !read_counted(r, length, &text))
        return false;
    put_acl(r->m, vars, str_dup(r->m->arena, value), text);
    return true;
}

/* Before 4.61: "-acl number length", 0-9 those of the connection, 10-19 of the message. */
static bool read_old_acl(struct reader *r, struct str value)
{
    long length, number;
    const char *text;

    if (!take_number_back(&value, &length) || !take_char_back(&value, ' ') ||
        !to_long(value, &number) || number < 0 || !read_counted(r, length, &text))
        return false;
    if (number > 19)
        return true;
    put_acl(r->m, number < 10 ? &r->m->acl_c : &r->m->acl_m,
            arena_printf(r->m->arena, "%ld", number % 10), text);
    return true;
}

static bool read_field(struct reader *r, const struct spool_field *f, struct str value)
{
    void *at = spool_field_at(r->m, f->offset);
    long number = 0;

    switch (f->kind) {
    case FIELD_FLAG:
        *(bool *)at = true;
        return true;
    case FIELD_TEXT:
        *(const char **)at = str_dup(r->m->arena, value);
        return true;
    case FIELD_COUNT:
    case FIELD_LINES:
        if (!to_long(value, &number))
            return false;
        *(long *)at = number;
        return true;
    case FIELD_TIME:
        if (!to_long(value, &number))
            return false;
        *(time_t *)at = number;
        return true;
    case FIELD_RET:
        if (!to_long(value, &number) || number < 0 || number > DSN_RET_HDRS)
            return false;
        *(enum dsn_ret *)at = (enum dsn_ret)number;
        return true;
    case FIELD_ENDPOINT:
        return read_endpoint(r->m, f, value);
    case FIELD_USEC:
        return read_usec(at, value);
    case FIELD_ACL:
        return read_acl(r, at, value);
    case FIELD_SCORE:
    case FIELD_DROPPED:
        break;
    }
    return true;
}

static bool name_is(const struct spool_field *f, struct str name)
{
    return strncmp(f->name, name.p, name.len) == 0 && f->name[name.len] == '\0';
}

static const struct spool_field *find_field(struct reader *r, struct str name)
{
    for (size_t n = 0; n < spool_field_count; n++) {
        const struct spool_field *f = &spool_fields[(r->field + n) % spool_field_count];

        if (name_is(f, name)) {
            r->field = (size_t)(f - spool_fields) + 1;
            return f;
        }
    }
    return NULL;
}

/* Exim 4.93 and later mark tainted values: "--name", "--(lookup)name". */
static struct str skip_taint(struct str line)
{
    size_t at = 1;

    if (at < line.len && line.p[at] == '-')
        at++;
    if (at < line.len && line.p[at] == '(') {
        const char *end = memchr(line.p + at, ')', line.len - at);

        if (end != NULL)
            at = (size_t)(end - line.p) + 1;
    }
    return (struct str){ line.p + at, line.len - at };
}

/* Lines that are not known are of other releases and are left out, as Exim does. */
static bool read_option(struct reader *r, struct str line)
{
    struct str text = skip_taint(line), value = { "", 0 };
    const char *space = text.len == 0 ? NULL : memchr(text.p, ' ', text.len);

    if (space != NULL) {
        value = (struct str){ space + 1, text.len - (size_t)(space - text.p) - 1 };
        text.len = (size_t)(space - text.p);
    }
    if (str_eq(text, STR("acl")))
        return read_old_acl(r, value);
    const struct spool_field *f = find_field(r, text);
    return f == NULL || read_field(r, f, value);
}

static bool read_options(struct reader *r)
{
    struct str line;

    while (r->rest.len > 0 && r->rest.p[0] == '-')
        if (!spool_line(&r->rest, &line) || !read_option(r, line))
            return false;
    r->m->local = r->m->sender_local;
    return true;
}

/* ---- recipients ---- */

/* "text length" at the end of s, where length is that of text, which may be empty. */
static bool take_counted_back(struct str *s, struct str *text)
{
    long length;

    if (!take_number_back(s, &length) || length < 0 || !take_char_back(s, ' ') ||
        (size_t)length >= s->len || s->p[s->len - (size_t)length - 1] != ' ')
        return false;
    *text = (struct str){ s->p + s->len - length, (size_t)length };
    s->len -= (size_t)length + 1;
    return true;
}

struct extras {
    struct str errors_to, orcpt;
    long parent, notify;
};

/* The fields in front of "#bits" are taken from the right: bit 1 errors_to, bit 2 DSN. */
static bool take_extras(struct str *line, struct extras *x)
{
    struct str s = *line;
    long bits;

    if (!take_number_back(&s, &bits) || bits < 0 || !take_char_back(&s, '#'))
        return true; /* a bare address */
    if ((bits & 1) != 0 && (!take_number_back(&s, &x->parent) || !take_char_back(&s, ',') ||
                            !take_counted_back(&s, &x->errors_to)))
        return false;
    if ((bits & 2) != 0 && (!take_number_back(&s, &x->notify) || !take_char_back(&s, ',') ||
                            !take_counted_back(&s, &x->orcpt)))
        return false;
    *line = s;
    return x->parent >= -1 && x->notify >= 0;
}

static bool read_recipient(struct reader *r, size_t count)
{
    struct extras x = { .parent = -1 };
    struct arena *a = r->m->arena;
    struct str line;

    if (!spool_line(&r->rest, &line) || !take_extras(&line, &x) || line.len == 0 ||
        x.parent >= (long)count)
        return false;
    struct recipient *to = message_add_recipient(r->m, str_dup(a, line), (int)x.parent);
    to->errors_to = x.errors_to.len == 0 ? NULL : str_dup(a, x.errors_to);
    to->orcpt = x.orcpt.len == 0 ? NULL : str_dup(a, x.orcpt);
    to->dsn_flags = (unsigned)x.notify & DSN_NOTIFY_MASK;
    return true;
}

static bool read_recipients(struct reader *r)
{
    struct str line;
    long count;

    if (!spool_line(&r->rest, &line) || !to_long(line, &count) || count < 0 ||
        (size_t)count > r->rest.len / 2)
        return false;
    for (long i = 0; i < count; i++)
        if (!read_recipient(r, (size_t)count))
            return false;
    return spool_line(&r->rest, &line) && line.len == 0;
}

/* ---- header lines ---- */

static bool known_type(char c)
{
    return c != '\0' && strchr(" BCFIPRST*", c) != NULL;
}

static void count_header(struct message *m, const char *text, int type, size_t len)
{
    if (type == HEADER_OLD)
        return;
    m->message_size += (int64_t)len;
    if (type == HEADER_RECEIVED)
        m->received_count++;
    for (const char *p = text; p < text + len; p++)
        m->message_linecount += *p == '\n';
}

static bool read_header(struct reader *r)
{
    struct str *s = &r->rest;
    size_t digits = 0, len = 0;

    while (digits < s->len && digits < 9 && is_digit(s->p[digits]))
        len = len * 10 + (size_t)(s->p[digits++] - '0');
    if (digits == 0 || s->len - digits < 2 || !known_type(s->p[digits]) || s->p[digits + 1] != ' ')
        return false;
    size_t start = digits + 2;
    if (len == 0 || len > s->len - start || s->p[start + len - 1] != '\n' ||
        memchr(s->p + start, '\0', len) != NULL)
        return false;
    int type = s->p[digits];
    const char *text = arena_strndup(r->m->arena, s->p + start, len);
    (void)header_append(&r->m->headers, r->m->arena, type, text);
    count_header(r->m, text, type, len);
    *s = (struct str){ s->p + start + len, s->len - start - len };
    return true;
}

static bool read_headers(struct reader *r)
{
    r->m->message_size = 1; /* the blank line */
    while (r->rest.len > 0)
        if (!read_header(r))
            return false;
    r->m->message_linecount += r->m->body_linecount;
    return true;
}

static bool read_nonrecipients(struct reader *r)
{
    return spool_tree_parse(r->m, &r->rest);
}

bool spool_header_parse(struct message *m, struct str text, struct err *err)
{
    static const struct {
        const char *what;
        bool (*read)(struct reader *r);
    } parts[] = {
        { "first line", read_id },           { "originator", read_originator },
        { "sender", read_sender },           { "time line", read_times },
        { "option lines", read_options },    { "non-recipients", read_nonrecipients },
        { "recipients", read_recipients },   { "header lines", read_headers },
    };
    struct reader r = { .m = m, .rest = text };

    m->deliver_firsttime = false; /* unless the file says so */
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!parts[i].read(&r))
            return err_set(err, m->arena, "malformed %s at offset %zu", parts[i].what,
                           text.len - r.rest.len);
    return true;
}

void spool_journal_parse(struct message *m, struct str text)
{
    struct str line;

    while (spool_line(&text, &line))
        if (line.len > 0)
            message_add_nonrecipient(m, str_dup(m->arena, line));
}
