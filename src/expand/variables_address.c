#include "expand/variable_getters.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "expand/expand_int.h"
#include "message.h"
#include "routers/router.h"
#include "transports/transport.h"

/* which: the flag that says what the address is. */
enum expand_rc variable_address_target(struct expand_ctx *ctx, const struct variable *v,
                                       const char *suffix, const char **out)
{
    const char *set =
        (unsigned)v->which == ADDR_PIPE ? ctx->address_pipe : ctx->address_file;

    (void)suffix;
    if (set != NULL)
        *out = set;
    else if (ctx->addr != NULL && (ctx->addr->flags & (unsigned)v->which) != 0)
        *out = ctx->addr->address;
    return EXPAND_OK;
}

/* Magic of pipe and transport filter commands, where it stands for several arguments (manual 29.3):
 * the name is known so that such a command can be read; anywhere else it is not a variable. */
enum expand_rc variable_pipe_addresses(struct expand_ctx *ctx, const struct variable *v,
                                       const char *suffix, const char **out)
{
    (void)suffix;
    (void)out;
    return eval_fail(ctx, "unknown variable name \"%s\"", v->name);
}

/* With what the router stripped from it. */
static const char *full_local_part(struct arena *a, const struct address *addr)
{
    if (addr->local_part == NULL)
        return "";
    if (addr->prefix == NULL && addr->suffix == NULL)
        return addr->local_part;
    return arena_printf(a, "%s%s%s", addr->prefix == NULL ? "" : addr->prefix,
                        addr->local_part, addr->suffix == NULL ? "" : addr->suffix);
}

/* Of the parent, or of the address as submitted. */
enum expand_rc variable_origin(struct expand_ctx *ctx, const struct variable *v,
                               const char *suffix, const char **out)
{
    const struct address *addr = ctx->addr;

    (void)suffix;
    if (addr != NULL)
        addr = (v->which & ORIGIN_TOP) != 0 ? addr->top : addr->parent;
    if (addr == NULL)
        return EXPAND_OK;
    if ((v->which & ORIGIN_LOCAL_PART) != 0)
        *out = full_local_part(ctx->arena, addr);
    else if (addr->domain != NULL)
        *out = addr->domain;
    return EXPAND_OK;
}

/* The envelope sender of a delivery: a router may have set another. */
enum expand_rc variable_return_path(struct expand_ctx *ctx, const struct variable *v,
                                    const char *suffix, const char **out)
{
    (void)v;
    (void)suffix;
    if (ctx->return_path != NULL) { /* a transport runs: with its return_path option */
        *out = ctx->return_path;
        return EXPAND_OK;
    }
    if (ctx->addr == NULL && ctx->delivery == NULL)
        return EXPAND_OK;
    if (ctx->addr != NULL && ctx->addr->errors_to != NULL)
        *out = ctx->addr->errors_to;
    else if (ctx->message != NULL && ctx->message->sender != NULL)
        *out = ctx->message->sender;
    return EXPAND_OK;
}

/* which: 0 router, 1 transport. */
enum expand_rc variable_driver_name(struct expand_ctx *ctx, const struct variable *v,
                                    const char *suffix, const char **out)
{
    const char *s = v->which == 0 ? ctx->router_name : ctx->transport_name;

    (void)suffix;
    if (v->which == 0 && ctx->router != NULL)
        s = ctx->router->name;
    if (v->which == 1 && ctx->transport != NULL)
        s = ctx->transport->name;
    if (s != NULL)
        *out = s;
    return EXPAND_OK;
}

/* which: 0 uid, 1 gid: what check_local_user found. */
enum expand_rc variable_local_user(struct expand_ctx *ctx, const struct variable *v,
                                   const char *suffix, const char **out)
{
    const struct address *addr = ctx->addr;
    bool known = addr != NULL && addr->local_user_name != NULL;

    (void)suffix;
    if (v->which == 0)
        return eval_number(ctx, known && addr->uid_set ? addr->uid : (uid_t)-1, out);
    return eval_number(ctx, known && addr->gid_set ? addr->gid : (gid_t)-1, out);
}

/* ---- RFC 3461 ---- */

static enum expand_rc notify_words(struct expand_ctx *ctx, const char **out)
{
    static const struct {
        unsigned flag;
        const char *word;
    } words[] = { { DSN_NEVER, "NEVER" },
                  { DSN_SUCCESS, "SUCCESS" },
                  { DSN_FAILURE, "FAILURE" },
                  { DSN_DELAY, "DELAY" } };
    const struct address *addr = ctx->addr;
    unsigned flags = addr == NULL ? 0 : addr->dsn_flags;
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);

    if (flags == 0 && addr != NULL && addr->recipient != NULL)
        flags = addr->recipient->dsn_flags;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if ((flags & words[i].flag) != 0) {
            buf_add_cstr(&b, b.len > 0 ? "," : "");
            buf_add_cstr(&b, words[i].word);
        }
    return eval_buf(ctx, &b, out);
}

/* ENVID and RET of the message; NOTIFY and ORCPT of the recipient at hand. */
enum expand_rc variable_dsn(struct expand_ctx *ctx, const struct variable *v,
                            const char *suffix, const char **out)
{
    const struct message *m = ctx->message;
    const struct address *addr = ctx->addr;
    const char *s = NULL;

    (void)suffix;
    if (v->which == DSN_VALUE_NOTIFY)
        return notify_words(ctx, out);
    if (v->which == DSN_VALUE_ENVID && m != NULL)
        s = m->dsn_envid;
    if (v->which == DSN_VALUE_RET && m != NULL && m->dsn_ret != DSN_RET_NONE)
        s = m->dsn_ret == DSN_RET_FULL ? "FULL" : "HDRS";
    if (v->which == DSN_VALUE_ORCPT && addr != NULL)
        s = addr->dsn_orcpt != NULL || addr->recipient == NULL ? addr->dsn_orcpt
                                                               : addr->recipient->orcpt;
    if (s != NULL)
        *out = s;
    return EXPAND_OK;
}
