#include "acl/acl_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "message.h"

/* Where a line asked for will go: kept in its type until it is added. */
enum place { PLACE_END, PLACE_START, PLACE_AFTER_RECEIVED, PLACE_RFC };

bool acl_headers_allowed(enum acl_where where)
{
    const struct acl_row *row = acl_words_find("add_header");

    return (row->forbidden & (1u << where)) == 0;
}

/* ---- asking ---- */

static enum place take_place(const char **s)
{
    static const struct {
        const char *text;
        enum place place;
    } places[] = { { ":after_received:", PLACE_AFTER_RECEIVED },
                   { ":at_start_rfc:", PLACE_RFC },
                   { ":at_start:", PLACE_START },
                   { ":at_end:", PLACE_END } };

    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (cstr_istarts(*s, places[i].text)) {
            *s = cstr_skip_space(*s + strlen(places[i].text));
            return places[i].place;
        }
    return PLACE_END;
}

static bool is_header(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && s[n] > ' ' && s[n] < 127 && s[n] != ':')
        n++;
    while (n < len && is_blank(s[n]))
        n++;
    return n > 0 && n < len && s[n] == ':' && s[0] != ':';
}

static void ask_for(struct message *m, const char *s, size_t len)
{
    const char *text = arena_strndup(m->arena, s, len);
    enum place place = take_place(&text);

    text = arena_printf(m->arena, "%s%s\n",
                        is_header(text, strlen(text)) ? "" : "X-ACL-Warn: ", text);
    struct header **end = &m->acl_added;
    for (; *end != NULL; end = &(*end)->next)
        if ((*end)->type == (int)place && strcmp((*end)->text, text) == 0)
            return;
    *end = arena_new_obj(m->arena, struct header);
    **end = (struct header){ .type = (int)place, .len = strlen(text), .text = text };
}

/* One header line with its continuations at a time. */
static void ask_for_all(struct message *m, const char *text)
{
    while (*text == '\n')
        text++;
    size_t left = strlen(text);
    while (left > 0 && text[left - 1] == '\n')
        left--;
    while (left > 0) {
        size_t len = 0;

        while (len < left &&
               (text[len] != '\n' || (len + 1 < left && is_blank(text[len + 1]))))
            len++;
        if (len > 0)
            ask_for(m, text, len);
        len += len < left;
        text += len;
        left -= len;
    }
}

enum acl_result acl_headers_add(struct acl_run *r, const struct acl_item *c,
                                const char *arg)
{
    (void)c;
    if (r->ctx->message != NULL)
        ask_for_all(r->ctx->message, arg);
    return COND_TRUE;
}

void acl_headers_warn(struct acl_run *r, const char *text)
{
    if (r->ctx->message != NULL)
        ask_for_all(r->ctx->message, text);
}

enum acl_result acl_headers_remove(struct acl_run *r, const struct acl_item *c,
                                   const char *arg)
{
    struct message *m = r->ctx->message;

    (void)c;
    if (m == NULL || *arg == '\0')
        return COND_TRUE;
    m->acl_removed = m->acl_removed == NULL
                         ? arena_strdup(m->arena, arg)
                         : arena_printf(m->arena, "%s:%s", m->acl_removed, arg);
    return COND_TRUE;
}

/* ---- doing ---- */

static bool is_resent(const struct header *h)
{
    return cstr_istarts(h->text, "resent-");
}

/* The line that the new one follows; NULL: it becomes the first. Received: lines are a
 * block, wherever it begins; the other place is before the first line that is not one of
 * them or Resent-. */
static struct header *predecessor(const struct header_list *l, enum place place)
{
    struct header *last = NULL;

    for (struct header *h = l->first; h != NULL; h = h->next) {
        if (h->type == HEADER_OLD)
            continue;
        if (header_is(h, "Received") || (place == PLACE_RFC && is_resent(h)))
            last = h;
        else if (last != NULL || place == PLACE_RFC)
            break;
    }
    return last;
}

static void insert_after(struct header_list *l, struct arena *a, struct header *prev,
                         const char *text)
{
    struct header *h = arena_new_obj(a, struct header);

    *h = (struct header){ .next = prev->next,
                          .type = header_type_of(text),
                          .len = strlen(text),
                          .text = text };
    prev->next = h;
    if (h->next == NULL)
        l->tail = &h->next;
    l->count++;
    l->bytes += h->len;
}

static void add(struct message *m, const struct header *asked)
{
    enum place place = (enum place)asked->type;
    int type = header_type_of(asked->text);

    if (place == PLACE_END) {
        header_append(&m->headers, m->arena, type, asked->text);
        return;
    }
    struct header *prev = place == PLACE_START ? NULL : predecessor(&m->headers, place);
    if (prev == NULL)
        header_prepend(&m->headers, m->arena, type, asked->text);
    else
        insert_after(&m->headers, m->arena, prev, asked->text);
}

void acl_headers_apply(struct message *m)
{
    if (m->acl_removed != NULL) {
        struct list_iter it = list_begin(m->acl_removed, ':');

        for (const char *name; (name = list_next(&it, m->arena)) != NULL;)
            if (*name != '\0')
                header_remove(&m->headers, name, 0);
    }
    for (const struct header *h = m->acl_added; h != NULL; h = h->next)
        add(m, h);
    m->acl_removed = NULL;
    m->acl_added = NULL;
}
