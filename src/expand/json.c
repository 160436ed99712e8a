#include "expand/json.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"

/* The character after a string literal that begins at s, or the NUL. */
static const char *skip_string(const char *s)
{
    for (s++; *s != '\0' && *s != '"'; s++)
        if (*s == '\\' && s[1] != '\0')
            s++;
    return *s == '\0' ? s : s + 1;
}

/* The ',' or closing bracket after the value that begins at s, or the NUL. */
static const char *skip_value(const char *s)
{
    for (long depth = 0; *s != '\0';) {
        if (*s == '"') {
            s = skip_string(s);
            continue;
        }
        if (depth == 0 && (*s == ',' || *s == ']' || *s == '}'))
            break;
        depth += *s == '[' || *s == '{';
        depth -= *s == ']' || *s == '}';
        s++;
    }
    return s;
}

static const char *cut(struct arena *a, const char *from, const char *to)
{
    from = cstr_skip_space(from);
    while (to > from && is_space(to[-1]))
        to--;
    return arena_strndup(a, from, (size_t)(to - from));
}

static const char *inside(struct arena *a, const char *text, char open, struct err *err)
{
    text = cstr_skip_space(text);
    size_t len = strlen(text);
    while (len > 0 && is_space(text[len - 1]))
        len--;
    char close = open == '[' ? ']' : '}';
    char bad = *text != open ? open : len < 2 || text[len - 1] != close ? close : '\0';

    if (bad != '\0') {
        err_set(err, a, "missing '%c' wrapping %s for extract json", bad,
                open == '[' ? "array" : "object");
        return NULL;
    }
    return cstr_skip_space(arena_strndup(a, text + 1, len - 2));
}

const char *json_next(struct arena *a, const char **at, struct err *err)
{
    const char *s = *at;

    if (*s != ',') {
        s = inside(a, s, '[', err);
        if (s == NULL || *s == '\0') {
            *at = NULL;
            return NULL;
        }
    } else {
        s++;
    }
    const char *end = skip_value(s);
    *at = *end == ',' ? end : NULL;
    return cut(a, s, end);
}

const char *json_element(struct arena *a, const char *array, long number, struct err *err)
{
    const char *v = NULL;

    for (const char *at = array; number > 0 && at != NULL; number--)
        v = json_next(a, &at, err);
    return number == 0 ? v : NULL;
}

const char *json_member(struct arena *a, const char *object, const char *key,
                        struct err *err)
{
    const char *s = inside(a, object, '{', err);
    struct str want = str_from(key);

    while (s != NULL && *s == '"') {
        const char *end = skip_string(s), *colon = cstr_skip_space(end);
        struct str name = { s + 1, end - s >= 2 ? (size_t)(end - s) - 2 : 0 };

        if (*colon != ':')
            break;
        const char *stop = skip_value(colon + 1);
        if (str_eq(name, want))
            return cut(a, colon + 1, stop);
        s = *stop == ',' ? cstr_skip_space(stop + 1) : NULL;
    }
    return NULL;
}

const char *json_unquote(struct arena *a, const char *value, struct err *err)
{
    size_t len = strlen(value);

    if (len < 2 || *value != '"' || value[len - 1] != '"') {
        err_set(err, a, "missing '\"' wrapping string result for extract jsons");
        return NULL;
    }
    return arena_strndup(a, value + 1, len - 2);
}
