#include "acl/acl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/table.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "session.h"

/* options: what follows the name, "" or "/...". False: a syntax error. r NULL: only a
 * look at the text while the configuration is read. */
typedef bool control_fn(struct acl_run *r, const char *options);

struct control {
    const char *name;
    bool options;
    unsigned forbidden;
    control_fn *apply;
};

/* ---- of the connection ---- */

#define SESSION_CONTROL(fn, member, value)                                               \
    static bool fn(struct acl_run *r, const char *options)                               \
    {                                                                                    \
        (void)options;                                                                   \
        if (r != NULL && r->ctx->session != NULL)                                        \
            r->ctx->session->member = value;                                             \
        return true;                                                                     \
    }
SESSION_CONTROL(allow_auth_unadvertised, allow_auth_unadvertised, true)
SESSION_CONTROL(enforce_sync, enforce_sync_off, false)
SESSION_CONTROL(no_enforce_sync, enforce_sync_off, true)
SESSION_CONTROL(no_delay_flush, delay_flush_off, true)
SESSION_CONTROL(no_callout_flush, callout_flush_off, true)
SESSION_CONTROL(no_multiline, multiline_off, true)
SESSION_CONTROL(no_pipelining, pipelining_off, true)

/* There is nothing to disable: these verifications are not part of this server. */
static bool nothing(struct acl_run *r, const char *options)
{
    (void)r;
    (void)options;
    return true;
}

/* clang-format off */
static const struct { const char *name; int value; } dscp_names[] = {
    { "af11", 0x28 }, { "af12", 0x30 }, { "af13", 0x38 }, { "af21", 0x48 }, { "af22", 0x50 },
    { "af23", 0x58 }, { "af31", 0x68 }, { "af32", 0x70 }, { "af33", 0x78 }, { "af41", 0x88 },
    { "af42", 0x90 }, { "af43", 0x98 }, { "ef", 0xb8 }, { "lowcost", 0x02 }, { "lowdelay", 0x10 },
    { "mincost", 0x02 }, { "reliability", 0x04 }, { "throughput", 0x08 },
};
/* clang-format on */

static int dscp_value(const char *s)
{
    unsigned long v = 0;

    for (size_t i = 0; i < ARRAY_LEN(dscp_names); i++)
        if (cstr_ieq(dscp_names[i].name, s))
            return dscp_names[i].value;
    bool hex = cstr_istarts(s, "0x");
    const char *digits = hex ? s + 2 : s;
    if (*digits == '\0' || strlen(digits) > 3)
        return -1;
    for (; *digits != '\0'; digits++) {
        int d = hex_value(*digits);

        if (d < 0 || (!hex && d > 9))
            return -1;
        v = v * (hex ? 16 : 10) + (unsigned)d;
    }
    return v > 0x3f ? -1 : (int)v << 2;
}

static bool dscp(struct acl_run *r, const char *options)
{
    int tos = *options == '/' ? dscp_value(options + 1) : -1;

    if (*options != '/')
        return false;
    if (r == NULL || r->ctx->session == NULL || r->ctx->session->host_address == NULL)
        return true;
    if (tos < 0) {
        acl_run_log(r, LOG_MAIN, "acl: unknown or not supported DSCP value \"%s\"",
                    options + 1);
        return true;
    }
    bool v6 = strchr(r->ctx->session->host_address, ':') != NULL;
    int fd = r->ctx->session->fd;
    if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos,
                   sizeof(tos)) < 0)
        acl_run_log(r, LOG_MAIN, "failed to set input DSCP[%s]: %s", options + 1,
                    strerror(errno));
    return true;
}

/* ---- debug ---- */

/* The directory of the main log, for a debug log beside it. */
static const char *debug_log_path(struct acl_run *r, const char *tag)
{
    struct expand_ctx *ctx = r->ctx;
    const struct config *cfg = ctx->exim->config;
    const char *path = "";

    if (cfg->main.log_file_path == NULL ||
        expand(ctx, cfg->main.log_file_path, &path) != EXPAND_OK)
        path = "";
    const char *slash = *path == '/' ? strrchr(path, '/') : NULL;
    for (const char *p = tag; *p != '\0'; p++)
        if (*p == '/')
            return NULL;
    if (slash == NULL)
        return arena_printf(ctx->arena, "%s/log/debuglog%s", cfg->spool_directory, tag);
    return arena_printf(ctx->arena, "%.*s/debuglog%s", (int)(slash - path), path, tag);
}

static void debug_to(const char *path, int flags)
{
    int fd = fd_open(path, flags, 0640);

    if (fd < 0)
        return;
    (void)dup2(fd, STDERR_FILENO);
    if (fd != STDERR_FILENO)
        (void)fd_close(fd);
}

static const char *option_value(struct arena *a, const char **s, const char *name)
{
    size_t len = strlen(name);

    if (!cstr_starts(*s, name))
        return NULL;
    const char *v = *s + len, *end = v + strcspn(v, "/");
    *s = end;
    return arena_strndup(a, v, (size_t)(end - v));
}

static bool debug(struct acl_run *r, const char *options)
{
    const char *tag = "", *opts = "";
    bool kill = false, stop = false;

    if (r == NULL)
        return true;
    for (const char *s = options; *s == '/';) {
        const char *v;

        s++;
        if ((v = option_value(r->ctx->arena, &s, "tag=")) != NULL)
            tag = v;
        else if ((v = option_value(r->ctx->arena, &s, "opts=")) != NULL)
            opts = v;
        else if ((v = option_value(r->ctx->arena, &s, "kill")) != NULL)
            kill = true;
        else if ((v = option_value(r->ctx->arena, &s, "stop")) != NULL)
            stop = true;
        else
            return false;
    }
    const char *path = debug_log_path(r, tag);
    uint32_t mask;
    struct err err = { 0 };
    if (path == NULL || !debug_parse(opts, &mask, &err, r->ctx->arena))
        return false;
    if (kill || stop) {
        debug_mask = 0;
        debug_to("/dev/null", O_WRONLY);
        if (kill)
            (void)unlink(path);
        return true;
    }
    debug_to(path, O_WRONLY | O_CREAT | O_APPEND);
    debug_mask = mask;
    return true;
}

/* ---- of the message ---- */

static struct message *message_of(struct acl_run *r)
{
    return r == NULL ? NULL : r->ctx->message;
}

static bool caseful(struct acl_run *r, const char *options)
{
    (void)options;
    if (r != NULL && r->ctx->addr != NULL && r->ctx->addr->cc_local_part != NULL)
        r->ctx->local_part = r->ctx->addr->cc_local_part;
    return true;
}

static bool caselower(struct acl_run *r, const char *options)
{
    (void)options;
    if (r != NULL && r->ctx->local_part != NULL)
        r->ctx->local_part = cstr_lower(r->ctx->arena, r->ctx->local_part);
    return true;
}

static bool fake(struct acl_run *r, const char *options, const char *code)
{
    struct message *m = message_of(r);

    if (*options != '\0' && *options != '/')
        return false;
    if (m == NULL)
        return true;
    m->fake_response = code;
    m->fake_defer = *code == '4';
    if (*options == '/')
        m->fake_response_text = arena_strdup(m->arena, options + 1);
    return true;
}

static bool fakedefer(struct acl_run *r, const char *options)
{
    return fake(r, options, "450");
}

static bool fakereject(struct acl_run *r, const char *options)
{
    return fake(r, options, "550");
}

static bool freeze(struct acl_run *r, const char *options)
{
    bool no_tell = strcmp(options, "/no_tell") == 0;
    struct message *m = message_of(r);

    if (*options != '\0' && !no_tell)
        return false;
    if (m == NULL)
        return true;
    m->freeze_no_tell = no_tell && (!m->freeze || m->freeze_no_tell);
    m->freeze = true;
    m->frozen_by = "ACL";
    return true;
}

/* In the RCPT ACL it is about that recipient, elsewhere about all of the message. */
static bool no_dsn_success(struct acl_run *r, const char *options)
{
    struct message *m = message_of(r);

    (void)options;
    if (m != NULL && r->where == ACL_WHERE_RCPT)
        m->no_dsn_success_rcpt = true;
    else if (m != NULL)
        m->no_dsn_success = true;
    return true;
}

static bool no_mbox_unspool(struct acl_run *r, const char *options)
{
    (void)options;
    if (message_of(r) != NULL)
        r->ctx->message->no_mbox_unspool = true;
    return true;
}

static bool queue_only(struct acl_run *r, const char *options)
{
    (void)options;
    if (message_of(r) != NULL)
        r->ctx->message->queue_only = true;
    return true;
}

/* The name goes to the end: it may hold slashes. */
static bool submission_option(struct message *m, struct arena *a, const char **s)
{
    const char *v;

    if (cstr_starts(*s, "/sender_retain")) {
        *s += strlen("/sender_retain");
        if (m != NULL)
            m->submission_sender_retain = true;
        return **s == '\0' || **s == '/';
    }
    if (cstr_starts(*s, "/domain=")) {
        v = *s + strlen("/domain=");
        *s = v + strcspn(v, "/");
        if (m != NULL)
            m->submission_domain = arena_strndup(a, v, (size_t)(*s - v));
        return true;
    }
    if (!cstr_starts(*s, "/name="))
        return false;
    v = *s + strlen("/name=");
    *s = v + strlen(v);
    if (m != NULL)
        m->submission_name = arena_strdup(a, v);
    return true;
}

static bool submission(struct acl_run *r, const char *options)
{
    struct message *m = message_of(r);
    struct arena *a = m == NULL ? NULL : m->arena;

    while (*options == '/')
        if (!submission_option(m, a, &options))
            return false;
    if (m != NULL && *options == '\0')
        m->submission = true;
    return *options == '\0';
}

static bool suppress_local_fixups(struct acl_run *r, const char *options)
{
    (void)options;
    if (message_of(r) != NULL)
        r->ctx->message->no_fixups = true;
    return true;
}

/* ---- the table ---- */

#define FAKE (AT_MESSAGE | AT(PRDR))

/* clang-format off */
static const struct control controls[] = {
    { "allow_auth_unadvertised", false, ONLY(AT(CONNECT) | AT(HELO)), allow_auth_unadvertised },
    { "caseful_local_part",      false, ONLY(AT(RCPT)), caseful },
    { "caselower_local_part",    false, ONLY(AT(RCPT)), caselower },
    { "cutthrough_delivery",     true,  0, NULL },
    { "debug",                   true,  0, debug },
    { "dkim_disable_verify",     false, AT(DATA) | AT(PRDR) | AT_NONSMTP, nothing },
    { "dmarc_disable_verify",    false, AT(DATA) | AT_NONSMTP, nothing },
    { "dmarc_enable_forensic",   false, 0, NULL },
    { "dscp",                    true,  AT_NONSMTP | AT(NOTQUIT), dscp },
    { "enforce_sync",            false, AT_NONSMTP, enforce_sync },
    { "fakedefer",               true,  ONLY(FAKE), fakedefer },
    { "fakereject",              true,  ONLY(FAKE), fakereject },
    { "freeze",                  true,  ONLY(AT_MESSAGE | AT(NOTSMTP)), freeze },
    { "no_callout_flush",        false, AT_NONSMTP, no_callout_flush },
    { "no_delay_flush",          false, AT_NONSMTP, no_delay_flush },
    { "no_dsn_success",          false, ONLY(AT_MESSAGE | AT_NONSMTP), no_dsn_success },
    { "no_enforce_sync",         false, AT_NONSMTP, no_enforce_sync },
    { "no_mbox_unspool",         false, ONLY(AT_MESSAGE), no_mbox_unspool },
    { "no_multiline_responses",  false, AT_NONSMTP, no_multiline },
    { "no_pipelining",           false, AT_NONSMTP, no_pipelining },
    { "queue",                   false, ONLY(AT_MESSAGE | AT(NOTSMTP)), queue_only },
    { "queue_only",              false, ONLY(AT_MESSAGE | AT(NOTSMTP)), queue_only },
    { "submission",              true,  ONLY(AT(MAIL) | AT(RCPT) | AT(PREDATA)), submission },
    { "suppress_local_fixups",   false, ONLY(AT(MAIL) | AT(RCPT) | AT(PREDATA) | AT(NOTSMTP_START)), suppress_local_fixups },
    { "utf8_downconvert",        true,  0, NULL },
};
/* clang-format on */

static const struct control *find(struct arena *a, const char *text, const char **options)
{
    size_t len = strcspn(text, "/");

    *options = text + len;
    return TABLE_FIND(controls, arena_strndup(a, text, len));
}

static bool syntax_error(struct arena *a, const char *text, struct err *err)
{
    return err_set(err, a, "syntax error in \"control=%s\"", text);
}

bool acl_control_check(struct arena *a, const char *arg, struct err *err)
{
    const char *options;
    const struct control *c = find(a, arg, &options);

    if (c == NULL)
        return syntax_error(a, arg, err);
    if (c->apply == NULL)
        return err_set(err, a, "\"control=%s\" is not built", c->name);
    if ((*options != '\0' && !c->options) || !c->apply(NULL, options))
        return syntax_error(a, arg, err);
    return true;
}

enum acl_result acl_control(struct acl_run *r, const struct acl_item *item,
                            const char *arg)
{
    const char *options;
    struct err err = { 0 };
    const struct control *c = find(r->ctx->arena, arg, &options);

    (void)item;
    if (!acl_control_check(r->ctx->arena, arg, &err))
        return acl_run_error(r, "%s", err.msg);
    if ((c->forbidden & (1u << r->where)) != 0)
        return acl_run_error(r, "cannot use \"control=%s\" in %s ACL", c->name,
                             acl_where_name(r->where));
    if (!c->apply(r, options))
        return acl_run_error(r, "syntax error in \"control=%s\"", arg);
    return COND_TRUE;
}
