#include "expand/expand_int.h"

#include "base/arena.h"
#include "regex.h"

struct regex_arg {
    const struct regex *fixed; /* NULL: compiled per use */
};

const void *regex_arg_compile(struct compiler *c, const struct expr_node *pattern)
{
    struct regex_arg *r = arena_new_obj(c->a, struct regex_arg);
    const char *text = compile_constant(pattern);

    if (text != NULL) {
        r->fixed = regex_compile(c->a, text, regex_is_plain(text) ? REGEX_LATER : 0, c->err);
        if (r->fixed == NULL)
            return NULL;
    }
    return r;
}

const struct regex *regex_arg_get(struct expand_ctx *ctx, const void *kept,
                                  const char *pattern)
{
    const struct regex_arg *r = kept;

    return r->fixed != NULL ? r->fixed : regex_compile(ctx->arena, pattern, 0, &ctx->err);
}
