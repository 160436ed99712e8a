#include "routers/redirect_list.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "parse.h"

enum { INCLUDE_DEPTH = 10, ITEMS_MAX = 1000000 };

struct parser {
    struct arena *a;
    const struct redirect_rules *rules;
    struct redirect_list *out;
    struct redirect_item **items;
    struct redirect_error **errors;
    size_t count;
    int depth;
    enum redirect_outcome outcome;
};

static enum redirect_outcome error(struct parser *p, const char *text)
{
    p->out->text = text;
    return REDIRECT_ERROR;
}

/* White space and comments between items: a # that begins a line or follows a separator. */
static const char *skip_between(const char *s)
{
    for (;;) {
        while (is_space(*s) || *s == ',')
            s++;
        if (*s != '#')
            return s;
        while (*s != '\0' && *s != '\n')
            s++;
    }
}

/* An item within double quotes as a whole: without them, escapes resolved. */
static const char *unquote(struct arena *a, const char *item)
{
    size_t len = strlen(item);
    char *out = arena_strdup(a, item), *t = out;

    if (len < 2 || item[0] != '"' || item[len - 1] != '"')
        return item;
    for (const char *s = item + 1; s < item + len - 1; s++) {
        if (*s == '"')
            return item; /* "a" "b": not one quoted thing */
        if (*s == '\\' && s + 1 < item + len - 1) {
            s++;
            *t++ = *s == 'n' ? '\n' : *s == 't' ? '\t' : *s == 'r' ? '\r' : *s;
        } else {
            *t++ = *s;
        }
    }
    *t = '\0';
    return out;
}

static void add_item(struct parser *p, enum redirect_kind kind, const char *text, bool backslash)
{
    struct redirect_item *i = arena_new_obj(p->a, struct redirect_item);

    i->kind = kind;
    i->text = text;
    i->backslash = backslash;
    *p->items = i;
    p->items = &i->next;
    p->count++;
}

static unsigned parse_flags(const struct parser *p)
{
    return PARSE_ALLOW_EMPTY | (p->rules->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0) |
           (p->rules->allow_utf8 ? PARSE_ALLOW_UTF8 : 0);
}

static bool is_full_address(const struct parser *p, const char *item)
{
    struct parsed_address pa;

    return parse_address(p->a, item, parse_flags(p), &pa) && pa.domain != NULL;
}

static enum redirect_outcome bad_address(struct parser *p, const char *why, const char *item)
{
    const char *text = arena_printf(p->a, "%s in \"%s\"", why, item);

    if (!p->rules->skip_syntax_errors)
        return error(p, text);
    struct redirect_error *e = arena_new_obj(p->a, struct redirect_error);
    e->message = text;
    *p->errors = e;
    p->errors = &e->next;
    return REDIRECT_ITEMS;
}

static enum redirect_outcome address_item(struct parser *p, const char *item)
{
    struct parsed_address pa;

    if (item[0] == '\\' && parse_address(p->a, item + 1, parse_flags(p), &pa) && pa.domain == NULL &&
        pa.address[0] != '\0') {
        add_item(p, REDIRECT_ADDRESS, pa.address, true);
        return REDIRECT_ITEMS;
    }
    if (!parse_address(p->a, item, parse_flags(p), &pa)) {
        /* Only a comment: an address that is none, and no fault. */
        const char *rest = cstr_skip_space(item);
        bool comment = rest[0] == '(' && rest[strlen(rest) - 1] == ')';
        return comment ? REDIRECT_ITEMS : bad_address(p, pa.err, item);
    }
    if (pa.address[0] != '\0')
        add_item(p, REDIRECT_ADDRESS, pa.address, false);
    return REDIRECT_ITEMS;
}

static enum redirect_outcome parse_text(struct parser *p, const char *s);

/* Below include_directory, and nothing that climbs out of it. */
static bool is_inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && path[n] == '/' && strstr(path, "/../") == NULL &&
           !cstr_ends(path, "/..");
}

static enum redirect_outcome include_item(struct parser *p, const char *item)
{
    const struct redirect_rules *r = p->rules;
    const char *path = str_dup(p->a, str_trim(str_from(item + strlen(":include:")))), *why = NULL;

    if (r->forbid_include || r->include == NULL)
        return error(p, "included files not permitted");
    if (path[0] != '/')
        return error(p, arena_printf(p->a, "included file \"%s\" is not an absolute path", path));
    if (r->include_directory != NULL && !is_inside(path, r->include_directory))
        return error(p, arena_printf(p->a, "included file %s is not in directory %s", path,
                                     r->include_directory));
    if (p->depth >= INCLUDE_DEPTH)
        return error(p, arena_printf(p->a, "included files nest too deeply at %s", path));
    const char *text = r->include(r->arg, path, &why);
    if (text == NULL)
        return error(p, why);
    p->depth++;
    enum redirect_outcome rc = parse_text(p, text);
    p->depth--;
    return rc;
}

static const struct special {
    const char *word;
    enum redirect_outcome outcome;
} specials[] = {
    { ":blackhole:", REDIRECT_BLACKHOLE },
    { ":defer:", REDIRECT_DEFER },
    { ":fail:", REDIRECT_FAIL },
    { ":unknown:", REDIRECT_UNKNOWN },
};

static const struct special *find_special(const char *s)
{
    for (size_t i = 0; i < ARRAY_LEN(specials); i++)
        if (cstr_starts(s, specials[i].word))
            return &specials[i];
    return NULL;
}

static bool is_permitted(const struct redirect_rules *r, enum redirect_outcome o)
{
    switch (o) {
    case REDIRECT_BLACKHOLE:
        return !r->forbid_blackhole;
    case REDIRECT_DEFER:
        return r->allow_defer;
    case REDIRECT_FAIL:
        return r->allow_fail;
    default:
        return true;
    }
}

/* :fail: and :defer: take the rest of the line with them, commas too. */
static enum redirect_outcome special_item(struct parser *p, const struct special *sp, const char *s,
                                          const char *item)
{
    const char *text = s + strlen(sp->word);
    size_t skipped = (size_t)(cstr_skip_space(text) - text);
    const char *line = arena_strndup(p->a, s, strlen(sp->word) + skipped + strcspn(text + skipped, "\n"));

    if (!is_permitted(p->rules, sp->outcome)) {
        bool with_text = sp->outcome == REDIRECT_FAIL || sp->outcome == REDIRECT_DEFER;
        return error(p, arena_printf(p->a, "\"%s\" is not permitted", with_text ? line : item));
    }
    p->out->text = cstr_skip_space(line + strlen(sp->word));
    return sp->outcome;
}

static enum redirect_outcome one_item(struct parser *p, const char *item)
{
    if (cstr_starts(item, ":include:"))
        return include_item(p, item);
    if (p->count >= ITEMS_MAX)
        return error(p, "too many addresses in the list");
    if ((item[0] == '|' || item[0] == '/') && !is_full_address(p, item)) {
        add_item(p, item[0] == '|' ? REDIRECT_PIPE : REDIRECT_FILE, item, false);
        return REDIRECT_ITEMS;
    }
    return address_item(p, item);
}

static enum redirect_outcome parse_text(struct parser *p, const char *s)
{
    while (*(s = skip_between(s)) != '\0') {
        const char *end = parse_find_address_end(s, true);
        const char *item = str_dup(p->a, str_trim((struct str){ s, (size_t)(end - s) }));
        const char *plain = unquote(p->a, item);
        const struct special *sp = find_special(plain);
        enum redirect_outcome rc = REDIRECT_ITEMS;

        if (sp != NULL)
            rc = special_item(p, sp, plain == item ? s : plain, plain);
        else if (plain[0] != '\0')
            rc = one_item(p, plain);
        if (rc == REDIRECT_BLACKHOLE)
            p->outcome = rc; /* wins in the end, whatever else there is */
        else if (rc != REDIRECT_ITEMS)
            return rc;
        s = end > s ? end : s + 1;
    }
    return p->outcome;
}

enum redirect_outcome redirect_list_parse(struct arena *a, const char *text, const struct redirect_rules *rules,
                                          struct redirect_list *out)
{
    struct parser p = { .a = a, .rules = rules, .out = out, .items = &out->items, .errors = &out->errors,
                        .outcome = REDIRECT_ITEMS };

    *out = (struct redirect_list){ 0 };
    return parse_text(&p, text);
}
