#include "route_int.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "deliver/agent.h"
#include "exim.h"

/* As whom the files that follow are looked at. */
struct viewer {
    bool set;
    uid_t uid;
    gid_t gid;
};

static bool may(const struct stat *st, const struct viewer *v, mode_t bit)
{
    mode_t shift = st->st_uid == v->uid ? 6 : st->st_gid == v->gid ? 3 : 0;

    return v->uid == 0 || (st->st_mode & (bit << shift)) != 0;
}

/* Exim: a rough check only, "x" on every directory of the path and "r" on the file. */
static bool may_read(struct arena *a, const char *path, const struct viewer *v)
{
    char *copy = arena_strdup(a, path);
    struct stat st;

    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool ok = stat(copy, &st) == 0 && may(&st, v, 1);
        *slash = '/';
        if (!ok)
            return false;
    }
    return stat(copy, &st) == 0 && may(&st, v, 4);
}

/* 0 or an errno. Routing does not run as root: what only the recipient may see, his agent looks at. */
static int look(struct route_run *run, const char *path, const struct viewer *v)
{
    struct exim *e = run->ctx.exim;
    struct stat st;
    int sys_errno = 0;

    if (stat(path, &st) == 0)
        return !v->set || may_read(run->ctx.arena, path, v) ? 0 : EACCES;
    if (errno != EACCES || run->call.verify || e->broker == NULL || (!v->set && !run->user.found))
        return errno;
    struct agent_id who = { .uid = v->set ? v->uid : run->user.uid,
                            .gid = v->set ? v->gid : run->user.gid };
    return agent_file_exists(e, &who, path, &sys_errno) ? 0 : sys_errno;
}

/* "user" or "user,group"; false: no such one, and the condition fails. */
static bool set_viewer(struct route_run *run, const char *item, struct viewer *v)
{
    struct arena *a = run->ctx.arena;
    const char *comma = strchr(item, ',');
    const char *name = str_dup(a, str_trim((struct str){ item, comma == NULL ? strlen(item)
                                                                            : (size_t)(comma - item) }));
    struct route_user u;

    if (!route_find_user(&run->ctx, name, &u))
        return false;
    *v = (struct viewer){ .set = true, .uid = u.uid, .gid = u.found ? u.gid : (gid_t)-1 };
    return comma == NULL || route_find_group(&run->ctx, str_dup(a, str_trim(str_from(comma + 1))), &v->gid);
}

static enum route_check file_item(struct route_run *run, const char *item, const struct viewer *v)
{
    bool wanted = true, eacces_absent = false;
    const char *path = item;

    for (;; path = cstr_skip_space(path + 1)) {
        if (*path == '!')
            wanted = false;
        else if (*path == '+')
            eacces_absent = true;
        else
            break;
    }
    if (*path != '/') {
        route_result(&run->call, ROUTE_DEFER, ERR_NOTABSOLUTE, "4.3.5",
                     "require_files: \"%s\" is not absolute", path);
        return ROUTE_CHECK_DEFER;
    }
    int rc = look(run, path, v);
    if (rc == ENOTDIR || (rc == EACCES && eacces_absent))
        rc = ENOENT;
    if (rc == 0 || rc == ENOENT)
        return (rc == 0) == wanted ? ROUTE_CHECK_YES : ROUTE_CHECK_SKIP;
    route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.0", "require_files: error for %s: %s", path, strerror(rc));
    return ROUTE_CHECK_DEFER;
}

enum route_check route_check_files(struct route_run *run)
{
    const struct expr *e = run->call.addr->router->require_files;
    struct viewer v = { 0 };

    if (e == NULL)
        return ROUTE_CHECK_YES;
    struct list_iter it = list_begin(e->text, ':');
    for (const char *raw, *item; (raw = list_next(&it, run->ctx.arena)) != NULL;) {
        enum expand_rc rc = expand_text(&run->ctx, raw, &item);
        if (rc == EXPAND_FORCED || (rc == EXPAND_OK && item[0] == '\0'))
            continue;
        if (rc != EXPAND_OK) {
            route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                         "failed to expand \"%s\" for require_files: %s", raw, run->ctx.err.msg);
            return ROUTE_CHECK_DEFER;
        }
        if (strchr(item, '/') == NULL) {
            if (!set_viewer(run, item, &v))
                return ROUTE_CHECK_SKIP;
            continue;
        }
        enum route_check ok = file_item(run, item, &v);
        if (ok != ROUTE_CHECK_YES)
            return ok;
    }
    return ROUTE_CHECK_YES;
}
