#include "header.h"

#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"
#include "base/table.h"
#include "parse.h"

enum { VALUE_MAX = 64 * 1024 }; /* manual 11.5 */

static const struct header_name {
    const char *name;
    int type;
} names[] = {
    { "bcc", HEADER_BCC },
    { "cc", HEADER_CC },
    { "from", HEADER_FROM },
    { "message-id", HEADER_MESSAGE_ID },
    { "received", HEADER_RECEIVED },
    { "reply-to", HEADER_REPLY_TO },
    { "resent-bcc", HEADER_BCC | HEADER_RESENT },
    { "resent-cc", HEADER_CC | HEADER_RESENT },
    { "resent-from", HEADER_FROM | HEADER_RESENT },
    { "resent-message-id", HEADER_MESSAGE_ID | HEADER_RESENT },
    { "resent-reply-to", HEADER_REPLY_TO | HEADER_RESENT },
    { "resent-sender", HEADER_SENDER | HEADER_RESENT },
    { "resent-to", HEADER_TO | HEADER_RESENT },
    { "sender", HEADER_SENDER },
    { "to", HEADER_TO },
};

void header_list_init(struct header_list *l)
{
    *l = (struct header_list){ .tail = &l->first };
}

static struct header *link_at(struct header_list *l, struct arena *a, struct header **at,
                              int type, const char *text)
{
    struct header *h = arena_new_obj(a, struct header);

    *h = (struct header){ .next = *at, .type = type, .text = text, .len = strlen(text) };
    *at = h;
    if (l->tail == at)
        l->tail = &h->next;
    l->count++;
    l->bytes += h->len;
    return h;
}

struct header *header_append(struct header_list *l, struct arena *a, int type,
                             const char *text)
{
    return link_at(l, a, l->tail, type, text);
}

struct header *header_prepend(struct header_list *l, struct arena *a, int type,
                              const char *text)
{
    return link_at(l, a, &l->first, type, text);
}

/* The name ends at the colon, white space before it allowed. */
static bool has_name(const char *text, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (to_lower(text[i]) != to_lower(name[i]))
            return false;
    while (is_blank(text[len]))
        len++;
    return text[len] == ':';
}

bool header_is(const struct header *h, const char *name)
{
    return h->type != HEADER_OLD && has_name(h->text, name, strlen(name));
}

struct header *header_find(const struct header_list *l, const char *name)
{
    for (struct header *h = l->first; h != NULL; h = h->next)
        if (header_is(h, name))
            return h;
    return NULL;
}

unsigned header_remove(struct header_list *l, const char *name, int nth)
{
    size_t len = strlen(name);
    bool prefix = len > 0 && name[len - 1] == '*';
    unsigned removed = 0;
    int seen = 0;

    for (struct header *h = l->first; h != NULL; h = h->next) {
        bool same = prefix ? strncasecmp(h->text, name, len - 1) == 0
                           : has_name(h->text, name, len);

        if (h->type == HEADER_OLD || !same)
            continue;
        seen++;
        if (nth == 0 || nth == seen) {
            h->type = HEADER_OLD;
            removed++;
        }
    }
    return removed;
}

int header_type_of(const char *text)
{
    char name[32];
    size_t len = 0;

    while (text[len] != ':' && text[len] != '\0' && !is_blank(text[len]) &&
           len < sizeof(name) - 1) {
        name[len] = to_lower(text[len]);
        len++;
    }
    name[len] = '\0';
    const struct header_name *found = TABLE_FIND(names, name);
    return found != NULL && has_name(text, name, len) ? found->type & ~HEADER_RESENT
                                                      : HEADER_OTHER;
}

const char *header_body(const struct header *h)
{
    const char *colon = strchr(h->text, ':');

    return colon == NULL ? h->text + h->len : cstr_skip_space(colon + 1);
}

static bool is_address_list(int type)
{
    return type == HEADER_BCC || type == HEADER_CC || type == HEADER_FROM ||
           type == HEADER_REPLY_TO || type == HEADER_SENDER || type == HEADER_TO;
}

static void join_value(struct buf *out, const struct header_list *l, const char *name,
                       bool raw)
{
    for (const struct header *h = l->first; h != NULL; h = h->next) {
        if (!header_is(h, name))
            continue;
        const char *body = strchr(h->text, ':') + 1;
        if (raw) {
            buf_add_cstr(out, body);
            continue;
        }
        struct str s = str_trim(str_from(body));
        if (s.len == 0)
            continue;
        if (out->len > 0)
            buf_add_cstr(out, is_address_list(header_type_of(h->text)) ? ",\n" : "\n");
        buf_add_str(out, s);
    }
}

const char *header_value(struct arena *a, const struct header_list *l, const char *name,
                         enum header_form form, const char *charset)
{
    struct buf b = buf_init(a, VALUE_MAX);
    const char *err;

    join_value(&b, l, name, form == HEADER_RAW);
    const char *joined = buf_cstr(&b);
    if (form == HEADER_RAW || strstr(joined, "=?") == NULL)
        return joined;
    const char *bytes = parse_rfc2047_decode(a, joined, true, NULL, &err);
    if (bytes == NULL)
        bytes = joined;
    if (form == HEADER_BASE64_ONLY || charset == NULL || *charset == '\0')
        return bytes;
    const char *decoded = parse_rfc2047_decode(a, joined, true, charset, &err);
    return decoded != NULL ? decoded : bytes;
}

bool header_exists(const struct header_list *l, const char *name)
{
    return header_find(l, name) != NULL;
}
