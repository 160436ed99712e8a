#include "expand/expand_int.h"

#include "base/str.h"

/* Strings after the arguments: nothing, {yes}, {yes}{no} or {yes}fail. */
static bool bad_strings(struct compiler *c, const char *what)
{
    return compile_fail(c,
                        "curly-bracket problem in conditional yes/no parsing: %s\n "
                        "remaining string is '%s'",
                        what, c->p);
}

static bool read_no(struct compiler *c, const char *item, struct branches *b)
{
    if (*c->p == '{') {
        if (!compile_braced(c, false, &b->no))
            return false;
    } else if (*c->p != '}') {
        const char *at = c->p, *word = compile_name(c, "");

        if (strcmp(word, "fail") != 0) {
            c->p = at;
            return compile_fail(c, "syntax error in \"%s\" item - \"fail\" expected",
                                item);
        }
        b->fail = true;
    }
    return true;
}

bool branches_compile(struct compiler *c, const char *item, struct branches *b)
{
    b->item = item;
    compile_skip_space(c);
    if (*c->p == '}') {
        c->p++;
        return true;
    }
    if (*c->p != '{')
        return bad_strings(c, "'yes' part did not start with '{'");
    b->given = true;
    if (!compile_braced(c, false, &b->yes))
        return false;
    compile_skip_space(c);
    if (!read_no(c, item, b))
        return false;
    compile_skip_space(c);
    if (*c->p != '}')
        return bad_strings(c, "did not close with '}'");
    c->p++;
    return true;
}

enum expand_rc branches_eval(struct expand_ctx *ctx, const struct branches *b,
                             bool success, const char *dflt, const char **out)
{
    if (!success && b->fail)
        return eval_forced(ctx, "\"%s\" failed and \"fail\" requested", b->item);
    if (b->given)
        return eval_nodes(ctx, success ? b->yes : b->no, out);
    *out = success && dflt != NULL ? dflt : "";
    return EXPAND_OK;
}

enum expand_rc branches_value(struct expand_ctx *ctx, const struct branches *b,
                              const char *value, const char **out)
{
    struct eval_saved saved;

    eval_save(ctx, &saved);
    if (value != NULL)
        ctx->value = value;
    enum expand_rc rc = branches_eval(ctx, b, value != NULL, value, out);
    eval_restore(ctx, &saved);
    return rc;
}
