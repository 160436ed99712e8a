#include "expand/item_handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "expand/files.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

enum expand_rc files_newlines(struct expand_ctx *ctx, struct str text, const char *eol,
                              const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);

    while (text.len > 0) {
        const char *nl = eol == NULL ? NULL : memchr(text.p, '\n', text.len);
        size_t len = nl == NULL ? text.len : (size_t)(nl - text.p);

        buf_add(&b, text.p, len);
        if (nl != NULL) {
            buf_add_cstr(&b, eol);
            len++;
        }
        text = (struct str){ text.p + len, text.len - len };
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc item_readfile(struct expand_ctx *ctx, const struct item_node *n,
                             const char **out)
{
    const char *v[ITEM_ARG_MAX];
    struct str text;
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    if (!eval_permitted(ctx, FORBID_READFILE, "file insertions are not permitted"))
        return EXPAND_FAIL;
    int fd = fd_open(v[0], O_RDONLY, 0);
    if (fd < 0)
        return eval_fail(ctx, "failed to open %s: %s", v[0], strerror(errno));
    bool ok = fd_slurp(ctx->arena, fd, FILE_MAX, &text);
    int why = errno;
    (void)fd_close(fd);
    if (!ok)
        return eval_fail(ctx, "failed to read %s: %s", v[0], strerror(why));
    return files_newlines(ctx, text, v[1], out);
}
