#include "expand/condition_handlers.h"

#include <crypt.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/libs.h"
#include "base/str.h"
#include "base/tod.h"
#include "expand/sockets.h"

/* Sockets of the daemons that check passwords; "" leaves the condition out. */
#ifndef CYRUS_PWCHECK_SOCKET
#define CYRUS_PWCHECK_SOCKET ""
#endif
#ifndef CYRUS_SASLAUTHD_SOCKET
#define CYRUS_SASLAUTHD_SOCKET ""
#endif

enum { DAEMON_SECONDS = 30, ANSWER_MAX = 65536, WORD_MAX = 65535 };

/* ---- crypteq ---- */

static bool same_digest(struct arena *a, const char *name, const char *clear,
                        const char *stored)
{
    unsigned char sum[DIGEST_MAX];
    size_t len = digest(name, str_from(clear), sum);
    const char *base64 = base64_encode(a, sum, len);

    if (len == 0)
        return false;
    if (strlen(stored) == strlen(base64))
        return strcmp(stored, base64) == 0;
    return cstr_ieq(stored, hex_encode(a, sum, len, false));
}

/* "" when crypt() does not know the setting. */
static const char *crypted(struct arena *a, const char *clear, const char *setting)
{
    struct crypt_data *data = arena_new_obj(a, struct crypt_data);
    const char *s = libs_crypt(clear, setting, data);

    return s == NULL || *s == '*' ? "" : s;
}

static bool same_crypt(struct arena *a, const char *clear, const char *stored)
{
    const char *s = crypted(a, clear, stored);

    return *s != '\0' && strcmp(s, stored) == 0;
}

/* Exim's own: what is beyond 8 bytes is encrypted too, with a salt from the first result.
 */
static bool same_crypt16(struct arena *a, const char *clear, const char *stored)
{
    const char *first = crypted(a, clear, stored), *second = "";

    if (strlen(first) < 4)
        return false;
    if (strlen(clear) > 8) {
        second = crypted(a, clear + 8, arena_strndup(a, first + 2, 2));
        if (strlen(second) < 3)
            return false;
        second += 2;
    }
    return strcmp(arena_printf(a, "%.13s%.11s", first, second), stored) == 0;
}

enum expand_rc cond_crypteq(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    static const char *const digests[] = { "{md5}", "{sha1}" };
    const char *v[ITEM_ARG_MAX];
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    const char *stored = v[1];
    for (size_t i = 0; i < ARRAY_LEN(digests); i++)
        if (cstr_istarts(stored, digests[i])) {
            *out = same_digest(ctx->arena, i == 0 ? "md5" : "sha1", v[0],
                               stored + strlen(digests[i]));
            return EXPAND_OK;
        }
    if (cstr_istarts(stored, "{crypt16}"))
        *out = same_crypt16(ctx->arena, v[0], stored + strlen("{crypt16}"));
    else if (cstr_istarts(stored, "{crypt}"))
        *out = same_crypt(ctx->arena, v[0], stored + strlen("{crypt}"));
    else if (*stored == '{')
        return eval_fail(ctx, "unknown encryption mechanism in \"%s\"", stored);
    else
        *out = same_crypt(ctx->arena, v[0], stored);
    return EXPAND_OK;
}

/* ---- daemons ---- */

bool cond_not_built_parse(struct compiler *c, struct cond_node *n)
{
    return compile_fail(c, "support for \"%s\" not compiled", n->cond->name);
}

struct daemon {
    const char *name, *socket;
};

static bool exchange(struct expand_ctx *ctx, const struct daemon *d, struct str request,
                     struct buf *answer)
{
    int64_t deadline = tod_monotonic_ms() + DAEMON_SECONDS * 1000;
    int fd = sockets_connect_unix(ctx, d->socket, deadline);

    if (fd < 0) {
        int why = ctx->err.sys_errno;

        eval_fail(ctx, "cannot connect to %s daemon at %s: %s", d->name, d->socket,
                  why == 0 ? ctx->err.msg : strerror(why));
        return false;
    }
    bool ok = sockets_write(ctx, fd, request, deadline) &&
              sockets_read_all(ctx, fd, answer, deadline);
    (void)fd_close(fd);
    return ok;
}

static enum expand_rc verdict(struct expand_ctx *ctx, const char *answer, bool *out)
{
    *out = cstr_starts(answer, "OK");
    if (*out || cstr_starts(answer, "NO"))
        return EXPAND_OK;
    return eval_fail(ctx, "%s", cstr_printable(ctx->arena, answer, false));
}

bool cond_pwcheck_parse(struct compiler *c, struct cond_node *n)
{
    if (*CYRUS_PWCHECK_SOCKET == '\0')
        return cond_not_built_parse(c, n);
    n->narg = 1;
    return cond_plain_args(c, n, false);
}

/* User and password, each with its NUL. */
enum expand_rc cond_pwcheck(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    static const struct daemon d = { "pwcheck", CYRUS_PWCHECK_SOCKET };
    struct buf request = buf_init(ctx->arena, WORD_MAX),
               answer = buf_init(ctx->arena, ANSWER_MAX);
    const char *arg;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &arg);

    if (rc != EXPAND_OK)
        return rc;
    const char *colon = strchr(arg, ':');
    *out = false;
    if (colon == NULL)
        return EXPAND_OK;
    buf_add(&request, arg, (size_t)(colon - arg));
    buf_add_char(&request, '\0');
    buf_add(&request, colon + 1, strlen(colon + 1) + 1);
    if (request.full)
        return eval_fail(ctx, "argument too long for pwcheck");
    if (!exchange(ctx, &d, buf_view(&request), &answer))
        return EXPAND_FAIL;
    return verdict(ctx, buf_cstr(&answer), out);
}

bool cond_saslauthd_parse(struct compiler *c, struct cond_node *n)
{
    if (*CYRUS_SASLAUTHD_SOCKET == '\0')
        return cond_not_built_parse(c, n);
    return cond_braced_args(c, n, 2, 4);
}

/* User, password, service and realm as counted strings; the answer is one too. */
enum expand_rc cond_saslauthd(struct expand_ctx *ctx, const struct cond_node *n,
                              bool *out)
{
    static const struct daemon d = { "saslauthd", CYRUS_SASLAUTHD_SOCKET };
    struct buf request = buf_init(ctx->arena, 4 * (WORD_MAX + 2)),
               answer = buf_init(ctx->arena, ANSWER_MAX);
    const char *v[ITEM_ARG_MAX] = { "", "", "", "" };
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    for (int i = 0; i < 4; i++) {
        size_t len = strlen(v[i]);

        if (len > WORD_MAX)
            return eval_fail(ctx, "argument too long for saslauthd");
        buf_add_char(&request, (char)(len >> 8));
        buf_add_char(&request, (char)len);
        buf_add(&request, v[i], len);
    }
    if (!exchange(ctx, &d, buf_view(&request), &answer))
        return EXPAND_FAIL;
    return verdict(ctx, answer.len > 2 ? answer.p + 2 : "", out);
}
