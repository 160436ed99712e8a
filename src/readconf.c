#include "readconf.h"

#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"
#include "config/driver.h"
#include "config/source.h"
#include "config/macros.h"
#include "config/reader.h"
#include "hooks.h"

/* ---- Lines ---- */

static void keep_text(struct reader *r, const char *line)
{
    struct config *c = r->cfg;

    if (c->text_count == r->text_cap) {
        size_t cap = r->text_cap == 0 ? 512 : r->text_cap * 2;

        c->text = arena_realloc(r->arena, unconst(c->text),
                                r->text_cap * sizeof(*c->text), cap * sizeof(*c->text));
        r->text_cap = cap;
    }
    ((const char **)unconst(c->text))[c->text_count++] = line;
}

const char *reader_next(struct reader *r)
{
    const char *line = source_next(r->source, r->err);

    if (line == NULL)
        return NULL;
    for (const char *marker; (marker = source_marker(r->source)) != NULL;)
        keep_text(r, marker);
    keep_text(r, line);
    return line;
}

void reader_again(struct reader *r)
{
    source_again(r->source);
    r->cfg->text_count--;
}

bool reader_ended(const struct reader *r)
{
    return r->err->msg == NULL;
}

bool reader_macro(struct reader *r, const char *line, bool *was)
{
    *was = macros_name_length(line) != 0;
    return !*was || macros_define(r->macros, line, r->err);
}

const char *reader_begin(const char *line)
{
    if (!cstr_starts(line, "begin ") && !cstr_starts(line, "begin\t"))
        return NULL;
    return cstr_skip_space(line + 6);
}

void reader_hide(struct reader *r, const struct option *o)
{
    struct config *c = r->cfg;

    if (c->hidden_count == r->hidden_cap) {
        size_t cap = r->hidden_cap == 0 ? 8 : r->hidden_cap * 2;

        c->hidden =
            arena_realloc(r->arena, unconst(c->hidden),
                          r->hidden_cap * sizeof(*c->hidden), cap * sizeof(*c->hidden));
        r->hidden_cap = cap;
    }
    ((const struct option **)unconst(c->hidden))[c->hidden_count++] = o;
}

/* ---- Sections ---- */

enum section {
    SECTION_ACL,
    SECTION_AUTHENTICATORS,
    SECTION_RETRY,
    SECTION_REWRITE,
    SECTION_ROUTERS,
    SECTION_TRANSPORTS,
    SECTION_LOCAL_SCAN,
    SECTION_COUNT
};
static const char *const section_names[] = {
    "acl", "authenticators", "retry", "rewrite", "routers", "transports", "local_scan",
};
_Static_assert(ARRAY_LEN(section_names) == SECTION_COUNT, "each section has a name");

static enum section section_find(const char *name)
{
    int i = 0;

    while (i < SECTION_COUNT && strcmp(section_names[i], name) != 0)
        i++;
    return (enum section)i;
}

static bool read_section(struct reader *r, enum section which)
{
    switch (which) {
    case SECTION_ACL:
        return reader_acls(r);
    case SECTION_AUTHENTICATORS:
        return reader_drivers(r, r->hooks->authenticators);
    case SECTION_RETRY:
        return reader_retry(r);
    case SECTION_REWRITE:
        return reader_rewrite(r);
    case SECTION_ROUTERS:
        return reader_drivers(r, r->hooks->routers);
    case SECTION_TRANSPORTS:
        return reader_drivers(r, r->hooks->transports);
    default:
        return err_set(r->err, r->arena,
                       "local_scan() options are not built into this binary yet");
    }
}

static bool read_sections(struct reader *r)
{
    bool seen[SECTION_COUNT] = { false };
    const char *line;

    while ((line = reader_next(r)) != NULL) {
        const char *name = reader_begin(line);
        enum section which = name == NULL ? SECTION_COUNT : section_find(name);

        if (name == NULL)
            return err_set(r->err, r->arena, "\"begin <section>\" expected, found \"%s\"",
                           line);
        if (which == SECTION_COUNT)
            return err_set(r->err, r->arena,
                           "\"%s\" is not a known configuration section name", name);
        if (seen[which])
            return err_set(r->err, r->arena,
                           "\"%s\" section is repeated in the configuration file", name);
        seen[which] = true;
        if (!read_section(r, which))
            return false;
    }
    return reader_ended(r);
}

/* Exim: the macros that the rest of the file needs are known only after all of it. */
static bool read_all(struct reader *r)
{
    if (!reader_main(r) || !reader_derive(r))
        return false;
    if (r->rq->skip_drivers)
        return true;
    return read_sections(r) && reader_check_drivers(r);
}

/* ---- The file ---- */

#ifdef CONFIGURE_FILE_USE_EUID
enum { USE_EUID = true };
#else
enum { USE_EUID = false };
#endif
#ifdef CONFIGURE_FILE_USE_NODE
enum { USE_NODE = true };
#else
enum { USE_NODE = false };
#endif

/* The first that exists of the names that one item of the list stands for. */
static const char *existing(struct arena *a, const char *name)
{
    struct utsname uts;
    const char *euid = arena_printf(a, "%s.%ld", name, (long)geteuid());
    const char *node =
        uname(&uts) == 0 ? arena_printf(a, "%s.%s", name, uts.nodename) : name;
    const char *both = arena_printf(a, "%s.%ld.%s", name, (long)geteuid(), uts.nodename);

    if (USE_EUID && USE_NODE && access(both, F_OK) == 0)
        return both;
    if (USE_EUID && access(euid, F_OK) == 0)
        return euid;
    if (USE_NODE && access(node, F_OK) == 0)
        return node;
    return access(name, F_OK) == 0 ? name : NULL;
}

static const char *choose(struct arena *a, const char *filenames, struct err *err)
{
    struct list_iter it = list_begin(filenames, ':');

    for (const char *name; (name = list_next(&it, a)) != NULL;) {
        const char *found = existing(a, name);

        if (found != NULL)
            return found;
    }
    err_set(err, a, "non-existent configuration file(s): %s", filenames);
    return NULL;
}

static struct source *open_source(struct reader *r, struct err *err)
{
    const struct readconf_request *rq = r->rq;

    if (rq->text != NULL) {
        r->cfg->filename =
            rq->filenames != NULL ? rq->filenames : "built-in configuration";
        return source_open_text(r->arena, r->cfg->filename, rq->text, r->macros);
    }
    r->cfg->filename = choose(r->arena, rq->filenames, err);
    if (r->cfg->filename == NULL)
        return NULL;
    return source_open(r->arena, r->cfg->filename, rq->check_owner, r->macros, err);
}

/* Adds to the words what Exim adds: where it is. */
static void say_where(const struct reader *r, struct err *err)
{
    const char *place = r->place;

    if (place == NULL && r->file != NULL)
        place = arena_printf(r->arena, " in line %d of %s", r->line, r->file);
    else if (place == NULL)
        place = arena_printf(r->arena, " in line %d of %s", source_number(r->source),
                             source_filename(r->source));
    err_set(err, r->arena, "Exim configuration error%s:\n  %s", place, err->msg);
}

static void init_config(struct reader *r)
{
    struct config *c = r->cfg;

    c->arena = r->arena;
    c->hooks = r->hooks;
    c->acls = r->acls = hash_new(r->arena, false);
    c->option_set = r->option_set = hash_new(r->arena, false);
    for (size_t i = 0; i < ARRAY_LEN(c->named_lists); i++)
        c->named_lists[i] = r->named_lists[i] = hash_new(r->arena, false);
}

const struct config *readconf(struct arena *a, const struct readconf_request *rq,
                              struct err *err)
{
    struct config *c = arena_new_obj(a, struct config);
    struct reader r = {
        .arena = a,
        .cfg = c,
        .rq = rq,
        .hooks = rq->hooks,
        .err = err,
        .macros = macros_new(a, rq->hooks, rq->macros),
    };

    *err = (struct err){ 0 };
    r.pending_end = &r.pending;
    init_config(&r);
    r.source = open_source(&r, err);
    if (r.source == NULL)
        return NULL;
    if (!read_all(&r)) {
        say_where(&r, err);
        return NULL;
    }
    c->macros = macros_list(r.macros);
    return c;
}

/* ---- For those who open a log ---- */

#ifdef SYSLOG_LONG_LINES
enum { LONG_LINES = true };
#else
enum { LONG_LINES = false };
#endif

struct log_config readconf_log_config(const struct config *c)
{
    const struct main_options *m = &c->main;

    return (struct log_config){
        .spool_directory = c->spool_directory,
        .log_file_path = c->log_file_path,
        .built_path = LOG_FILE_PATH[0] != '\0' ? LOG_FILE_PATH : NULL,
        .selector = c->log_selector,
        .timezone = m->log_timezone,
        .write_rejectlog = m->write_rejectlog,
        .syslog_timestamp = m->syslog_timestamp,
        .syslog_pid = m->syslog_pid,
        .syslog_duplication = m->syslog_duplication,
        .syslog_facility = m->syslog_facility,
        .syslog_processname = m->syslog_processname,
        .syslog_long_lines = LONG_LINES,
        .file_mode = LOG_MODE,
        .file_uid = c->exim_uid,
        .file_gid = c->exim_gid,
    };
}
