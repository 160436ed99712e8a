#include "expand/item_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "base/table.h"

/* `before`: for what sign of a <=> b the first comes before the second. */
struct comparator {
    const char *name;
    bool numeric, caseless, descending, or_equal;
};

/* clang-format off */
static const struct comparator comparators[] = {
    { "<",   true,  false, false, false }, { "<=",  true,  false, false, true },
    { ">",   true,  false, true,  false }, { ">=",  true,  false, true,  true },
    { "ge",  false, false, true,  true },  { "gei", false, true,  true,  true },
    { "gt",  false, false, true,  false }, { "gti", false, true,  true,  false },
    { "le",  false, false, false, true },  { "lei", false, true,  false, true },
    { "lt",  false, false, false, false }, { "lti", false, true,  false, false },
};
/* clang-format on */

struct entry {
    const char *item, *key;
    int64_t number;
    bool is_number;
};

static const struct comparator *comparator_find(const char *text)
{
    struct str name = str_trim(str_from(text));

    for (size_t i = 0; i < ARRAY_LEN(comparators); i++)
        if (str_eq(name, str_from(comparators[i].name)))
            return &comparators[i];
    return NULL;
}

bool item_sort_parse(struct compiler *c, struct item_node *n)
{
    if (!compile_arg(c, "list arg", "sort", &n->arg[0]) ||
        !compile_arg(c, "comparator arg", "sort", &n->arg[1]) ||
        !compile_arg(c, "extractor arg", "sort", &n->arg[2]))
        return false;
    const char *text = compile_constant(n->arg[1]);
    if (text != NULL && comparator_find(text) == NULL)
        return compile_fail(c, "comparator not handled for sort");
    return compile_close(c, "sort");
}

/* Strictly before; what is no number stays where it is. */
static bool sorts_before(const struct comparator *c, const struct entry *a,
                         const struct entry *b)
{
    int order;

    if (c->numeric) {
        if (!a->is_number || !b->is_number)
            return false;
        order = a->number < b->number ? -1 : a->number > b->number;
    } else {
        order = c->caseless ? strcasecmp(a->key, b->key) : strcmp(a->key, b->key);
    }
    return c->descending ? order > 0 : order < 0;
}

static void merge_sort(const struct comparator *c, struct entry *v, struct entry *spare,
                       size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2, i = 0, j = half, k = 0;

    merge_sort(c, v, spare, half);
    merge_sort(c, v + half, spare, n - half);
    while (i < half && j < n)
        spare[k++] = sorts_before(c, &v[j], &v[i]) ? v[j++] : v[i++];
    while (i < half)
        spare[k++] = v[i++];
    while (j < n)
        spare[k++] = v[j++];
    memcpy(v, spare, n * sizeof(*v));
}

static enum expand_rc fill(struct expand_ctx *ctx, const struct expr_node *extractor,
                           const struct comparator *c, struct entry *e)
{
    ctx->item = e->item;
    enum expand_rc rc = eval_nodes(ctx, extractor, &e->key);
    if (rc == EXPAND_OK && c->numeric)
        e->is_number = eval_integer(ctx, e->key, &e->number) == EXPAND_OK;
    return rc;
}

static enum expand_rc sort_list(struct expand_ctx *ctx, const struct item_node *n,
                                const struct comparator *c, const char *list,
                                const char **out)
{
    size_t count = (size_t)list_count(list, ':', ctx->arena);
    struct entry *v = arena_new_array(ctx->arena, struct entry, count);
    struct list_iter it = list_begin(list, ':');

    /* Exim: equal ones come in reverse order when the comparison includes equality. */
    for (size_t i = 0; i < count; i++) {
        struct entry *e = &v[c->or_equal ? count - 1 - i : i];

        e->item = list_next(&it, ctx->arena);
        enum expand_rc rc = fill(ctx, n->arg[2], c, e);
        if (rc != EXPAND_OK)
            return rc;
    }
    merge_sort(c, v, arena_new_array(ctx->arena, struct entry, count), count);
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    bool first = true;
    for (size_t i = 0; i < count; i++)
        list_append(&b, v[i].item, it.sep, &first);
    return eval_buf(ctx, &b, out);
}

enum expand_rc item_sort(struct expand_ctx *ctx, const struct item_node *n,
                         const char **out)
{
    const char *list, *text;
    struct eval_saved saved;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &list);

    if (rc == EXPAND_OK)
        rc = eval_nodes(ctx, n->arg[1], &text);
    if (rc != EXPAND_OK)
        return rc;
    const struct comparator *c = comparator_find(text);
    if (c == NULL)
        return eval_fail(ctx, "comparator not handled for sort");
    eval_save(ctx, &saved);
    rc = sort_list(ctx, n, c, list, out);
    eval_restore(ctx, &saved);
    return rc;
}
