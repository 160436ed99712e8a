/* check_spool_space and its family: is there room for a message? */
#include <string.h>
#include <sys/statvfs.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "spool.h"

/* What was free a moment ago, for a process that is asked for every message. */
static bool free_space(const char *path, bool of_log, struct statvfs *v)
{
    enum { FRESH_MS = 500 };
    static struct {
        uint64_t path; /* hashed */
        int64_t until;
        struct statvfs v;
    } known[2];
    int64_t now = tod_monotonic_ms();
    uint64_t hashed = hash_bytes(path, strlen(path));

    if (now >= known[of_log].until || hashed != known[of_log].path) {
        if (statvfs(path, &known[of_log].v) < 0)
            return false;
        known[of_log].until = now + FRESH_MS;
        known[of_log].path = hashed;
    }
    *v = known[of_log].v;
    return true;
}

static bool has_room(const char *path, bool of_log, int64_t space, long inodes)
{
    struct statvfs v;

    if (space <= 0 && inodes <= 0)
        return true;
    if (!free_space(path, of_log, &v))
        return of_log; /* that directory need not be there yet */
    if (v.f_blocks > 0 && space > 0 && (int64_t)v.f_bavail < space / (int64_t)v.f_frsize)
        return false;
    return v.f_files == 0 || inodes <= 0 || (int64_t)v.f_favail >= inodes;
}

/* The directory of the first file in log_file_path, or the default one. */
static const char *log_directory(struct arena *a, const struct exim *e)
{
    const struct expr *x = e->config->main.log_file_path;
    const char *text = x == NULL ? NULL : x->constant;
    const char *from = text == NULL ? NULL : strchr(text, '/');

    if (from == NULL)
        return arena_printf(a, "%s/log", e->config->spool_directory);
    const char *path = arena_strndup(a, from, strcspn(from, ":%"));
    const char *slash = strrchr(path, '/');
    return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

enum spool_space spool_check_space(struct exim *e, int64_t size)
{
    const struct main_options *o = &e->config->main;
    int64_t want =
        o->check_spool_space > 0 ? o->check_spool_space + (size > 0 ? size : 0) : 0;
    struct arena *a = arena_new("space");
    bool ok = has_room(e->config->spool_directory, false, want, o->check_spool_inodes) &&
              has_room(log_directory(a, e), true, o->check_log_space, o->check_log_inodes);

    arena_destroy(&a);
    return ok ? SPOOL_SPACE_OK : SPOOL_SPACE_FULL;
}
