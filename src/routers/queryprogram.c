#include "routers/queryprogram.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/ctype.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "deliver/agent.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "message.h"
#include "parse.h"
#include "route_int.h"
#include "routers/hostlist.h"
#include "transports/capture.h"
#include "transports/command.h"
#include "transports/transport.h"

enum { LINE_MAX_BYTES = 1023 };

struct queryprogram {
    struct router base;
    const struct expr *command;
    const char *command_group, *command_user, *current_directory;
    long timeout;
};

/* clang-format off */
#define T struct queryprogram
static const struct option options[] = {
    OPTION_EXPAND(T, command, NULL),
    OPTION_GROUP(T, command_group, NULL),
    OPTION_USER(T, command_user, NULL),
    OPTION_STRING(T, current_directory, "/"),
    OPTION_TIME(T, timeout, 3600),
};
/* clang-format on */

static bool queryprogram_check(struct router *r, const struct config *cfg, struct arena *a, struct err *err)
{
    const struct queryprogram *q = (const struct queryprogram *)r;

    (void)cfg;
    if (q->command == NULL)
        return err_set(err, a, "command must be specified");
    if (q->command_user == NULL)
        return err_set(err, a, "command_user must be specified");
    if (is_digit(q->command_user[0]) && q->command_group == NULL)
        return err_set(err, a, "command_group must be set with a numerical command_user");
    return true;
}

/* ---- the answer ---- */

/* key=value, where the value may be quoted. *s moves behind it; false: no such thing. */
static bool next_value(struct arena *a, const char **s, const char **key, const char **value)
{
    size_t n = strspn(*s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    const char *p = *s + n;

    if (n == 0 || *p != '=')
        return false;
    *key = arena_strndup(a, *s, n);
    p++;
    char *out = arena_strdup(a, p), *t = out;
    if (*p == '"') {
        for (p++; *p != '\0' && *p != '"'; *t++ = *p++)
            if (*p == '\\' && p[1] != '\0')
                p++;
        p += *p == '"';
    } else {
        while (*p != '\0' && !is_space(*p))
            *t++ = *p++;
    }
    *t = '\0';
    *value = out;
    *s = cstr_skip_space(p);
    return true;
}

/* What is no key=value, and keys that mean nothing, are passed over (as Exim does). */
static void accept_values(struct arena *a, struct queryprogram_answer *q)
{
    const char *s = q->rest, *key, *value;

    while (*s != '\0') {
        if (!next_value(a, &s, &key, &value)) {
            while (*s != '\0' && !is_space(*s))
                s++;
            s = cstr_skip_space(s);
            continue;
        }
        if (cstr_ieq(key, "transport"))
            q->transport = value;
        else if (cstr_ieq(key, "hosts"))
            q->hosts = value;
        else if (cstr_ieq(key, "lookup"))
            q->lookup = value;
        else if (cstr_ieq(key, "data"))
            q->data = value;
    }
}

void queryprogram_parse(struct arena *a, const char *line, struct queryprogram_answer *out)
{
    line = cstr_skip_space(line);
    size_t n = 0;
    while (line[n] != '\0' && !is_space(line[n]))
        n++;
    *out = (struct queryprogram_answer){ .word = arena_strndup(a, line, n), .rest = cstr_skip_space(line + n) };
    if (cstr_ieq(out->word, "accept"))
        accept_values(a, out);
}

/* ---- what is to be done ---- */

/* The program did not do what it should: logged, and tried again later. */
static enum route_rc misbehaved(struct route_call *call, const char *text)
{
    const struct message *m = call->ctx->message;

    log_write(call->ctx->exim->log, LOG_MAIN | LOG_PANIC, m == NULL ? NULL : m->id, "%s router: %s",
              call->addr->router->name, text);
    return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s", text);
}

static enum route_rc find_hosts(struct route_call *call, const struct queryprogram_answer *q)
{
    struct hostlist l = { .find_failed = HFF_FREEZE, .all_ignored = HFF_DEFER };

    if (q->lookup != NULL && cstr_ieq(q->lookup, "byname"))
        l.by_name = true;
    else if (q->lookup != NULL && cstr_ieq(q->lookup, "bydns"))
        l.by_dns = true;
    else if (q->lookup != NULL)
        return misbehaved(call, arena_printf(call->ctx->arena, "bad lookup type \"%s\" yielded by command", q->lookup));
    call->addr->host_list = host_list_parse(call->ctx->arena, q->hosts, false);
    return call->addr->host_list == NULL ? ROUTE_OK : hostlist_find(call, &l);
}

static enum route_rc accept_answer(struct route_call *call, const struct queryprogram_answer *q)
{
    struct address *addr = call->addr;

    if (q->data != NULL)
        addr->address_data = q->data;
    if (q->transport != NULL) {
        addr->transport = transport_find(call->ctx->exim->config, q->transport);
        if (addr->transport == NULL)
            return misbehaved(call, arena_printf(call->ctx->arena, "unknown transport name %s yielded by command",
                                                 q->transport));
    }
    if (!route_prepare(call))
        return ROUTE_DEFER;
    enum route_rc rc = q->hosts == NULL ? ROUTE_OK : find_hosts(call, q);
    if (rc != ROUTE_OK)
        return rc;
    return route_queue(call) ? ROUTE_OK : ROUTE_DEFER;
}

struct redirection {
    struct route_call *call;
    const char *errors_to, *bad;
    struct address **tail;
};

static bool add_child(void *arg, const struct parsed_address *p, const char *raw)
{
    struct redirection *r = arg;
    struct address *addr = r->call->addr;
    struct arena *a = r->call->ctx->arena;

    if (p->address == NULL || p->address[0] == '\0') {
        r->bad = arena_printf(a, "%s in \"%s\"", p->err == NULL ? "empty address" : p->err, raw);
        return false;
    }
    const char *text = p->domain != NULL ? p->address
                                         : arena_printf(a, "%s@%s", p->address, r->call->ctx->exim->config->qualify_recipient);
    struct address *child = address_child(a, addr, text);
    child->errors_to = r->errors_to;
    child->start_router = addr->router->redirect_to;
    (void)address_split(a, child);
    child->next = *r->tail;
    *r->tail = child;
    r->tail = &child->next;
    return true;
}

static enum route_rc redirect_answer(struct route_call *call, const char *list)
{
    struct redirection r = { .call = call, .tail = &call->results->children };

    if (!route_get_errors_to(call, call->addr, &r.errors_to) || !route_munge_headers(call, call->addr))
        return ROUTE_DEFER;
    if (!parse_each_address(call->ctx->arena, list, 0, add_child, &r)) {
        call->results->children = NULL;
        return route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.5", "error in redirect data: %s", r.bad);
    }
    if (call->results->children == NULL)
        return ROUTE_DECLINE;
    call->addr->outcome = OUTCOME_EXPANDED;
    return ROUTE_OK;
}

static enum route_rc act(struct route_call *call, const struct queryprogram_answer *q)
{
    const char *text = q->rest;

    if (cstr_ieq(q->word, "accept"))
        return accept_answer(call, q);
    if (cstr_ieq(q->word, "decline"))
        return ROUTE_DECLINE;
    if (cstr_ieq(q->word, "pass"))
        return ROUTE_PASS;
    if (cstr_ieq(q->word, "redirect"))
        return redirect_answer(call, text);
    if (cstr_ieq(q->word, "fail")) {
        route_result(call, ROUTE_FAIL, ERR_NONE, "5.1.1", "%s", text);
        call->addr->result.user_message = call->addr->result.message;
        return ROUTE_FAIL;
    }
    if (cstr_ieq(q->word, "defer") || cstr_ieq(q->word, "freeze")) {
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.0", "%s", text);
        call->addr->result.freeze = cstr_ieq(q->word, "freeze");
        return ROUTE_DEFER;
    }
    return misbehaved(call, arena_printf(call->ctx->arena, "bad command yield: %s %s", q->word, text));
}

static bool get_ids(const struct queryprogram *q, struct route_call *call, struct agent_id *who)
{
    struct route_user u;

    if (!route_find_user(call->ctx, q->command_user, &u)) {
        route_result(call, ROUTE_DEFER, ERR_BADUGID, "4.3.5", "command_user %s of %s router not found",
                     q->command_user, q->base.name);
        return false;
    }
    *who = (struct agent_id){ .uid = u.uid, .gid = u.gid };
    if (q->command_group == NULL || route_find_group(call->ctx, q->command_group, &who->gid))
        return true;
    route_result(call, ROUTE_DEFER, ERR_BADUGID, "4.3.5", "command_group %s of %s router not found", q->command_group,
                 q->base.name);
    return false;
}

/* The first line of what the program writes, cut as Exim does. */
static const char *first_line(struct arena *a, struct str output)
{
    size_t n = strcspn(output.p, "\n");

    return arena_strndup(a, output.p, n < LINE_MAX_BYTES ? n : LINE_MAX_BYTES);
}

/* As command_user where that is possible: in a delivery. Verification in a session has no way to
 * other users; there it runs as we do (manual 21). */
static bool run_command(const struct queryprogram *q, struct route_call *call, const struct agent_id *who,
                        const char **line, struct err *err)
{
    const struct command_request rq = { .text = q->command->text, .expand = true,
                                        .owner = arena_printf(call->ctx->arena, "%s router", q->base.name) };
    struct capture_command c = { .cwd = q->current_directory, .timeout = q->timeout };
    struct arena *a = call->ctx->arena;
    struct str output;
    char **argv;

    if (!command_parse(call->ctx, &rq, &argv, err))
        return false;
    if (argv[0][0] != '/')
        return err_set(err, a, "command \"%s\" of %s router is not an absolute path", argv[0], q->base.name);
    c.argv = argv;
    bool ok = call->ctx->exim->broker != NULL && !call->verify && who->uid != geteuid()
                  ? agent_run(call->ctx->exim, a, who, &c, &output, err)
                  : capture_run(a, &c, &output, err);
    if (ok)
        *line = first_line(a, output);
    return ok;
}

static enum route_rc queryprogram_route(const struct router *r, struct route_call *call)
{
    const struct queryprogram *q = (const struct queryprogram *)r;
    struct queryprogram_answer answer;
    struct agent_id who;
    struct err err = { 0 };
    const char *line = "";

    if (!get_ids(q, call, &who))
        return ROUTE_DEFER;
    if (!run_command(q, call, &who, &line, &err)) {
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.0", "%s router: %s", r->name, err.msg);
        call->addr->result.freeze = err.sys_errno == ETIMEDOUT;
        return ROUTE_DEFER;
    }
    queryprogram_parse(call->ctx->arena, line, &answer);
    return act(call, &answer);
}

const struct router_driver router_queryprogram = {
    .name = "queryprogram",
    .instance_size = sizeof(struct queryprogram),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = queryprogram_check,
    .route = queryprogram_route,
};
