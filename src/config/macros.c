#include "config/macros.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"
#include "hooks.h"
#include "readconf.h"

enum { LINE_MAX_EXPANDED = 4 * 1024 * 1024 };

/* The bytes that occur in a text: rules out most macros of a line at once. */
struct bytes {
    uint64_t set[4];
};

struct macro {
    struct readconf_macro public; /* in the list that -bP shows */
    struct macro *next;
    size_t name_len;
    struct bytes bytes; /* of the name */
    bool command_line;
};

struct macros {
    struct arena *arena;
    const struct hooks *hooks;
    struct macro *first, *last;
    const char *const *builtin; /* made when a line may name one */
    size_t builtin_count;
    struct buf scratch[2];
};

static struct bytes bytes_of(const char *s)
{
    struct bytes b = { { 0 } };

    for (; *s != '\0'; s++)
        b.set[(unsigned char)*s >> 6] |= (uint64_t)1 << (*s & 63);
    return b;
}

static bool has_all(const struct bytes *text, const struct bytes *wanted)
{
    uint64_t missing = 0;

    for (size_t i = 0; i < ARRAY_LEN(text->set); i++)
        missing |= wanted->set[i] & ~text->set[i];
    return missing == 0;
}

static void append(struct macros *m, const char *name, const char *value,
                   bool command_line)
{
    struct macro *new = arena_new_obj(m->arena, struct macro);

    *new = (struct macro){
        .public = { .name = name, .value = value },
        .name_len = strlen(name),
        .bytes = bytes_of(name),
        .command_line = command_line,
    };
    if (m->last != NULL) {
        m->last->next = new;
        m->last->public.next = &new->public;
    } else {
        m->first = new;
    }
    m->last = new;
}

struct macros *macros_new(struct arena *a, const struct hooks *hooks,
                          const struct readconf_macro *command_line)
{
    struct macros *m = arena_new_obj(a, struct macros);

    m->arena = a;
    m->hooks = hooks;
    m->scratch[0] = buf_init(a, LINE_MAX_EXPANDED);
    m->scratch[1] = buf_init(a, LINE_MAX_EXPANDED);
    for (const struct readconf_macro *c = command_line; c != NULL; c = c->next)
        append(m, c->name, c->value, true);
    return m;
}

const struct readconf_macro *macros_list(const struct macros *m)
{
    return m->first == NULL ? NULL : &m->first->public;
}

static size_t identifier_length(const char *s)
{
    size_t n = 0;

    while (is_alnum(s[n]) || s[n] == '_')
        n++;
    return n;
}

size_t macros_name_length(const char *line)
{
    if (!is_upper(line[0]))
        return 0;
    size_t n = identifier_length(line);

    return *cstr_skip_space(line + n) == '=' ? n : 0;
}

/* A later macro whose name contains an earlier one's could never be seen in a line. */
static const struct macro *hidden_by(const struct macros *m, const char *name)
{
    for (const struct macro *old = m->first; old != NULL; old = old->next)
        if (strstr(name, old->public.name) != NULL)
            return old;
    return NULL;
}

bool macros_define(struct macros *m, const char *line, struct err *err)
{
    size_t n = macros_name_length(line);

    if (n == 0)
        return err_set(err, m->arena, "malformed macro definition");
    const char *name = arena_strndup(m->arena, line, n);
    const char *value = cstr_skip_space(line + n) + 1;
    bool again = *value == '=';

    value = cstr_skip_space(value + (again ? 1 : 0));
    struct macro *old = m->first;

    while (old != NULL && strcmp(old->public.name, name) != 0)
        old = old->next;
    if (old != NULL && old->command_line)
        return true; /* -D counts more than the file */
    if (old != NULL && !again)
        return err_set(
            err, m->arena,
            "macro \"%s\" is already defined (use \"==\" if you want to redefine it)",
            name);
    if (old != NULL) {
        old->public.value = arena_strdup(m->arena, value);
        return true;
    }
    if (again)
        return err_set(err, m->arena, "can't redefine an undefined macro \"%s\"", name);
    const struct macro *hider = hidden_by(m, name);

    if (hider != NULL)
        return err_set(
            err, m->arena,
            "\"%s\" cannot be defined as a macro because previously defined macro "
            "\"%s\" is a substring",
            name, hider->public.name);
    append(m, name, arena_strdup(m->arena, value), false);
    return true;
}

/* How many of the sorted names are not beyond the n bytes at s. */
static size_t names_up_to(const struct macros *m, const char *s, size_t n)
{
    size_t low = 0, high = m->builtin_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strncmp(m->builtin[middle], s, n) > 0 ||
            (strncmp(m->builtin[middle], s, n) == 0 && m->builtin[middle][n] != '\0'))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Length of the longest built-in macro that stands at s, or 0: the last name that is not
 * beyond the text, or else one that the two have in common. */
static size_t builtin_at(struct macros *m, const char *s)
{
    if (m->builtin == NULL)
        m->builtin = macros_builtin(m->hooks, m->arena, &m->builtin_count);
    for (size_t n = identifier_length(s); n > 1;) {
        size_t i = names_up_to(m, s, n), same = 0;

        if (i == 0)
            return 0;
        while (same < n && m->builtin[i - 1][same] == s[same])
            same++;
        if (m->builtin[i - 1][same] == '\0')
            return same;
        n = same;
    }
    return 0;
}

static bool replace_builtin(struct macros *m, const char *line, size_t keep,
                            struct buf *out)
{
    const char *from = line;
    bool changed = false;

    buf_clear(out);
    for (const char *at = line + keep; (at = strchr(at, '_')) != NULL;) {
        size_t n = is_upper(at[1]) ? builtin_at(m, at) : 0;

        if (n == 0) {
            at++;
            continue;
        }
        buf_add(out, from, (size_t)(at - from));
        buf_add_char(out, 'y');
        from = at += n;
        changed = true;
    }
    if (changed)
        buf_add_cstr(out, from);
    return changed;
}

static bool replace_one(const struct macro *macro, const char *line, size_t keep,
                        struct buf *out)
{
    const char *at = strstr(line + keep, macro->public.name);
    const char *from = line;

    if (at == NULL)
        return false;
    buf_clear(out);
    for (; at != NULL; at = strstr(from, macro->public.name)) {
        buf_add(out, from, (size_t)(at - from));
        buf_add_cstr(out, macro->public.value);
        from = at + macro->name_len;
    }
    buf_add_cstr(out, from);
    return true;
}

bool macros_replace(struct macros *m, const char *line, size_t keep, const char **out)
{
    struct bytes in_line;
    unsigned next = 0;

    if (replace_builtin(m, line, keep, &m->scratch[next])) {
        line = buf_cstr(&m->scratch[next]);
        next = !next;
    }
    in_line = bytes_of(line + keep);
    for (const struct macro *one = m->first; one != NULL; one = one->next) {
        struct buf *b = &m->scratch[next];

        if (!has_all(&in_line, &one->bytes) || !replace_one(one, line, keep, b))
            continue;
        if (b->full)
            return false;
        line = buf_cstr(b);
        in_line = bytes_of(line + keep);
        next = !next;
    }
    *out = line;
    return true;
}
