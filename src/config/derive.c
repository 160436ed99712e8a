#include "config/reader.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "config/owner.h"
#include "hooks.h"
#include "parse.h"
#include "readconf.h"

static bool was_set(const struct reader *r, const char *name)
{
    return hash_find(r->option_set, name) != NULL;
}

static bool expand(struct reader *r, const struct expr *e, const char *name,
                   const char **out)
{
    struct err why = { 0 };

    if (e->constant != NULL) {
        *out = e->constant;
        return true;
    }
    return r->hooks->expand_at_start(r->arena, r->cfg, e, out, &why) ||
           err_set(r->err, r->arena, "failed to expand %s: %s", name, why.msg);
}

static bool set_constant(struct reader *r, const struct expr **member, const char *text)
{
    struct expr *e = arena_new_obj(r->arena, struct expr);

    *e = (struct expr){ .text = text, .constant = text };
    *member = e;
    return true;
}

/* ---- Names ---- */

/* Manual, primary_hostname: a name of one component is completed by looking it up. */
static const char *full_host_name(struct arena *a)
{
    struct utsname uts;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = { .ai_flags = AI_CANONNAME,
                                    .ai_socktype = SOCK_STREAM };

    if (uname(&uts) != 0)
        return "localhost";
    const char *name = arena_strdup(a, uts.nodename);

    if (strchr(name, '.') != NULL || getaddrinfo(name, NULL, &hints, &found) != 0)
        return name;
    if (found->ai_canonname != NULL && strchr(found->ai_canonname, '.') != NULL)
        name = arena_strdup(a, found->ai_canonname);
    freeaddrinfo(found);
    return name;
}

static bool derive_names(struct reader *r)
{
    struct config *c = r->cfg;
    struct main_options *m = &c->main;

    if (m->primary_hostname == NULL || m->primary_hostname[0] == '\0')
        m->primary_hostname = full_host_name(r->arena);
    if (m->qualify_domain == NULL)
        m->qualify_domain = m->primary_hostname;
    if (m->qualify_recipient == NULL)
        m->qualify_recipient = m->qualify_domain;
    c->primary_hostname = m->primary_hostname;
    c->qualify_domain = m->qualify_domain;
    c->qualify_recipient = m->qualify_recipient;
    return true;
}

/* ---- Places ---- */

static const char *default_pid_file(struct reader *r)
{
    const char *built = PID_FILE_PATH;
    const char *mark = strstr(built, "%s"); /* where old versions put the port */

    if (built[0] == '\0')
        return arena_printf(r->arena, "%s/exim-daemon.pid", r->cfg->spool_directory);
    return mark == NULL
               ? built
               : arena_printf(r->arena, "%.*s%s", (int)(mark - built), built, mark + 2);
}

static const char *default_log_path(struct reader *r)
{
    return LOG_FILE_PATH[0] != '\0'
               ? LOG_FILE_PATH
               : arena_printf(r->arena, "%s/log/%%slog", r->cfg->spool_directory);
}

static bool derive_places(struct reader *r)
{
    struct config *c = r->cfg;
    struct main_options *m = &c->main;

    if (!expand(r, m->spool_directory, "spool_directory", &c->spool_directory))
        return false;
    c->log_file_path = "";
    if (m->log_file_path != NULL) {
        if (!expand(r, m->log_file_path, "log_file_path", &c->log_file_path))
            return false;
    } else {
        set_constant(r, &m->log_file_path, default_log_path(r));
    }
    if (m->pid_file_path == NULL)
        set_constant(r, &m->pid_file_path, default_pid_file(r));
    if (!expand(r, m->pid_file_path, "pid_file_path", &c->pid_file_path))
        return false;
    if (m->process_log_path == NULL)
        m->process_log_path =
            arena_printf(r->arena, "%s/exim-process.info", c->spool_directory);
    return true;
}

/* ---- Log ---- */

static bool derive_log(struct reader *r)
{
    struct config *c = r->cfg;

    c->log_selector = log_selector_default();
    if (c->main.log_selector != NULL &&
        !log_selector_parse(c->main.log_selector, &c->log_selector, r->arena, r->err))
        return false;
    const struct log_config l = readconf_log_config(c);

    return log_config_check(&l, r->arena, r->err);
}

/* ---- Identities ---- */

enum { NOBODY = 65534 };

/* A number that nobody has brings no group: that of the built-in user is left. That one is not looked
 * up otherwise, as a name that does not exist is asked of every service there is. */
static bool configured_exim(struct config *c)
{
    const gid_t unset = (gid_t)-1;
    uid_t uid;

    c->exim_gid = unset;
    if (!owner_user(c->main.exim_user, &c->exim_uid, &c->exim_gid))
        return false;
    if (c->exim_gid == unset && !owner_exim(&uid, &c->exim_gid))
        c->exim_gid = NOBODY;
    return true;
}

/* Started by an ordinary user, everything runs as that user if there is no Exim user. */
static void settle_exim(struct config *c, struct arena *a, bool known)
{
    c->exim_user_missing = !known && geteuid() == 0;
    if (c->exim_user_missing) {
        c->exim_uid = NOBODY;
        c->exim_gid = NOBODY;
    } else if (!known) {
        c->exim_uid = geteuid();
        c->exim_gid = getegid();
        c->main.exim_user = owner_user_name(a, c->exim_uid);
    }
}

/* The manual: exim_group counts only beside exim_user, which else brings its own group. */
static bool derive_exim(struct reader *r)
{
    struct config *c = r->cfg;
    struct main_options *m = &c->main;
    bool set = was_set(r, "exim_user");

    c->exim_user_unasked = r->rq->exim_user_unasked && !set && geteuid() != 0;
    if (c->exim_user_unasked) {
        c->exim_uid = geteuid();
        c->exim_gid = getegid();
        return true;
    }
    settle_exim(c, r->arena, set ? configured_exim(c) : owner_exim(&c->exim_uid, &c->exim_gid));
    if (set && m->exim_group != NULL && !owner_group(m->exim_group, &c->exim_gid))
        return err_set(r->err, r->arena, "group %s was not found", m->exim_group);
    if (!c->exim_user_missing)
        m->exim_group = owner_group_name(r->arena, c->exim_gid);
    return true;
}

static bool user_list(struct reader *r, const struct expr *e, const char *name,
                      const uid_t **out, size_t *count)
{
    const char *list;

    return e == NULL || (expand(r, e, name, &list) &&
                         owner_user_list(r->arena, list, out, count, r->err));
}

static bool group_list(struct reader *r, const struct expr *e, const char *name,
                       const gid_t **out, size_t *count)
{
    const char *list;

    return e == NULL || (expand(r, e, name, &list) &&
                         owner_group_list(r->arena, list, out, count, r->err));
}

static bool derive_identities(struct reader *r)
{
    struct config *c = r->cfg;
    const struct main_options *m = &c->main;

    return derive_exim(r) &&
           user_list(r, m->never_users, "never_users", &c->never_users,
                     &c->never_user_count) &&
           user_list(r, m->trusted_users, "trusted_users", &c->trusted_users,
                     &c->trusted_user_count) &&
           group_list(r, m->trusted_groups, "trusted_groups", &c->trusted_groups,
                      &c->trusted_group_count) &&
           group_list(r, m->admin_groups, "admin_groups", &c->admin_groups,
                      &c->admin_group_count);
}

/* ---- localhost_number ---- */

static bool derive_number(struct reader *r)
{
    struct config *c = r->cfg;
    const char *text;
    unsigned long n;

    c->localhost_number = -1;
    if (c->main.localhost_number == NULL)
        return true;
    if (!expand(r, c->main.localhost_number, "localhost_number", &text))
        return false;
    if (!cstr_to_ulong(text, &n))
        return err_set(r->err, r->arena, "localhost_number value is not a number: %s",
                       text);
    if (n > MAX_LOCALHOST_NUMBER)
        return err_set(r->err, r->arena,
                       "localhost_number is greater than the maximum allowed value (%d)",
                       MAX_LOCALHOST_NUMBER);
    c->localhost_number = (long)n;
    return true;
}

/* ---- Addresses ---- */

static bool check_reply_to(struct reader *r)
{
    const char *text = r->cfg->main.errors_reply_to;
    struct parsed_address p = { 0 };

    if (text == NULL || text[0] == '\0')
        return true;
    if (!parse_address(r->arena, text, PARSE_ALLOW_DOMAIN_LITERAL, &p))
        return err_set(r->err, r->arena, "error in errors_reply_to (%s): %s", text,
                       p.err);
    return p.domain != NULL ||
           err_set(r->err, r->arena, "errors_reply_to (%s) does not contain a domain",
                   text);
}

bool reader_derive(struct reader *r)
{
    bool ok = derive_names(r) && derive_places(r) && derive_identities(r) &&
              derive_log(r) && derive_number(r) && check_reply_to(r);

    if (!ok)
        r->place = "";
    return ok;
}
