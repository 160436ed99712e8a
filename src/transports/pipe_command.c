#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "message.h"
#include "transports/command.h"
#include "transports/pipe_int.h"

enum { ENV_MAX = 500 };

/* ---- the command ---- */

/* The text to run: the address's own, or command=. *expand: may it hold $variables? */
static bool find_text(struct pipe_run *run, const char **text, bool *expands)
{
    const struct address *addr = run->call->addrs;
    const struct pipe *t = run->t;

    *expands = true;
    if ((addr->flags & ADDR_PIPE) && !t->force_command) {
        *text = cstr_skip_space(addr->address + 1);
        *expands = (addr->flags & ADDR_EXPAND_PIPE) != 0;
    } else {
        *text = t->command == NULL ? "" : t->command->text;
    }
    if ((*text)[0] == '\0')
        return pipe_result(run, RC_DEFER, 0, "4.3.5", "no command specified for %s transport", t->base.name);
    return true;
}

/* $0 .. $9 as they were when the filter made this pipe. */
static void set_numbers(struct pipe_run *run)
{
    const char *const *v = run->call->addrs->pipe_expandn;
    struct captures *c = &run->call->ctx->captures;

    for (int i = 0; v != NULL && i < 10 && v[i] != NULL; i++) {
        c->v[i] = v[i];
        c->count = i + 1;
    }
}

static bool shell_command(struct pipe_run *run, const char *text, bool expands)
{
    const char *v = text;

    if (expands && expand_text(run->call->ctx, text, &v) != EXPAND_OK)
        return pipe_result(run, RC_DEFER, 0, "4.3.5", "Expansion of command \"%s\" in %s transport failed: %s", text,
                           run->t->base.name, run->call->ctx->err.msg);
    run->argv = arena_new_array(run->arena, char *, 4);
    run->argv[0] = arena_strdup(run->arena, "/bin/sh");
    run->argv[1] = arena_strdup(run->arena, "-c");
    run->argv[2] = arena_strdup(run->arena, v);
    return true;
}

static bool is_allowed(struct pipe_run *run, const char *list, const char *name)
{
    struct list_iter it = list_begin(list, ':');

    for (const char *item; (item = list_next(&it, run->arena)) != NULL;)
        if (strcmp(item, name) == 0)
            return true;
    return false;
}

/* The file of a command given without a slash. */
static bool search_path(struct pipe_run *run, const char *path)
{
    struct list_iter it = list_begin(path, ':');

    for (const char *dir; (dir = list_next(&it, run->arena)) != NULL;) {
        const char *file = arena_printf(run->arena, "%s/%s", dir, run->argv[0]);
        if (access(file, F_OK) != 0)
            continue;
        run->argv[0] = unconst(file);
        return true;
    }
    return pipe_result(run, RC_FAIL, 0, "5.3.5", "\"%s\" command not found for %s transport", run->argv[0],
                       run->t->base.name);
}

static bool check_permission(struct pipe_run *run)
{
    const struct pipe *t = run->t;
    const char *list, *path, *name = run->argv[0];

    if (!pipe_expand(run, t->allow_commands, "allow_commands", &list) || !pipe_expand(run, t->path, "path", &path))
        return false;
    bool allowed = t->allow_commands != NULL && is_allowed(run, list, name);
    if (t->restrict_to_path && !allowed && strchr(name, '/') != NULL)
        return pipe_result(run, RC_FAIL, 0, "5.7.1",
                           "\"/\" found in \"%s\" (command for %s transport) - failed for security reasons",
                           run->command, t->base.name);
    if (t->allow_commands != NULL && !allowed && !t->restrict_to_path)
        return pipe_result(run, RC_FAIL, 0, "5.7.1", "\"%s\" command not permitted by %s transport", name,
                           t->base.name);
    return name[0] == '/' || search_path(run, path);
}

bool pipe_set_command(struct pipe_run *run)
{
    struct command_request rq = { .owner = arena_printf(run->arena, "%s transport", run->t->base.name),
                                  .addrs = run->call->addrs };
    struct err err = { 0 };

    if (!find_text(run, &rq.text, &rq.expand))
        return false;
    run->command = rq.text;
    if (rq.expand)
        set_numbers(run);
    if (run->t->use_shell)
        return shell_command(run, rq.text, rq.expand);
    if (run->t->force_command && (run->call->addrs->flags & ADDR_PIPE))
        rq.address_pipe = cstr_skip_space(run->call->addrs->address + 1);
    if (!command_parse(run->call->ctx, &rq, &run->argv, &err))
        return pipe_result(run, RC_DEFER, 0, "4.3.5", "%s", err.msg);
    if (run->argv[0][0] == '\0')
        return pipe_result(run, RC_DEFER, 0, "4.3.5", "no command specified for %s transport", run->t->base.name);
    return check_permission(run);
}

/* ---- the environment (manual 29.4) ---- */

struct env {
    struct pipe_run *run;
    size_t n;
};

static void put(struct env *e, const char *name, const char *value)
{
    if (e->n < ENV_MAX)
        e->run->env[e->n++] = arena_printf(e->run->arena, "%s=%s", name, value == NULL ? "" : value);
}

/* Who the pipe is for: of a generated one, the address that was redirected. */
static const struct address *subject(const struct address *addr)
{
    return (addr->flags & ADDR_PIPE_FILE_REPLY) && addr->parent != NULL && addr->local_part == NULL ? addr->parent
                                                                                                    : addr;
}

static void put_address(struct env *e)
{
    const struct transport_call *call = e->run->call;
    const struct address *addr = subject(call->addrs);
    bool alone = call->addrs->next == NULL;
    const char *lp = alone ? addr->local_part : NULL;

    put(e, "LOCAL_PART", lp);
    put(e, "LOGNAME", lp);
    put(e, "USER", lp);
    put(e, "LOCAL_PART_PREFIX", alone ? addr->prefix : NULL);
    put(e, "LOCAL_PART_SUFFIX", alone ? addr->suffix : NULL);
    put(e, "DOMAIN", addr->domain);
    put(e, "RECIPIENT",
        lp == NULL ? addr->address
                   : arena_printf(e->run->arena, "%s%s%s@%s", addr->prefix == NULL ? "" : addr->prefix, lp,
                                  addr->suffix == NULL ? "" : addr->suffix, addr->domain));
    put(e, "HOME", call->addrs->home_dir);
    if (call->addrs->host_list != NULL)
        put(e, "HOST", call->addrs->host_list->name);
}

static bool put_own(struct env *e)
{
    struct pipe_run *run = e->run;
    const char *list;

    if (!pipe_expand(run, run->t->environment, "environment", &list))
        return false;
    struct list_iter it = list_begin(list, ':');
    for (const char *item; (item = list_next(&it, run->arena)) != NULL;) {
        if (item[0] == '\0')
            continue;
        if (e->n >= ENV_MAX)
            return pipe_result(run, RC_DEFER, 0, "4.3.5", "too many environment settings for %s transport",
                               run->t->base.name);
        run->env[e->n++] = item;
    }
    return true;
}

bool pipe_set_environment(struct pipe_run *run)
{
    const struct config *c = run->call->ctx->exim->config;
    struct env e = { .run = run };
    const char *path;

    run->env = arena_new_array(run->arena, const char *, ENV_MAX + 1);
    if (!pipe_expand(run, run->t->path, "path", &path))
        return false;
    put_address(&e);
    put(&e, "MESSAGE_ID", run->call->message->id);
    put(&e, "PATH", path);
    put(&e, "QUALIFY_DOMAIN", c->qualify_domain);
    put(&e, "SENDER", run->call->message->sender);
    put(&e, "SHELL", "/bin/sh");
    if (c->main.timezone != NULL && c->main.timezone[0] != '\0')
        put(&e, "TZ", c->main.timezone);
    return put_own(&e);
}
