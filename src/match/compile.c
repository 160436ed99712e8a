#include "match/match_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "expand.h"
#include "regex.h"

enum { ITEMS_FIRST = 16 };

/* ---- patterns that all kinds of list know ---- */

static bool compile_regex(struct arena *a, enum list_kind kind, const char *text,
                          struct match_item *out, struct err *err)
{
    out->kind = ITEM_REGEX;
    out->u.regex.caseless = regex_compile(a, text, REGEX_CASELESS, err);
    if (out->u.regex.caseless == NULL)
        return false;
    if (kind == LIST_ADDRESS || kind == LIST_LOCAL_PART)
        out->u.regex.caseful = regex_compile(a, text, 0, err);
    return kind == LIST_DOMAIN || kind == LIST_HOST || out->u.regex.caseful != NULL;
}

/* "type;data", known to hold a semicolon. */
static bool compile_lookup(struct arena *a, const char *text, struct match_item *out,
                           struct err *err)
{
    const char *semi = strchr(text, ';');
    size_t len = (size_t)(semi - text);

    while (len > 0 && is_space(text[len - 1]))
        len--;
    out->kind = ITEM_LOOKUP;
    out->u.lookup.bits = -1;
    out->u.lookup.data = arena_strdup(a, cstr_skip_space(semi + 1));
    return search_type_parse(a, arena_strndup(a, text, len), &out->u.lookup.type, err);
}

static bool compile_mx(struct arena *a, const char *text, struct match_item *out,
                       struct err *err)
{
    static const struct {
        const char *name;
        enum item_mx which;
    } names[] = { { "@mx_any", MX_ANY },
                  { "@mx_primary", MX_PRIMARY },
                  { "@mx_secondary", MX_SECONDARY } };

    out->kind = ITEM_MX;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t len = strlen(names[i].name);

        if (strncmp(text, names[i].name, len) != 0)
            continue;
        out->u.mx.which = names[i].which;
        if (text[len] == '\0')
            return true;
        if (!cstr_starts(text + len, "/ignore="))
            break;
        struct match_list *ignore = arena_new_obj(a, struct match_list);
        ignore->kind = LIST_HOST;
        ignore->text = arena_strdup(a, text + len + strlen("/ignore="));
        ignore->program = match_compile_program(a, LIST_HOST, ignore->text, err);
        out->u.mx.ignore = ignore;
        return ignore->program != NULL;
    }
    return err_set(err, a, "unknown item \"%s\" in a list", text);
}

/* Names of this host; false if text is none. */
static bool compile_local_name(struct arena *a, const char *text, struct match_item *out,
                               struct err *err, bool *ok)
{
    *ok = true;
    if (strcmp(text, "@") == 0)
        out->kind = ITEM_PRIMARY;
    else if (strcmp(text, "@[]") == 0)
        out->kind = ITEM_LITERALS;
    else if (cstr_starts(text, "@mx_"))
        *ok = compile_mx(a, text, out, err);
    else
        return false;
    return true;
}

static bool compile_string(struct arena *a, enum list_kind kind, const char *text,
                           struct match_item *out, struct err *err)
{
    bool ok;

    if (kind == LIST_DOMAIN && compile_local_name(a, text, out, err, &ok))
        return ok;
    if (*text == '^')
        return compile_regex(a, kind, text, out, err);
    if (*text == '*') {
        out->kind = text[1] == '\0' ? ITEM_ANY : ITEM_SUFFIX;
        return true;
    }
    if (*text == '+') {
        out->kind = kind == LIST_LOCAL_PART && strcmp(text, "+caseful") == 0
                        ? ITEM_CASEFUL
                        : ITEM_NAMED;
        return true;
    }
    if (*text == '/') {
        out->kind = ITEM_FILE;
        return true;
    }
    if (strchr(text, ';') != NULL)
        return compile_lookup(a, text, out, err);
    out->kind = ITEM_LITERAL;
    return true;
}

/* ---- address lists ---- */

/* The @ that divides a pattern: the last one before a lookup's data; one that stands
 * before another belongs to a domain item such as "@[]". */
static const char *dividing_at(const char *text)
{
    const char *semi = strchr(text, ';'), *at = NULL;

    for (const char *p = text; *p != '\0' && p != semi; p++)
        if (*p == '@')
            at = p;
    return at != NULL && at > text && at[-1] == '@' ? at - 1 : at;
}

static bool compile_local_domain(struct arena *a, const char *text, const char *at,
                                 struct match_item *out, struct err *err)
{
    struct match_item *domain = arena_new_obj(a, struct match_item);

    out->kind = at == NULL ? ITEM_DOMAIN : ITEM_ADDRESS;
    if (at != NULL)
        out->u.address.local = arena_strndup(a, text, (size_t)(at - text));
    out->u.address.domain = domain;
    return match_compile_item(a, LIST_DOMAIN, at == NULL ? text : at + 1, domain, err);
}

static bool is_lookup(struct arena *a, const char *text)
{
    struct search_type type;
    struct err ignored;
    const char *semi = strchr(text, ';');
    size_t len = semi == NULL ? 0 : (size_t)(semi - text);

    while (len > 0 && is_space(text[len - 1]))
        len--;
    return semi != NULL &&
           search_type_parse(a, arena_strndup(a, text, len), &type, &ignored);
}

static bool compile_address(struct arena *a, const char *text, struct match_item *out,
                            struct err *err)
{
    if (*text == '\0') {
        out->kind = ITEM_LITERAL;
        return true;
    }
    if (*text == '^')
        return compile_regex(a, LIST_ADDRESS, text, out, err);
    if (*text == '+') {
        out->kind = strcmp(text, "+caseful") == 0 ? ITEM_CASEFUL : ITEM_NAMED;
        return true;
    }
    if (*text == '/') {
        out->kind = ITEM_FILE;
        return true;
    }
    if (cstr_starts(text, "@@")) {
        if (strchr(text, ';') == NULL)
            return err_set(err, a, "no lookup type after @@ in \"%s\"", text);
        if (!compile_lookup(a, text + 2, out, err))
            return false;
        out->kind = ITEM_BY_DOMAIN;
        return true;
    }
    const char *at = dividing_at(text);
    if (strchr(text, ';') != NULL && (at == NULL || is_lookup(a, text)))
        return compile_lookup(a, text, out, err);
    return compile_local_domain(a, text, at, out, err);
}

/* ---- host lists ---- */

/* "net-type;" and "netN-type;": the type behind the prefix; NULL when there is none. */
static const char *net_prefix(const char *text, int *bits)
{
    *bits = -1;
    if (!cstr_starts(text, "net"))
        return NULL;
    text += 3;
    if (is_digit(*text))
        for (*bits = 0; is_digit(*text) && *bits < 1000; text++)
            *bits = *bits * 10 + (*text - '0');
    return *text == '-' ? text + 1 : NULL;
}

static bool compile_host_lookup(struct arena *a, const char *text, struct match_item *out,
                                struct err *err)
{
    int bits;
    const char *type = net_prefix(text, &bits);

    if (type == NULL)
        return compile_lookup(a, text, out, err);
    if (!compile_lookup(a, type, out, err))
        return false;
    out->u.lookup.net = true;
    out->u.lookup.bits = bits;
    return true;
}

/* Digits and dots only (perhaps with a mask) cannot be a name, so it was meant to be an
 * address. */
static bool looks_like_ipv4(const char *text)
{
    return text[strspn(text, "0123456789.")] == '\0' ||
           (is_digit(*text) && text[strspn(text, "0123456789./")] == '\0');
}

static bool compile_switch(const char *text, struct match_item *out)
{
    static const char *const names[] = { [SWITCH_INCLUDE_UNKNOWN] = "+include_unknown",
                                         [SWITCH_IGNORE_UNKNOWN] = "+ignore_unknown",
                                         [SWITCH_INCLUDE_DEFER] = "+include_defer",
                                         [SWITCH_IGNORE_DEFER] = "+ignore_defer" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0) {
            out->kind = ITEM_SWITCH;
            out->u.sw = (enum item_switch)i;
            return true;
        }
    return false;
}

static bool compile_net(const char *text, struct match_item *out)
{
    struct ip ip;
    unsigned bits;

    if (!ip_parse_net(text, &ip, &bits))
        return false;
    if (ip.family == 6 && bits >= 96) {
        struct ip v4 = ip_unmap(ip);

        bits -= v4.family == 4 ? 96 : 0;
        ip = v4;
    }
    out->kind = ITEM_NET;
    out->u.net.ip = ip;
    out->u.net.bits = bits;
    return true;
}

static bool compile_host(struct arena *a, const char *text, struct match_item *out,
                         struct err *err)
{
    if (*text == '\0' || compile_net(text, out) || compile_switch(text, out))
        return true; /* an item without text is a LITERAL: no host */
    if (strcmp(text, "@") == 0) {
        out->kind = ITEM_PRIMARY;
        return true;
    }
    if (strcmp(text, "@[]") == 0) {
        out->kind = ITEM_LITERALS;
        return true;
    }
    if (*text == '^')
        return compile_regex(a, LIST_HOST, text, out, err);
    if (*text != '+' && *text != '/' && *text != '*' && strchr(text, ';') != NULL)
        return compile_host_lookup(a, text, out, err);
    if (looks_like_ipv4(text)) {
        out->kind = ITEM_BAD;
        return true;
    }
    return compile_string(a, LIST_HOST, text, out, err);
}

/* ---- lists ---- */

bool match_compile_item(struct arena *a, enum list_kind kind, const char *text,
                        struct match_item *out, struct err *err)
{
    *out = (struct match_item){ .negated = out->negated, .text = arena_strdup(a, text) };
    switch (kind) {
    case LIST_ADDRESS:
        return compile_address(a, out->text, out, err);
    case LIST_HOST:
        return compile_host(a, out->text, out, err);
    case LIST_DOMAIN:
    case LIST_LOCAL_PART:
        break;
    }
    return compile_string(a, kind, out->text, out, err);
}

struct items {
    struct arena *a;
    struct match_item *v;
    size_t count, cap;
    bool costly;
};

static bool is_costly(const struct match_item *item)
{
    switch (item->kind) {
    case ITEM_REGEX:
    case ITEM_LOOKUP:
    case ITEM_NAMED:
    case ITEM_FILE:
    case ITEM_MX:
    case ITEM_BY_DOMAIN:
        return true;
    case ITEM_ADDRESS:
    case ITEM_DOMAIN:
        return is_costly(item->u.address.domain);
    default:
        return false;
    }
}

static bool add_item(struct items *to, enum list_kind kind, const char *text,
                     struct err *err)
{
    if (to->count == to->cap) {
        size_t cap = to->cap == 0 ? ITEMS_FIRST : to->cap * 2;

        to->v =
            arena_realloc(to->a, to->v, to->cap * sizeof(*to->v), cap * sizeof(*to->v));
        to->cap = cap;
    }
    struct match_item *item = &to->v[to->count];
    *item = (struct match_item){ .negated = *text == '!' };
    if (item->negated)
        text = cstr_skip_space(text + 1);
    if (!match_compile_item(to->a, kind, text, item, err))
        return false;
    to->costly |= is_costly(item) || (kind == LIST_HOST && item->kind == ITEM_LITERAL);
    to->count++;
    return true;
}

static const struct match_program *program_of(struct items *items, enum list_kind kind)
{
    struct match_program *p = arena_new_obj(items->a, struct match_program);

    p->items = items->v;
    p->count = match_group_items(items->a, kind, items->v, items->count);
    p->costly = items->costly;
    return p;
}

const struct match_program *match_compile_program(struct arena *a, enum list_kind kind,
                                                  const char *text, struct err *err)
{
    struct items items = { .a = a };
    struct list_iter it = list_begin(text, ':');

    for (const char *item; (item = list_next(&it, a)) != NULL;)
        if (!add_item(&items, kind, item, err))
            return NULL;
    return program_of(&items, kind);
}

/* Where the comment of a line begins: any '#' for domains and hosts; local parts may have
 * one. */
static size_t comment_at(const char *line, size_t len, enum list_kind kind)
{
    bool anywhere = kind == LIST_DOMAIN || kind == LIST_HOST;

    for (size_t i = 0; i < len; i++)
        if (line[i] == '#' && (anywhere || i == 0 || is_space(line[i - 1])))
            return i;
    return len;
}

const struct match_program *match_compile_lines(struct arena *a, enum list_kind kind,
                                                const char *text, struct err *err)
{
    struct items items = { .a = a };

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        struct str line = str_trim((struct str){ text, comment_at(text, len, kind) });

        if (line.len > 0 && !add_item(&items, kind, str_dup(a, line), err))
            return NULL;
        text += len + (text[len] == '\n');
    }
    for (size_t i = 0; i < items.count; i++) {
        if (items.v[i].kind == ITEM_FILE) /* no files in files */
            items.v[i].kind = ITEM_LITERAL;
        if (items.v[i].kind == ITEM_SWITCH) /* nor +include_unknown: a named list then */
            items.v[i].kind = ITEM_NAMED;
    }
    return program_of(&items, kind);
}

/* The text of a list that may have to be expanded. */
const struct match_list *match_compile(struct arena *a, enum list_kind kind,
                                       const char *text, const struct config *cfg,
                                       struct err *err)
{
    struct match_list *l = arena_new_obj(a, struct match_list);

    (void)cfg; /* named lists are found when they are used: they may be defined later */
    l->text = arena_strdup(a, text);
    l->kind = kind;
    const struct expr *e = expr_compile(a, text, err);
    if (e == NULL)
        return NULL;
    if (e->constant == NULL) {
        l->expr = e;
        return l;
    }
    l->program = match_compile_program(a, kind, e->constant, err);
    return l->program == NULL ? NULL : l;
}
