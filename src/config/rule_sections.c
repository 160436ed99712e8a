#include "config/reader.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/source.h"
#include "hooks.h"

/* ---- acl ---- */

struct place {
    const char *file;
    int line;
};

/* The ACL that is being read: the lines that follow its name, and where they are. */
struct acl_text {
    const char *name;
    const char **lines;
    struct place *places;
    int count, cap;
};

/* "name:" and maybe a first line after it. */
static const char *acl_name(struct arena *a, const char *line, const char **rest)
{
    const char *end = line;

    while (is_alnum(*end) || *end == '_')
        end++;
    *rest = cstr_skip_space(end);
    if (!is_alpha(line[0]) || **rest != ':')
        return NULL;
    *rest = cstr_skip_space(*rest + 1);
    return arena_strndup(a, line, (size_t)(end - line));
}

static void add_line(struct reader *r, struct acl_text *t, const char *line)
{
    if (t->count == t->cap) {
        size_t old = (size_t)t->cap, cap = old == 0 ? 32 : old * 2;

        t->lines = arena_realloc(r->arena, t->lines, old * sizeof(*t->lines),
                                 cap * sizeof(*t->lines));
        t->places = arena_realloc(r->arena, t->places, old * sizeof(*t->places),
                                  cap * sizeof(*t->places));
        t->cap = (int)cap;
    }
    t->places[t->count] = (struct place){ .file = source_filename(r->source),
                                          .line = source_number(r->source) };
    t->lines[t->count++] = line;
}

/* The first line with which the ACL cannot be parsed; err is worded by that attempt. */
static bool bad_acl(struct reader *r, const struct acl_text *t)
{
    struct err why = { .msg = "empty" };
    int n = 0;

    while (n < t->count &&
           r->hooks->acl_parse(r->arena, t->name, t->lines, n + 1, r->cfg, &why) != NULL)
        n++;
    if (n == t->count)
        n--;
    r->file = t->places[n].file;
    r->line = t->places[n].line;
    return err_set(r->err, r->arena, "error in ACL: %s", why.msg);
}

static bool finish_acl(struct reader *r, struct acl_text *t)
{
    struct err why = { 0 };

    if (t->name == NULL)
        return true;
    struct acl *acl =
        r->hooks->acl_parse(r->arena, t->name, t->lines, t->count, r->cfg, &why);

    if (acl == NULL && t->count > 0)
        return bad_acl(r, t);
    if (acl == NULL)
        return err_set(r->err, r->arena, "error in ACL %s: %s", t->name, why.msg);
    hash_put(r->acls, t->name, acl);
    *t = (struct acl_text){ 0 };
    return true;
}

static bool acl_line(struct reader *r, struct acl_text *t, const char *line)
{
    const char *rest, *name;
    bool was;

    if (!reader_macro(r, line, &was))
        return false;
    if (was)
        return finish_acl(r, t);
    name = acl_name(r->arena, line, &rest);
    if (name == NULL && t->name == NULL)
        return err_set(r->err, r->arena, "missing or malformed ACL name");
    if (name == NULL) {
        add_line(r, t, line);
        return true;
    }
    if (!finish_acl(r, t))
        return false;
    if (hash_find(r->acls, name) != NULL)
        return err_set(r->err, r->arena, "there are two ACLs called \"%s\"", name);
    t->name = name;
    if (*rest != '\0')
        add_line(r, t, rest);
    return true;
}

bool reader_acls(struct reader *r)
{
    struct acl_text t = { 0 };
    const char *line;

    while ((line = reader_next(r)) != NULL && reader_begin(line) == NULL)
        if (!acl_line(r, &t, line))
            return false;
    if (line == NULL && !reader_ended(r))
        return false;
    if (line != NULL)
        reader_again(r);
    return finish_acl(r, &t);
}

/* ---- retry, rewrite ---- */

/* Both kinds of rule are parsed from one line each, and begin with their `next`. */
typedef void *rule_parse(struct reader *r, const char *line);

static void *parse_retry(struct reader *r, const char *line)
{
    return r->hooks->retry_rule_parse(r->arena, line, r->cfg, r->err);
}

static void *parse_rewrite(struct reader *r, const char *line)
{
    return r->hooks->rewrite_rule_parse(r->arena, line, r->cfg, r->err);
}

static bool read_rules(struct reader *r, rule_parse *parse, const void **first)
{
    const void **end = first;
    const char *line;

    while ((line = reader_next(r)) != NULL && reader_begin(line) == NULL) {
        void *rule = parse(r, line);

        if (rule == NULL)
            return false;
        *end = rule;
        end = rule; /* its first member */
    }
    if (line != NULL)
        reader_again(r);
    return line != NULL || reader_ended(r);
}

bool reader_retry(struct reader *r)
{
    const void *rules = NULL;
    bool ok = read_rules(r, parse_retry, &rules);

    r->cfg->retry_rules = rules;
    return ok;
}

bool reader_rewrite(struct reader *r)
{
    const void *rules = NULL;
    bool ok = read_rules(r, parse_rewrite, &rules);

    r->cfg->rewrite_rules = rules;
    return ok;
}
