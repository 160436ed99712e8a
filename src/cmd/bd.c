#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "daemon.h"
#include "dns.h"
#include "dsn_language.h"
#include "exim.h"
#include "readconf.h"
#include "search.h"

/* What is needed to read the configuration again. */
struct source {
    const struct cmd_line *line;
    struct exim *exim; /* as main made it */
};

static void open_all(struct exim *e)
{
    struct log_config *l = arena_new_obj(e->arena, struct log_config);
    const char *server = getenv("EXIM_RESOLV_SERVER"); /* main let it pass only for tests */

    *l = readconf_log_config(e->config);
    e->log = log_open(e->arena, l);
    e->exim_path = e->config->main.exim_path;
    e->resolver = dns_open(e->arena, e->config, server);
    dns_attach(e->resolver, e);
    e->search = search_new(e);
}

/* The daemon has left the directory it was started in. */
static const char *config_path(struct arena *a, const struct exim *e)
{
    const char *name = e->config->filename;

    return *name == '/' ? name : arena_printf(a, "%s/%s", e->initial_cwd, name);
}

static struct exim *reload(const struct daemon_options *o, struct err *err)
{
    const struct source *from = o->reload_arg;
    struct arena *a = arena_new("process");
    struct exim *e = arena_new_obj(a, struct exim);
    const struct readconf_request rq = {
        .filenames = config_path(a, from->exim),
        .macros = from->line->macros,
        .hooks = from->exim->hooks,
        .check_owner = from->exim->privileged,
    };

    *e = *from->exim;
    e->arena = a;
    e->config = readconf(a, &rq, err);
    if (e->config == NULL) {
        err->msg = arena_strdup(from->exim->arena, err->msg);
        arena_destroy(&a);
        return NULL;
    }
    if (!dsn_language_check(e, err)) {
        err->msg = arena_strdup(from->exim->arena, err->msg);
        arena_destroy(&a);
        return NULL;
    }
    tod_zone_set(e->config->main.timezone);
    open_all(e);
    return e;
}

int cmd_bd(struct exim *e, const struct cmd_line *c)
{
    struct source from = { c, e };
    struct daemon_options o = c->daemon;

    struct err err = { 0 };

    if (!dsn_language_check(e, &err)) {
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "%s", err.msg);
        fprintf(stderr, "exim: %s\n", err.msg);
        return EXIT_FAILURE;
    }
    o.listen = strcmp(c->mode->name, "q") != 0 && (o.listen || strncmp(c->mode->name, "bd", 2) == 0);
    o.foreground = o.foreground || strcmp(c->mode->name, "bdf") == 0 || c->debug_set;
    o.argv = c->argv;
    o.queue = &c->queue;
    o.receive = &c->receive;
    o.reload = reload;
    o.reload_arg = &from;
    return daemon_run(e, &o);
}
