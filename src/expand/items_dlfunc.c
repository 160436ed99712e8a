#include "expand/item_handlers.h"

#include <dlfcn.h>

#include "base/arena.h"
#include "base/str.h"

/* The interface of locally written functions (manual 11.5). */
enum { DL_OK = 0, DL_FAIL = 2, DL_ERROR = 3, DL_FAIL_FORCED = 4 };
typedef int dl_function(unsigned char **yield, int argc, unsigned char *argv[]);

static const char *dl_error(void)
{
    const char *s = dlerror();

    return s == NULL ? "unknown reason" : s;
}

/* The loader keeps what it has loaded: asking again costs little. */
static dl_function *find_function(struct expand_ctx *ctx, const char *file,
                                  const char *name)
{
    union {
        void *object;
        dl_function *function;
    } at;
    void *lib = dlopen(file, RTLD_LAZY);

    if (lib == NULL) {
        eval_fail(ctx, "dlopen \"%s\" failed: %s", file, dl_error());
        return NULL;
    }
    at.object = dlsym(lib, name);
    if (at.object == NULL) {
        eval_fail(ctx, "dlsym \"%s\" in \"%s\" failed: %s", name, file, dl_error());
        return NULL;
    }
    return at.function;
}

enum expand_rc item_dlfunc(struct expand_ctx *ctx, const struct item_node *n,
                           const char **out)
{
    const char *v[ITEM_ARG_MAX];
    unsigned char *argv[ITEM_ARG_MAX] = { NULL }, *yield = NULL;
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    if (!eval_permitted(ctx, FORBID_DLFUNC,
                        "dynamically-loaded functions are not permitted"))
        return EXPAND_FAIL;
    dl_function *fn = find_function(ctx, v[0], v[1]);
    if (fn == NULL)
        return EXPAND_FAIL;
    for (int i = 2; i < n->narg; i++) /* copies: it may write into them */
        argv[i - 2] = (unsigned char *)arena_strdup(ctx->arena, v[i]);
    int got = fn(&yield, n->narg - 2, argv);
    const char *text = yield == NULL ? "" : arena_strdup(ctx->arena, (const char *)yield);
    if (got == DL_OK) {
        *out = text;
        return EXPAND_OK;
    }
    if (got == DL_FAIL_FORCED)
        return eval_forced(ctx, "%s", text);
    return eval_fail(ctx, "%s", *text == '\0' ? "the dlfunc function failed" : text);
}
