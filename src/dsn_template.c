#include "dsn_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "expand.h"

enum { FILE_MAX = 256 * 1024 };

static void complain(struct expand_ctx *ctx, const char *option, const char *what, const char *why)
{
    log_write(ctx->exim->log, LOG_MAIN | LOG_PANIC, ctx->message == NULL ? NULL : ctx->message->id,
              "%s: %s: %s", option, what, why);
}

/* Parts end at lines that begin with four asterisks (manual chapter 49). */
static void split(struct expand_ctx *ctx, const char *option, struct str text, struct dsn_template *out)
{
    size_t at = 0;

    for (int n = 0; n < DSN_TEMPLATE_PARTS && at < text.len; n++) {
        size_t end = at;
        while (end < text.len && !(text.len - end >= 4 && memcmp(text.p + end, "****", 4) == 0)) {
            const char *nl = memchr(text.p + end, '\n', text.len - end);
            end = nl == NULL ? text.len : (size_t)(nl - text.p) + 1;
        }
        const char *part = arena_strndup(ctx->arena, text.p + at, end - at);
        if (expand_text(ctx, part, &out->part[n]) != EXPAND_OK) {
            out->part[n] = NULL;
            complain(ctx, option, "failed to expand a part of the file", ctx->err.msg);
        }
        const char *nl = end < text.len ? memchr(text.p + end, '\n', text.len - end) : NULL;
        at = nl == NULL ? text.len : (size_t)(nl - text.p) + 1;
    }
}

void dsn_template_read(struct expand_ctx *ctx, const char *option, const struct expr *file,
                       struct dsn_template *out)
{
    const char *path;
    struct str text;

    *out = (struct dsn_template){ 0 };
    if (file == NULL)
        return;
    if (expand(ctx, file, &path) != EXPAND_OK)
        complain(ctx, option, "failed to expand the file's name", ctx->err.msg);
    else if (*path != '\0' && !file_slurp(ctx->arena, path, FILE_MAX, &text))
        complain(ctx, option, "failed to read the file", path);
    else if (*path != '\0')
        split(ctx, option, text, out);
}
