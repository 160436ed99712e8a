#include "retry_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"

enum { LOOK_MS = 10 }; /* of one who delivers many messages in a row: how old its view may be */

struct retry_cache {
    struct arena *arena;
    const char *path;
    struct hash *records; /* key -> struct hints_retry */
    struct stat file;     /* as it was when read */
    bool settled;         /* the file was old enough to trust its time stamp */
    int64_t looked;       /* at the file; ms of the monotonic clock; 0: not, or it was changed by us since */
};

static bool unchanged(const struct retry_cache *c, const struct stat *st)
{
    return c->settled && c->file.st_ino == st->st_ino && c->file.st_dev == st->st_dev &&
           c->file.st_size == st->st_size && c->file.st_mtim.tv_sec == st->st_mtim.tv_sec &&
           c->file.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

static bool keep(void *arg, const char *key, struct str value)
{
    struct retry_cache *c = arg;
    struct hints_retry *r = arena_new_obj(c->arena, struct hints_retry);

    if (hints_retry_decode(c->arena, value, r))
        hash_put(c->records, arena_strdup(c->arena, key), r);
    return true;
}

static void fill(struct exim *e, struct retry_cache *c, const struct stat *st)
{
    struct err err = { 0 };
    struct hints_db *db = hints_open(e, "retry", false, &err);

    arena_destroy(&c->arena);
    c->arena = arena_new("retry cache");
    c->records = hash_new(c->arena, false);
    c->file = *st;
    /* A file changed this very second may change again without showing it. */
    c->settled = tod_now().tv_sec - st->st_mtim.tv_sec > 1;
    if (db == NULL)
        return;
    hints_scan(db, c->arena, keep, c);
    hints_close(db);
}

static struct retry_cache *new_cache(struct exim *e)
{
    struct retry_cache *c = arena_new_obj(e->arena, struct retry_cache);

    c->path = arena_printf(e->arena, "%s/db/retry", e->config->spool_directory);
    return c;
}

static int stat_file(const struct exim *e, struct stat *st)
{
    if (e->spool_fd != NULL)
        return fstatat(*e->spool_fd, "db/retry", st, 0);
    return stat(e->retry->path, st);
}

static bool is_recent(const struct exim *e, int64_t now)
{
    return e->spool_fd != NULL && e->retry->looked != 0 && now - e->retry->looked < LOOK_MS;
}

void retry_cache_refresh(struct exim *e)
{
    int64_t now = tod_monotonic_ms();
    struct stat st;

    if (e->retry == NULL)
        e->retry = new_cache(e);
    if (is_recent(e, now))
        return;
    e->retry->looked = now;
    if (stat_file(e, &st) != 0)
        e->retry->records = NULL;
    else if (e->retry->records == NULL || !unchanged(e->retry, &st))
        fill(e, e->retry, &st);
}

void retry_cache_changed(struct exim *e)
{
    if (e->retry != NULL)
        e->retry->looked = 0;
}

bool retry_cache_is_empty(struct exim *e)
{
    if (e->retry == NULL)
        retry_cache_refresh(e);
    return e->retry->records == NULL || hash_count(e->retry->records) == 0;
}

bool retry_cache_get(struct exim *e, const char *key, struct hints_retry *out)
{
    if (e->retry == NULL)
        retry_cache_refresh(e);
    const struct hints_retry *r = e->retry->records == NULL ? NULL : hash_find(e->retry->records, key);
    if (r == NULL || tod_now().tv_sec - r->time_stamp > e->config->main.retry_data_expire)
        return false;
    *out = *r;
    return true;
}
