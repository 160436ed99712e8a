#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "config/config.h"
#include "exim.h"

enum { NAMED_DEPTH_MAX = 20 };

enum expand_rc op_listcount(struct expand_ctx *ctx, const struct operator_node *n,
                            const char *in, const char **out)
{
    (void)n;
    return eval_number(ctx, list_count(in, ':', ctx->arena), out);
}

/* ---- listnamed ---- */

static const struct {
    const char *letter, *name;
    enum list_kind kind;
} kinds[] = {
    { "a", "address ", LIST_ADDRESS },
    { "d", "domain ", LIST_DOMAIN },
    { "h", "host ", LIST_HOST },
    { "l", "localpart ", LIST_LOCAL_PART },
};

static size_t kind_find(const char *letter)
{
    size_t i = 0;

    while (i < ARRAY_LEN(kinds) && strcmp(kinds[i].letter, letter) != 0)
        i++;
    return i;
}

bool op_listnamed_check(struct compiler *c, struct operator_node *n)
{
    if (n->suffix != NULL && kind_find(n->suffix) == ARRAY_LEN(kinds))
        return compile_fail(c, "bad suffix on \"list\" operator");
    return true;
}

/* Text of the list; *kind is the one asked for or, if ARRAY_LEN, the first with such a
 * name. */
static const char *named_text(const struct expand_ctx *ctx, const char *name,
                              size_t *kind)
{
    const struct config *cfg = ctx->exim == NULL ? NULL : ctx->exim->config;
    size_t first = *kind, last = *kind;

    if (first == ARRAY_LEN(kinds)) {
        first = 0;
        last = ARRAY_LEN(kinds) - 1;
    }
    for (size_t i = first; cfg != NULL && i <= last; i++) {
        const struct hash *h = cfg->named_lists[kinds[i].kind];
        const struct named_list *l = h == NULL ? NULL : hash_find(h, name);

        if (l != NULL) {
            *kind = i;
            return l->list->text;
        }
    }
    return NULL;
}

/* The items with those of lists they name, as one list with " : " between. */
static enum expand_rc add_list(struct expand_ctx *ctx, struct buf *b, const char *name,
                               size_t kind, int depth)
{
    const char *text = named_text(ctx, name, &kind);

    if (text == NULL)
        return eval_fail(ctx, "\"%s\" is not a %snamed list", name,
                         kind == ARRAY_LEN(kinds) || depth > 0 ? "" : kinds[kind].name);
    if (depth > NAMED_DEPTH_MAX)
        return eval_fail(ctx, "named list \"%s\" is nested too deeply", name);
    struct list_iter it = list_begin(text, ':');
    const char *item;
    while ((item = list_next(&it, ctx->arena)) != NULL) {
        if (*item == '+') {
            enum expand_rc rc = add_list(ctx, b, item + 1, kind, depth + 1);

            if (rc != EXPAND_OK)
                return rc;
            continue;
        }
        if (b->len > 0)
            buf_add_cstr(b, " : ");
        bool first = true;
        list_append(b, item, ':', &first);
    }
    return EXPAND_OK;
}

enum expand_rc op_listnamed(struct expand_ctx *ctx, const struct operator_node *n,
                            const char *in, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    size_t kind = n->suffix == NULL ? ARRAY_LEN(kinds) : kind_find(n->suffix);
    enum expand_rc rc = add_list(ctx, &b, *in == '+' ? in + 1 : in, kind, 0);

    return rc == EXPAND_OK ? eval_buf(ctx, &b, out) : rc;
}
