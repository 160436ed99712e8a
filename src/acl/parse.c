#include "acl/acl_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"
#include "match.h"

struct parser {
    struct arena *a;
    const struct config *cfg;
    struct err *err;
    struct acl *acl;
    const struct acl_statement **statement_end;
    struct acl_statement *statement;
    const struct acl_item **item_end;
};

static const char *const verbs[] = {
    [VERB_ACCEPT] = "accept",   [VERB_DEFER] = "defer", [VERB_DENY] = "deny",
    [VERB_DISCARD] = "discard", [VERB_DROP] = "drop",   [VERB_REQUIRE] = "require",
    [VERB_WARN] = "warn"
};

const char *acl_parse_verb_name(enum acl_verb v)
{
    return verbs[v];
}

static enum acl_verb find_verb(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(word, verbs[i]) == 0)
            return (enum acl_verb)i;
    return VERB_NONE;
}

static const char *take_word(struct parser *p, const char **s)
{
    const char *start = *s, *end = start;

    while (is_alnum(*end) || *end == '_')
        end++;
    *s = end;
    return arena_strndup(p->a, start, (size_t)(end - start));
}

/* ---- arguments ---- */

/* The end of a blank-separated word; blanks inside braces do not separate. */
static const char *word_end(const char *s)
{
    int depth = 0;

    for (; *s != '\0' && (depth > 0 || !is_space(*s)); s++) {
        if (*s == '\\' && s[1] != '\0')
            s++;
        else if (*s == '{')
            depth++;
        else if (*s == '}' && depth > 0)
            depth--;
    }
    return s;
}

static bool compile_words(struct parser *p, struct acl_item *c)
{
    const struct expr **words =
        arena_new_array(p->a, const struct expr *, ACL_ARG_MAX + 2);

    for (const char *s = c->text; *s != '\0' && c->nwords < ACL_ARG_MAX + 1;) {
        const char *end = word_end(s);

        words[c->nwords] =
            expr_compile(p->a, arena_strndup(p->a, s, (size_t)(end - s)), p->err);
        if (words[c->nwords++] == NULL)
            return false;
        s = cstr_skip_space(end);
    }
    c->words = words;
    return true;
}

static bool compile_list(struct parser *p, struct acl_item *c, enum list_kind kind)
{
    c->list = match_compile(p->a, kind, c->text, p->cfg, p->err);
    return c->list != NULL;
}

static bool compile_expr(struct parser *p, struct acl_item *c)
{
    struct err why = { 0 };

    c->expr = expr_compile(p->a, c->text, &why);
    if (c->expr == NULL)
        return err_set(p->err, p->a, "failed to expand ACL string \"%s\": %s", c->text,
                       why.msg);
    if (c->expr->constant != NULL && c->row->check != NULL)
        return c->row->check(p->a, c->expr->constant, p->err);
    return true;
}

static bool compile_argument(struct parser *p, struct acl_item *c)
{
    switch (c->row->argument) {
    case ARG_NONE:
        return true;
    case ARG_TEXT:
    case ARG_EXPAND:
        return compile_expr(p, c);
    case ARG_DOMAINS:
        return compile_list(p, c, LIST_DOMAIN);
    case ARG_HOSTS:
        return compile_list(p, c, LIST_HOST);
    case ARG_ADDRESSES:
        return compile_list(p, c, LIST_ADDRESS);
    case ARG_LOCAL_PARTS:
    case ARG_STRINGS:
        return compile_list(p, c, LIST_LOCAL_PART);
    case ARG_ACL:
        return compile_words(p, c);
    }
    return false;
}

/* ---- lines ---- */

/* "acl_c0" or "acl_m_name" after set. */
static bool take_variable(struct parser *p, const char *line, const char **s,
                          struct acl_item *c)
{
    const char *start = *s = cstr_skip_space(*s);
    size_t shown = strlen(line);

    while (shown > 0 && is_space(line[shown - 1]))
        shown--;
    c->variable = take_word(p, s);
    if (!cstr_starts(start, "acl_c") && !cstr_starts(start, "acl_m"))
        return err_set(p->err, p->a,
                       "invalid variable name after \"set\" in ACL modifier \"set %.*s\" "
                       "(must start \"acl_c\" or \"acl_m\")",
                       (int)shown, start);
    if (!is_digit(start[5]) && start[5] != '_')
        return err_set(p->err, p->a,
                       "invalid variable name after \"set\" in ACL modifier \"set %.*s\" "
                       "(digit or underscore must follow acl_c or acl_m)",
                       (int)shown, start);
    return true;
}

static bool take_value(struct parser *p, const char *s, struct acl_item *c)
{
    s = cstr_skip_space(s);
    if (*s == '=')
        c->text = arena_strdup(p->a, cstr_skip_space(s + 1));
    else if (c->row->argument != ARG_NONE)
        return err_set(p->err, p->a, "\"=\" missing after ACL \"%s\" %s", c->row->name,
                       c->row->modifier ? "modifier" : "condition");
    else
        c->text = "";
    size_t len = strlen(c->text);
    while (len > 0 && is_space(c->text[len - 1]))
        len--;
    c->text = arena_strndup(p->a, c->text, len);
    return true;
}

static bool check_use(struct parser *p, const struct acl_item *c)
{
    enum acl_verb v = p->statement->verb;

    if (c->negated && c->row->modifier)
        return err_set(p->err, p->a, "ACL error: negation is not allowed with \"%s\"",
                       c->row->name);
    if (c->row->argument == ARG_NONE && v != VERB_ACCEPT && v != VERB_DISCARD)
        return err_set(p->err, p->a, "ACL error: \"%s\" is not allowed with \"%s\"",
                       c->row->name, verbs[v]);
    return true;
}

static bool add_item(struct parser *p, const char *line)
{
    struct acl_item *c = arena_new_obj(p->a, struct acl_item);
    const char *s = line;

    c->negated = *s == '!';
    if (c->negated)
        s = cstr_skip_space(s + 1);
    const char *rest = s, *word = take_word(p, &rest);
    c->row = acl_words_find(word);
    if (c->row == NULL) {
        const char *what = acl_words_unbuilt(word);

        if (what != NULL)
            return err_set(p->err, p->a, "ACL condition/modifier \"%s\" is not built: %s",
                           word, what);
        return err_set(p->err, p->a, "unknown ACL condition/modifier in \"%s\"", line);
    }
    if (!check_use(p, c))
        return false;
    if (strcmp(word, "set") == 0 && !take_variable(p, cstr_skip_space(rest), &rest, c))
        return false;
    if (!take_value(p, rest, c) || !compile_argument(p, c))
        return false;
    *p->item_end = c;
    p->item_end = &c->next;
    return true;
}

/* A line begins with a verb (and maybe the first condition) or goes on with the
 * statement. */
static bool add_line(struct parser *p, const char *line)
{
    const char *rest = line, *word = take_word(p, &rest);
    enum acl_verb v = find_verb(word);

    if (v == VERB_NONE || *cstr_skip_space(rest) == '=') {
        if (p->statement == NULL)
            return err_set(p->err, p->a, "unknown ACL verb \"%s\" in \"%s\"", word, line);
        return add_item(p, line);
    }
    p->statement = arena_new_obj(p->a, struct acl_statement);
    p->statement->verb = v;
    *p->statement_end = p->statement;
    p->statement_end = &p->statement->next;
    p->item_end = &p->statement->items;
    rest = cstr_skip_space(rest);
    return *rest == '\0' || add_item(p, rest);
}

static struct parser start(struct arena *a, const char *name, const struct config *cfg,
                           struct err *err)
{
    struct parser p = {
        .a = a, .cfg = cfg, .err = err, .acl = arena_new_obj(a, struct acl)
    };

    p.acl->name = arena_strdup(a, name);
    p.statement_end = &p.acl->statements;
    return p;
}

struct acl *acl_parse(struct arena *a, const char *name, const char *const *lines,
                      int nlines, const struct config *cfg, struct err *err)
{
    struct parser p = start(a, name, cfg, err);

    for (int i = 0; i < nlines; i++)
        if (!add_line(&p, cstr_skip_space(lines[i])))
            return NULL;
    return p.acl;
}

/* ---- text of a file or an inline ACL ---- */

/* The next logical line: continuations joined, comments and empty lines left out; NULL at
 * the end. */
static const char *next_line(struct arena *a, const char **at)
{
    struct buf b = buf_init(a, 1024 * 1024);
    bool more = true;

    while (more && **at != '\0') {
        const char *s = *at;
        size_t len = strcspn(s, "\n");
        struct str line = str_trim((struct str){ s, len });

        *at = s + len + (s[len] == '\n');
        if (line.len > 0 && *line.p == '#')
            continue;
        if (line.len == 0) {
            more = b.len == 0;
            continue;
        }
        more = line.p[line.len - 1] == '\\';
        buf_add(&b, line.p, line.len - more);
    }
    return b.len == 0 ? NULL : buf_cstr(&b);
}

struct acl *acl_parse_text(struct arena *a, const char *name, const char *text,
                           struct err *err)
{
    struct parser p = start(a, name, NULL, err);
    const char *line;

    while ((line = next_line(a, &text)) != NULL)
        if (!add_line(&p, line))
            return NULL;
    return p.acl;
}
