#include "expand/item_handlers.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "expand/json.h"
#include "expand/strings.h"

enum form { FORM_TEXT, FORM_JSON, FORM_JSONS };

/* What stands after the key. Whether the key is a number, which makes a separator string
 * come before the text, may be known only when it is used. */
struct extract {
    enum form form;
    int narg;
    bool fail; /* the word after the last of arg */
    const struct expr_node *arg[4];
};

static bool is_number(const char *s)
{
    s += *s == '-';
    return s[strspn(s, "0123456789")] == '\0';
}

static const char *trimmed(struct arena *a, const char *s)
{
    s = cstr_skip_space(s);
    size_t len = strlen(s);

    while (len > 0 && is_space(s[len - 1]))
        len--;
    return s[len] == '\0' ? s : arena_strndup(a, s, len);
}

static enum form parse_form(struct compiler *c)
{
    const char *at = c->p;

    compile_skip_space(c);
    const char *word = compile_name(c, "");
    if (strcmp(word, "json") == 0)
        return FORM_JSON;
    if (strcmp(word, "jsons") == 0)
        return FORM_JSONS;
    c->p = at;
    return FORM_TEXT;
}

/* The number of fixed arguments after the key. */
static int fixed_args(const struct extract *x, const char *key)
{
    return x->form == FORM_TEXT && is_number(key) ? 2 : 1;
}

static bool parse_unknown_key(struct compiler *c, struct item_node *n, struct extract *x)
{
    if (!compile_arg(c, "arg 2", "extract", &x->arg[x->narg++]))
        return false;
    compile_skip_space(c);
    for (; x->narg < (int)ARRAY_LEN(x->arg) && *c->p == '{'; compile_skip_space(c))
        if (!compile_braced(c, false, &x->arg[x->narg++]))
            return false;
    struct branches rest = { 0 };
    if (*c->p != '}' && cstr_starts(c->p, "fail")) {
        c->p += 4;
        x->fail = true;
    }
    return branches_compile(c, n->item->name, &rest);
}

bool item_extract_parse(struct compiler *c, struct item_node *n)
{
    struct extract *x = arena_new_obj(c->a, struct extract);

    n->extra = x;
    x->form = parse_form(c);
    if (!compile_arg(c, "arg 1", "extract", &n->arg[0]))
        return false;
    const char *key = compile_constant(n->arg[0]);
    if (key == NULL)
        return parse_unknown_key(c, n, x);
    key = trimmed(c->a, key);
    if (*key == '\0')
        return compile_fail(c, "first argument of \"extract\" must not be empty");
    x->narg = fixed_args(x, key);
    for (int i = 0; i < x->narg; i++)
        if (!compile_arg(c, i == 0 ? "arg 2" : "arg 3", "extract", &x->arg[i]))
            return false;
    return branches_compile(c, n->item->name, &n->branches);
}

/* ---- key=value text ---- */

static const char *read_value(struct arena *a, const char **at)
{
    const char *p = *at, *start;

    if (*p != '"') {
        for (start = p; *p != '\0' && !is_space(*p);)
            p++;
        *at = p;
        return arena_strndup(a, start, (size_t)(p - start));
    }
    struct buf b = buf_init(a, EXPAND_RESULT_MAX);
    for (p++; *p != '\0' && *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p += strings_escape(p + 1, &b);
        else
            buf_add_char(&b, *p);
    }
    *at = p + (*p == '"');
    return buf_cstr(&b);
}

static const char *keyed(struct arena *a, const char *key, const char *s)
{
    for (s = cstr_skip_space(s); *s != '\0'; s = cstr_skip_space(s)) {
        size_t len = strcspn(s, "= \t\n\v\f\r");
        bool mine = str_ieq((struct str){ s, len }, str_from(key));

        s = cstr_skip_space(s + len);
        if (*s == '=')
            s = cstr_skip_space(s + 1);
        const char *value = read_value(a, &s);
        if (mine)
            return value;
    }
    return NULL;
}

/* ---- fields ---- */

static size_t field_count(const char *s, const char *separators)
{
    size_t n = 1;

    for (; *s != '\0'; s++)
        n += strchr(separators, *s) != NULL;
    return n;
}

static const char *field(struct arena *a, long number, const char *separators,
                         const char *s)
{
    if (number == 0)
        return s;
    long count = (long)field_count(s, separators);
    if (number < 0)
        number += count + 1;
    if (number <= 0 || number > count)
        return NULL;
    while (--number > 0)
        s += strcspn(s, separators) + 1;
    return arena_strndup(a, s, strcspn(s, separators));
}

/* ---- extract ---- */

static const char *json_value(struct expand_ctx *ctx, enum form form, const char *key,
                              const char *text)
{
    long number = strtol(key, NULL, 10);
    const char *v;

    if (!is_number(key)) {
        v = json_member(ctx->arena, text, key, &ctx->err);
    } else if (number <= 0) {
        err_set(&ctx->err, ctx->arena,
                "first argument of \"extract\" must be greater than zero");
        return NULL;
    } else {
        v = json_element(ctx->arena, text, number, &ctx->err);
    }
    return v == NULL || form == FORM_JSON ? v : json_unquote(ctx->arena, v, &ctx->err);
}

/* *value NULL: not there. */
static enum expand_rc find_value(struct expand_ctx *ctx, const struct extract *x,
                                 const char *key, const char **value)
{
    const char *v[2] = { NULL, NULL };

    for (int i = 0; i < fixed_args(x, key); i++) {
        enum expand_rc rc = eval_nodes(ctx, x->arg[i], &v[i]);

        if (rc != EXPAND_OK)
            return rc;
    }
    if (x->form != FORM_TEXT) {
        ctx->err = (struct err){ 0 };
        *value = json_value(ctx, x->form, key, v[0]);
        return *value == NULL && ctx->err.msg != NULL ? EXPAND_FAIL : EXPAND_OK;
    }
    if (is_number(key))
        *value = field(ctx->arena, strtol(key, NULL, 10), v[0], v[1]);
    else
        *value = keyed(ctx->arena, key, v[0]);
    return EXPAND_OK;
}

static enum expand_rc choose_branches(struct expand_ctx *ctx, const struct item_node *n,
                                      const char *key, struct branches *b)
{
    const struct extract *x = n->extra;
    int fixed = fixed_args(x, key);

    *b = n->branches;
    if (compile_constant(n->arg[0]) != NULL)
        return EXPAND_OK;
    if (x->narg < fixed)
        return eval_fail(ctx, "missing '{' for arg 3 of extract");
    if (x->narg + (x->fail ? 1 : 0) > fixed + 2)
        return eval_fail(ctx, "too many strings for extract with this key");
    b->item = n->item->name;
    b->given = x->narg > fixed;
    b->yes = b->given ? x->arg[fixed] : NULL;
    b->no = x->narg > fixed + 1 ? x->arg[fixed + 1] : NULL;
    b->fail = x->fail;
    return EXPAND_OK;
}

enum expand_rc item_extract(struct expand_ctx *ctx, const struct item_node *n,
                            const char **out)
{
    struct branches b;
    const char *key, *value;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &key);

    if (rc != EXPAND_OK)
        return rc;
    key = trimmed(ctx->arena, key);
    if (*key == '\0')
        return eval_fail(ctx, "first argument of \"extract\" must not be empty");
    rc = choose_branches(ctx, n, key, &b);
    if (rc == EXPAND_OK)
        rc = find_value(ctx, n->extra, key, &value);
    return rc != EXPAND_OK ? rc : branches_value(ctx, &b, value, out);
}

/* ---- listextract ---- */

bool item_listextract_parse(struct compiler *c, struct item_node *n)
{
    return compile_arg(c, "arg 1", "listextract", &n->arg[0]) &&
           compile_arg(c, "arg 2", "listextract", &n->arg[1]) &&
           branches_compile(c, n->item->name, &n->branches);
}

static const char *list_item(struct arena *a, const char *list, long number)
{
    if (number < 0)
        number += list_count(list, ':', a) + 1;
    struct list_iter it = list_begin(list, ':');
    const char *s = NULL;

    if (number <= 0)
        return NULL;
    do
        s = list_next(&it, a);
    while (s != NULL && --number > 0);
    return s;
}

enum expand_rc item_listextract(struct expand_ctx *ctx, const struct item_node *n,
                                const char **out)
{
    const char *key, *list;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &key);

    if (rc == EXPAND_OK)
        rc = eval_nodes(ctx, n->arg[1], &list);
    if (rc != EXPAND_OK)
        return rc;
    key = trimmed(ctx->arena, key);
    if (*key == '\0')
        return eval_fail(ctx, "first argument of \"listextract\" must not be empty");
    if (!is_number(key))
        return eval_fail(ctx, "first argument of \"listextract\" must be numeric");
    const char *value = list_item(ctx->arena, list, strtol(key, NULL, 10));
    return branches_value(ctx, &n->branches, value, out);
}

/* ---- env ---- */

bool item_env_parse(struct compiler *c, struct item_node *n)
{
    return compile_arg(c, "arg 1", "env", &n->arg[0]) &&
           branches_compile(c, n->item->name, &n->branches);
}

enum expand_rc item_env(struct expand_ctx *ctx, const struct item_node *n,
                        const char **out)
{
    const char *name;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &name);

    if (rc != EXPAND_OK)
        return rc;
    return branches_value(ctx, &n->branches, getenv(trimmed(ctx->arena, name)), out);
}
