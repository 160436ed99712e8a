#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "deliver/agent.h"
#include "exim.h"
#include "expand.h"
#include "route_int.h"
#include "routers/redirect_int.h"

enum { FILE_MAX = MAX_FILTER_SIZE, IDS_MAX = 500 };

/* Another user's file is read by that user's agent; without a way to one (a session that verifies,
 * a server without root) it is read as we are. */
static bool needs_agent(const struct route_call *call, const struct redirect_reader *who)
{
    return who->set && call->ctx->exim->broker != NULL && !call->verify && who->uid != geteuid();
}

static bool id_among(const void *ids, size_t n, unsigned id)
{
    const uid_t *list = ids;

    for (size_t i = 0; i < n; i++)
        if (list[i] == id)
            return true;
    return false;
}

static bool is_permitted(struct arena *a, const struct agent_file_check *c, const struct stat *st, struct err *err)
{
    _Static_assert(sizeof(uid_t) == sizeof(gid_t), "ids are compared alike");
    unsigned long bad = (unsigned long)st->st_mode & 07777 & (unsigned long)c->modemask;

    if (!S_ISREG(st->st_mode))
        return err_set(err, a, "%s is not a regular file", c->path);
    if (bad != 0)
        return err_set(err, a, "bad mode (0%lo) for %s: 0%lo bit(s) unexpected", (unsigned long)st->st_mode,
                       c->path, bad);
    if (c->check_owner && !id_among(c->owners, c->owner_count, st->st_uid))
        return err_set(err, a, "bad owner for %s", c->path);
    if (c->check_group && !id_among(c->owngroups, c->owngroup_count, st->st_gid))
        return err_set(err, a, "bad group for %s", c->path);
    return true;
}

static bool read_here(struct arena *a, const struct agent_file_check *c, struct str *text, struct err *err)
{
    struct stat st;
    int fd = fd_open(c->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    bool ok = false;

    if (fd < 0)
        return err_sys(err, a, errno, "failed to open %s", c->path);
    if (fstat(fd, &st) != 0)
        err_sys(err, a, errno, "failed to stat %s", c->path);
    else if (is_permitted(a, c, &st, err)) {
        ok = fd_slurp(a, fd, FILE_MAX, text);
        if (!ok)
            err_sys(err, a, errno, "error while reading %s", c->path);
    }
    fd_close(fd);
    return ok;
}

static bool read_as(struct route_call *call, const struct redirect_reader *who, const struct agent_file_check *c,
                    struct str *text, struct err *err)
{
    struct arena *a = call->ctx->arena;
    const struct agent_id id = { .uid = who->uid, .gid = who->gid };

    return needs_agent(call, who) ? agent_read_file(call->ctx->exim, a, &id, c, text, err)
                                  : read_here(a, c, text, err);
}

static int stat_as(struct route_call *call, const struct redirect_reader *who, const char *path)
{
    const struct agent_id id = { .uid = who->uid, .gid = who->gid };
    struct stat st;
    int sys_errno = 0;

    if (!needs_agent(call, who))
        return stat(path, &st) == 0 ? 0 : errno;
    return agent_file_exists(call->ctx->exim, &id, path, &sys_errno) ? 0 : sys_errno;
}

/* The file is not there. Neither is its directory: a file system may not be mounted, try later. */
static enum route_rc is_absent(const struct redirect *r, struct route_call *call,
                               const struct redirect_reader *who, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (r->ignore_enotdir)
        return ROUTE_DECLINE;
    const char *dir = slash == path ? "/" : arena_strndup(call->ctx->arena, path, (size_t)(slash - path));
    int rc = stat_as(call, who, dir);
    if (rc == 0 || (rc == EACCES && r->ignore_eacces))
        return ROUTE_DECLINE;
    return route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.0", "failed to stat %s (directory of redirection file): %s",
                        dir, strerror(rc));
}

/* owners and owngroups: names or numbers; those unknown to the system are errors. */
static bool read_ids(struct route_call *call, const struct expr *e, bool users, uid_t *ids, size_t *n)
{
    struct arena *a = call->ctx->arena;
    const char *v;

    if (e == NULL)
        return true;
    if (expand(call->ctx, e, &v) != EXPAND_OK) {
        route_expand_failed(call, users ? "owners" : "owngroups", e->text);
        return false;
    }
    struct list_iter it = list_begin(v, ':');
    for (const char *item; (item = list_next(&it, a)) != NULL && *n < IDS_MAX;) {
        struct route_user u;
        gid_t gid = 0;
        bool ok = users ? route_find_user(call->ctx, item, &u) : route_find_group(call->ctx, item, &gid);
        if (!ok) {
            route_result(call, ROUTE_DEFER, ERR_BADUGID, "4.3.5", "unknown %s \"%s\" in %s router",
                         users ? "owner" : "owngroup", item, call->addr->router->name);
            return false;
        }
        ids[(*n)++] = users ? u.uid : gid;
    }
    return true;
}

enum route_rc redirect_read_file(const struct redirect *r, struct route_call *call,
                                 const struct redirect_reader *who, const char *path, const char **text)
{
    const struct route_user *u = &route_run_of(call)->user;
    uid_t owners[IDS_MAX + 1];
    gid_t groups[IDS_MAX + 1];
    struct agent_file_check c = { .path = path, .modemask = r->modemask, .check_owner = r->check_owner,
                                  .check_group = r->check_group, .owners = owners, .owngroups = groups };
    struct err err = { 0 };
    struct str s;

    if (path[0] != '/')
        return route_result(call, ROUTE_DEFER, ERR_NOTABSOLUTE, "4.3.5", "\"%s\" is not an absolute path", path);
    if (!read_ids(call, r->owners, true, owners, &c.owner_count) ||
        !read_ids(call, r->owngroups, false, groups, &c.owngroup_count))
        return ROUTE_DEFER;
    if (u->found) {
        owners[c.owner_count++] = u->uid;
        groups[c.owngroup_count++] = u->gid;
    }
    if (read_as(call, who, &c, &s, &err)) {
        *text = str_dup(call->ctx->arena, s);
        return ROUTE_OK;
    }
    if (err.sys_errno == ENOENT)
        return is_absent(r, call, who, path);
    if ((err.sys_errno == ENOTDIR && r->ignore_enotdir) || (err.sys_errno == EACCES && r->ignore_eacces))
        return ROUTE_DECLINE;
    return route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.0", "%s", err.msg);
}

const char *redirect_read_include(struct route_call *call, const struct redirect_reader *who, const char *path,
                                  const char **why)
{
    const struct agent_file_check c = { .path = path };
    struct err err = { 0 };
    struct str s;

    if (read_as(call, who, &c, &s, &err))
        return str_dup(call->ctx->arena, s);
    *why = err.sys_errno != 0 ? arena_printf(call->ctx->arena, "failed to open included file %s: %s", path,
                                             strerror(err.sys_errno))
                              : err.msg;
    return NULL;
}
