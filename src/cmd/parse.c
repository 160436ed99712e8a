#include "cmd/parse_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"

const char parse_about[] =
    "Exim is a Mail Transfer Agent. It is normally called by Mail User Agents,\n"
    "not directly from a shell command line. Options and/or arguments control\n"
    "what it does when called. For a list of options, see the Exim documentation.\n";

bool parse_fail(struct parse *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    p->error = arena_printf(p->arena, "%s\n", arena_vprintf(p->arena, fmt, ap));
    va_end(ap);
    return false;
}

const char *parse_next(struct parse *p)
{
    return p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
}

bool parse_set_mode(struct parse *p, const char *name)
{
    const struct cmd_mode *new = parse_mode(name), *old = p->out->mode;

    if (old != NULL && strcmp(old->name, "bV") == 0)
        return true; /* the version is told whatever else is asked */
    if (old != NULL && old != new &&strcmp(name, "bV") != 0)
        return parse_fail(p, "exim: incompatible command-line options or arguments");
    p->out->mode = new;
    if (strcmp(name, "bd") == 0 || strcmp(name, "bdf") == 0) {
        p->out->daemon.listen = true;
        p->out->daemon.foreground |= name[2] == 'f';
    }
    return true;
}

/* ---- One flag ---- */

static bool malformed(struct parse *p)
{
    return parse_fail(p, "exim abandoned: unknown, malformed, or incomplete option %s",
                      p->argv[p->at]);
}

/* The text after a flag: the rest of its argument, or the next one. */
static const char *take_text(struct parse *p, const char *rest)
{
    return rest[0] != '\0' ? rest : parse_next(p);
}

static bool set_text(struct parse *p, const struct flag *f, const char *rest)
{
    const char *arg = p->argv[p->at];
    const char *text = f->kind == FLAG_NEXT ? parse_next(p) : take_text(p, rest);

    if (text == NULL && (f->kind == FLAG_NEXT || f->words != NULL))
        return parse_fail(p, "exim: %s expected after %s",
                          f->words != NULL ? f->words : "string", arg);
    if (text == NULL)
        return malformed(p);
    if (f->kind != FLAG_IGNORE_TEXT)
        *(const char **)(void *)((char *)p->out + f->offset) = text;
    return true;
}

static bool apply(struct parse *p, const struct flag *f, const char *rest)
{
    switch (f->kind) {
    case FLAG_IGNORE:
    case FLAG_IGNORE_REST:
        return true;
    case FLAG_ON:
        *(bool *)((char *)p->out + f->offset) = true;
        return true;
    case FLAG_IGNORE_TEXT:
    case FLAG_NEXT:
    case FLAG_TEXT:
        return set_text(p, f, rest);
    case FLAG_MODE:
        return parse_set_mode(p, f->name);
    case FLAG_CALL:
    case FLAG_CALL_REST:
        return f->call(p, rest);
    case FLAG_UNBUILT:
    case FLAG_UNBUILT_REST:
        return parse_fail(p, "exim: option -%s is not built into this binary yet: %s",
                          f->name, f->words);
    }
    return malformed(p);
}

/* Exim: options end at the first argument that is none, or at "--". */
static bool parse_flags(struct parse *p)
{
    for (p->at = 1; p->at < p->argc && p->argv[p->at][0] == '-'; p->at++) {
        const char *arg = p->argv[p->at], *rest;

        if (strcmp(arg, "--") == 0) {
            p->at++;
            break;
        }
        const struct flag *f = arg[1] == '\0' ? NULL : parse_find_flag(arg + 1, &rest);

        if (f == NULL)
            return malformed(p);
        p->flag = f;
        if (!apply(p, f, rest)) {
            if (p->error == NULL && p->answer == NULL)
                malformed(p);
            return false;
        }
    }
    p->out->args = p->argv + p->at;
    p->out->nargs = p->argc - p->at;
    return true;
}

/* ---- What follows from all of them ---- */

/* The names that Exim may be called by stand for flags (manual 5.1). */
static bool by_program_name(struct parse *p)
{
    const char *slash = strrchr(p->argv[0], '/');
    const char *name = slash == NULL ? p->argv[0] : slash + 1;

    if (strcmp(name, "mailq") == 0)
        return parse_set_mode(p, "bp");
    if (strcmp(name, "rsmtp") == 0)
        return parse_set_mode(p, "bS");
    if (strcmp(name, "newaliases") == 0)
        return parse_set_mode(p, "bi");
    if (strcmp(name, "runq") == 0)
        return parse_queue(p, "");
    if (strcmp(name, "rmail") == 0) {
        p->out->receive.dot_ends = false;
        p->out->receive.error_exit2 = true;
        p->out->receive.error_mail = true;
    }
    return true;
}

static bool is_message_mode(const char *name)
{
    return name[0] == 'M';
}

static bool queue_mode(struct parse *p)
{
    struct cmd_line *c = p->out;

    if (!p->queue_run)
        return true;
    if (c->daemon.queue_interval == 0 && !c->daemon.listen)
        return parse_set_mode(p, "q");
    if (c->daemon.queue_interval == 0 || (c->mode != NULL && !c->daemon.listen))
        return parse_fail(p, "exim: incompatible command-line options or arguments");
    if (c->mode == NULL)
        c->mode = parse_mode("bd");
    return true;
}

static bool default_mode(struct parse *p)
{
    struct cmd_line *c = p->out;

    if (c->mode == NULL && c->log_text != NULL)
        return parse_set_mode(p, "z");
    bool told = c->nargs > 0 || c->extract_recipients;

    if ((c->mode == NULL || strcmp(c->mode->name, "bm") == 0) && !told) {
        p->error = parse_about;
        return false;
    }
    if (c->mode == NULL)
        c->mode = parse_mode("bm");
    return true;
}

/* -M and its like take ids; -q may be followed by one or two. */
static bool check_ids(struct parse *p)
{
    const struct cmd_line *c = p->out;
    bool one = strcmp(c->mode->name, "Mar") == 0 || strcmp(c->mode->name, "Mmd") == 0 ||
               strcmp(c->mode->name, "Mes") == 0;

    if (c->nargs == 0)
        return parse_fail(p, "exim: no message ids given after -%s option",
                          c->mode->name);
    for (int i = 0; i < (one ? 1 : c->nargs); i++)
        if (!msgid_valid(c->args[i]))
            return parse_fail(p, "exim: malformed message id %s after -%s option",
                              c->args[i], c->mode->name);
    if (strcmp(c->mode->name, "Mes") == 0 && c->nargs != 2)
        return parse_fail(p, "exim: two arguments expected after -Mes option");
    return true;
}

static bool check_arguments(struct parse *p)
{
    struct cmd_line *c = p->out;
    const char *mode = c->mode->name;

    if (is_message_mode(mode))
        return check_ids(p);
    if (strcmp(mode, "q") == 0) {
        if (c->nargs > 2)
            return parse_fail(p, "exim: incompatible command-line options or arguments");
        c->queue.start_id = c->nargs > 0 ? c->args[0] : NULL;
        c->queue.stop_id = c->nargs > 1 ? c->args[1] : NULL;
        for (int i = 0; i < c->nargs; i++)
            if (!msgid_valid(c->args[i]))
                return parse_fail(p, "exim: malformed message id %s after -q option",
                                  c->args[i]);
    }
    if (c->mode->run == cmd_bd && (c->nargs > 0 || c->extract_recipients))
        return parse_fail(p, "exim: incompatible command-line options or arguments");
    return true;
}

/* As struct receive_options has it: 0 unset, -1 none. */
static long timeout_of(long flag)
{
    return flag < 0 ? 0 : flag == 0 ? -1 : flag;
}

static void finish(struct parse *p)
{
    struct cmd_line *c = p->out;

    if (!c->receive.error_mail && !c->receive.error_stderr)
        c->receive.error_mail = true;
    if (c->receive.no_delivery || c->debug_set)
        c->verbose = true;
    if (c->mode->run == cmd_bd && c->verbose)
        c->daemon.foreground = true;
    c->receive.receive_timeout = timeout_of(c->receive_timeout);
    c->receive.smtp_timeout = timeout_of(c->smtp_timeout);
    c->daemon.argv = p->argv;
    c->daemon.config_filename = c->config_files;
}

bool cmd_parse(struct exim *e, int argc, char **argv, struct cmd_line *out, int *status)
{
    struct parse p = { .arena = e->arena, .out = out, .argv = argv, .argc = argc };

    *out = (struct cmd_line){
        .argv = argv,
        .argc = argc,
        .receive = { .dot_ends = true },
        .receive_timeout = -1,
        .smtp_timeout = -1,
    };
    p.macro_end = &out->macros;
    bool ok = argc > 0 && by_program_name(&p) && parse_flags(&p) && queue_mode(&p) &&
              default_mode(&p) && check_arguments(&p);

    if (ok) {
        finish(&p);
        return true;
    }
    if (p.answer != NULL)
        fputs(p.answer, stdout);
    else
        fputs(p.error != NULL ? p.error : parse_about, stderr);
    *status = p.answer != NULL ? EXIT_SUCCESS : EXIT_FAILURE;
    return false;
}

/* ---- Rights ---- */

/* Manual 5.2 and the descriptions of the flags. */
const char *cmd_forbidden(const struct exim *e, const struct cmd_line *c)
{
    const struct main_options *m = &e->config->main;
    const unsigned f = c->mode->flags;
    bool needs_admin =
        (f & CMD_NEEDS_ADMIN) != 0 || c->debug_set || c->log_tag != NULL ||
        c->log_text != NULL || c->be_id != NULL || ((f & CMD_PROD_ADMIN) != 0 && m->prod_requires_admin) ||
        ((f & CMD_LIST_ADMIN) != 0 && m->queue_list_requires_admin) ||
        ((f & CMD_CHECK_ADMIN) != 0 && m->commandline_checks_require_admin);

    if (needs_admin && !e->admin)
        return "permission denied";
    if (c->oMm != NULL && !e->trusted)
        return "-oMm must be called by a trusted user/config";
    if ((c->suppress_fixups || (f & CMD_NEEDS_TRUSTED) != 0) &&
        !e->trusted)
        return "permission denied";
    if (c->receive.no_delivery && (f & CMD_PROD_ADMIN) != 0 && e->real_uid != 0 &&
        e->real_uid != e->config->exim_uid)
        return "permission denied: -N is for root and the Exim user";
    return NULL;
}
