#include <stdlib.h>

#include "base/hash.h"
#include "message.h"
#include "spool.h"
#include "spool_int.h"

/* Text from outside must not begin a line of its own. */
static const char *one_line(struct arena *a, const char *text)
{
    return cstr_printable(a, text, true);
}

static void print_acl(struct buf *out, const char *name, const struct hash *vars)
{
    struct hash_iter it = { 0 };
    const char *key;
    void *value;

    while (vars != NULL && hash_next(vars, &it, &key, &value))
        buf_printf(out, "-%s %s %zu\n%s\n", name, key, strlen(value), (const char *)value);
}

static void print_score(struct buf *out, const char *tenths)
{
    long score;

    if (tenths != NULL && cstr_to_long(tenths, &score))
        buf_printf(out, "-spam_score %s%ld.%ld\n", score < 0 ? "-" : "", labs(score) / 10,
                   labs(score) % 10);
}

static void begin_line(struct buf *out, const char *name)
{
    buf_add_char(out, '-');
    buf_add_cstr(out, name);
}

static void print_text(struct buf *out, const char *name, const char *text)
{
    begin_line(out, name);
    buf_add_char(out, ' ');
    buf_add_cstr(out, text);
    buf_add_char(out, '\n');
}

static void print_any_number(struct buf *out, const char *name, long v)
{
    begin_line(out, name);
    buf_add_char(out, ' ');
    buf_add_number(out, v, 1);
    buf_add_char(out, '\n');
}

static void print_number(struct buf *out, const char *name, long v)
{
    if (v > 0)
        print_any_number(out, name, v);
}

static void print_endpoint(struct buf *out, const struct message *m, const struct spool_field *f)
{
    const char *address = *(const char **)spool_field_at(m, f->offset);

    if (address == NULL)
        return;
    begin_line(out, f->name);
    buf_add_cstr(out, " [");
    buf_add_cstr(out, address);
    buf_add_cstr(out, "]:");
    buf_add_number(out, *(int *)spool_field_at(m, f->port), 1);
    buf_add_char(out, '\n');
}

static void print_usec(struct buf *out, const char *name, const struct timespec *when)
{
    begin_line(out, name);
    buf_add_cstr(out, " .");
    buf_add_number(out, when->tv_nsec / 1000, 6);
    buf_add_char(out, '\n');
}

static void print_flag(struct buf *out, const char *name)
{
    begin_line(out, name);
    buf_add_char(out, '\n');
}

static void print_field(struct buf *out, struct arena *a, const struct message *m,
                        const struct spool_field *f)
{
    void *at = spool_field_at(m, f->offset);

    switch (f->kind) {
    case FIELD_FLAG:
        if (*(bool *)at)
            print_flag(out, f->name);
        break;
    case FIELD_TEXT:
        if (*(const char **)at != NULL)
            print_text(out, f->name, one_line(a, *(const char **)at));
        break;
    case FIELD_COUNT:
        print_number(out, f->name, *(long *)at);
        break;
    case FIELD_TIME:
        print_number(out, f->name, *(time_t *)at);
        break;
    case FIELD_RET:
        print_number(out, f->name, *(enum dsn_ret *)at);
        break;
    case FIELD_ENDPOINT:
        print_endpoint(out, m, f);
        break;
    case FIELD_USEC:
        print_usec(out, f->name, at);
        break;
    case FIELD_LINES:
        if (!m->spool_file_wireformat)
            print_any_number(out, f->name, m->body_linecount);
        break;
    case FIELD_SCORE:
        print_score(out, *(const char **)at);
        break;
    case FIELD_ACL:
        print_acl(out, f->name, *(struct hash **)at);
        break;
    case FIELD_DROPPED:
        break;
    }
}

/* Older Exims lose an ORCPT that comes without NOTIFY, but read the line. */
static void print_recipient(struct buf *out, struct arena *a, const struct recipient *r)
{
    const char *address = one_line(a, r->address);
    const char *orcpt = r->orcpt == NULL ? "" : one_line(a, r->orcpt);
    const char *errors = r->errors_to == NULL ? "" : one_line(a, r->errors_to);
    unsigned notify = r->dsn_flags & DSN_NOTIFY_MASK;

    buf_add_cstr(out, address);
    if (r->parent >= 0 || *errors != '\0' || *orcpt != '\0' || notify != 0)
        buf_printf(out, " %s %zu,%u %s %zu,%d#3", orcpt, strlen(orcpt), notify, errors, strlen(errors), r->parent);
    buf_add_char(out, '\n');
}

static void print_headers(struct buf *out, const struct message *m)
{
    buf_add_char(out, '\n');
    for (const struct header *h = m->headers.first; h != NULL; h = h->next) {
        buf_add_number(out, (long long)h->len, 3);
        buf_add_char(out, (char)(h->type & 0xff));
        buf_add_char(out, ' ');
        buf_add(out, h->text, h->len);
    }
}

/* Before the lines that begin with a hyphen. */
static void print_top(struct buf *out, struct arena *a, const struct message *m)
{
    enum { LOGIN_MAX = 63 };
    const char *login = m->originator_login == NULL ? "" : one_line(a, m->originator_login);

    buf_add_cstr(out, m->id);
    buf_add_cstr(out, "-H\n");
    buf_add(out, login, strnlen(login, LOGIN_MAX));
    buf_add_char(out, ' ');
    buf_add_number(out, (long)m->originator_uid, 1);
    buf_add_char(out, ' ');
    buf_add_number(out, (long)m->originator_gid, 1);
    buf_add_cstr(out, "\n<");
    buf_add_cstr(out, one_line(a, m->sender));
    buf_add_cstr(out, ">\n");
    buf_add_number(out, m->received.tv_sec, 1);
    buf_add_char(out, ' ');
    buf_add_number(out, m->warning_count, 1);
    buf_add_char(out, '\n');
}

void spool_header_print(struct buf *out, const struct message *m)
{
    struct arena *a = arena_new("spool header");

    print_top(out, a, m);
    for (size_t i = 0; i < spool_field_count; i++)
        print_field(out, a, m, &spool_fields[i]);
    spool_tree_print(out, m->nonrecipients);
    buf_add_number(out, (long long)m->recipient_count, 1);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < m->recipient_count; i++)
        print_recipient(out, a, &m->recipients[i]);
    print_headers(out, m);
    arena_destroy(&a);
}
