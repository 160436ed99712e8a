#include "base/list.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"

static const char *skip_space_but(const char *s, char sep)
{
    while (is_space(*s) && *s != sep)
        s++;
    return s;
}

struct list_iter list_begin(const char *list, char default_sep)
{
    struct list_iter it = { list, default_sep == '\0' ? ':' : default_sep };

    if (list == NULL)
        return (struct list_iter){ "", it.sep };
    const char *s = skip_space_but(list, '\0');
    if (*s == '<' && s[1] != '\0' && (is_punct(s[1]) || is_cntrl(s[1])))
        it = (struct list_iter){ s + 2, s[1] };
    return it;
}

/* Just past the item that begins at s; *doubled counts separators standing for themselves. */
static const char *item_end(const char *s, char sep, size_t *doubled)
{
    *doubled = 0;
    for (; *s != '\0'; s++) {
        if (*s != sep)
            continue;
        if (s[1] != sep || is_cntrl(sep))
            break;
        s++;
        ++*doubled;
    }
    return s;
}

const char *list_next(struct list_iter *it, struct arena *a)
{
    const char *s = skip_space_but(it->at, it->sep);
    size_t doubled;

    if (*s == '\0') {
        it->at = s;
        return NULL;
    }
    const char *end = item_end(s, it->sep, &doubled);
    it->at = *end == '\0' ? end : end + 1;
    while (end > s && is_space(end[-1]))
        end--;

    char *item = arena_strndup(a, s, (size_t)(end - s));
    if (doubled > 0) {
        char *to = item;

        for (const char *from = item; *from != '\0'; from++) {
            *to++ = *from;
            from += *from == it->sep;
        }
        *to = '\0';
    }
    return item;
}

int list_count(const char *list, char default_sep, struct arena *a)
{
    struct list_iter it = list_begin(list, default_sep);
    struct arena_mark m = arena_mark(a);
    int n = 0;

    while (list_next(&it, a) != NULL)
        n++;
    arena_reset(a, m);
    return n;
}

void list_append(struct buf *out, const char *item, char sep, bool *first)
{
    if (!*first)
        buf_add_char(out, sep);
    /* A space keeps an empty item from ending the list, and a leading separator of the item
     * from pairing with the one before it. */
    if (!*first && (*item == '\0' || *item == sep))
        buf_add_char(out, ' ');
    *first = false;
    for (; *item != '\0'; item++) {
        buf_add_char(out, *item);
        if (*item == sep)
            buf_add_char(out, sep);
    }
}
