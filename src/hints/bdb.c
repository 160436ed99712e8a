#include "hintsdb.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/berkeley.h"

struct bdb {
    struct arena *arena;
    DB *db;
    DBC *cursor;
};

/* What the library has to say goes to the caller as a value. */
static void silent(const DB_ENV *env, const char *prefix, const char *text)
{
    (void)env;
    (void)prefix;
    (void)text;
}

/* Hints need not survive a crash of the system: the library writes, but does not sync.
 * (Its DB_NOSYNC would throw the pages away.) */
static int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* Its codes are negative, those of the system positive. */
static int to_errno(int rc)
{
    return rc > 0 ? rc : EINVAL;
}

/* The library makes a database as "__db.<name>" and renames it. Where a crash left one, it would wait for
 * ever for somebody to finish it; whoever has the lock of the hints knows that nobody will. */
static void remove_unfinished(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    struct arena *a = arena_new("hints bdb");

    (void)unlink(arena_printf(a, "%.*s__db.%s", (int)(name - path), path, name));
    arena_destroy(&a);
}

static void *bdb_open(const char *path, bool write, int mode, int *sys_errno)
{
    DB *db;

    (void)berkeley()->db_env_set_func_fsync(no_fsync);
    int rc = berkeley()->db_create(&db, NULL, 0);

    if (rc != 0) {
        *sys_errno = to_errno(rc);
        return NULL;
    }
    db->set_errcall(db, silent);
    bool is_new = write && access(path, F_OK) < 0;
    if (is_new)
        remove_unfinished(path);
    rc = db->open(db, NULL, path, NULL, is_new ? DB_HASH : DB_UNKNOWN,
                  is_new  ? DB_CREATE
                  : write ? 0
                          : DB_RDONLY,
                  mode);
    if (rc != 0) {
        *sys_errno = to_errno(rc);
        (void)db->close(db, DB_NOSYNC);
        return NULL;
    }
    struct arena *a = arena_new("hints bdb");
    struct bdb *b = arena_new_obj(a, struct bdb);
    *b = (struct bdb){ .arena = a, .db = db };
    return b;
}

static DBT thing(struct str s)
{
    DBT t;

    memset(&t, 0, sizeof(t));
    t.data = unconst(s.p);
    t.size = (u_int32_t)s.len;
    return t;
}

static struct str copy(struct arena *a, const DBT *t)
{
    return (struct str){ arena_strndup(a, t->data, t->size), t->size };
}

static bool bdb_get(void *handle, struct arena *a, struct str key, struct str *value)
{
    struct bdb *b = handle;
    DBT k = thing(key), v = thing((struct str){ NULL, 0 });

    if (b->db->get(b->db, NULL, &k, &v, 0) != 0)
        return false;
    *value = copy(a, &v);
    return true;
}

static bool bdb_put(void *handle, struct str key, struct str value)
{
    struct bdb *b = handle;
    DBT k = thing(key), v = thing(value);

    return value.len <= UINT32_MAX && b->db->put(b->db, NULL, &k, &v, 0) == 0;
}

static bool bdb_del(void *handle, struct str key)
{
    struct bdb *b = handle;
    DBT k = thing(key);

    return b->db->del(b->db, NULL, &k, 0) == 0;
}

static bool bdb_next(void *handle, struct arena *a, bool first, struct str *key,
                     struct str *value)
{
    struct bdb *b = handle;
    DBT k = thing((struct str){ NULL, 0 }), v = k;

    if (first && b->cursor != NULL) {
        (void)b->cursor->close(b->cursor);
        b->cursor = NULL;
    }
    if (b->cursor == NULL && b->db->cursor(b->db, NULL, &b->cursor, 0) != 0)
        return false;
    if (b->cursor->get(b->cursor, &k, &v, first ? DB_FIRST : DB_NEXT) != 0)
        return false;
    *key = copy(a, &k);
    *value = copy(a, &v);
    return true;
}

static void bdb_close(void *handle)
{
    struct bdb *b = handle;
    struct arena *a = b->arena;

    if (b->cursor != NULL)
        (void)b->cursor->close(b->cursor);
    (void)b->db->close(b->db, 0);
    arena_destroy(&a);
}

const struct hints_driver hints_driver_bdb = {
    .name = "bdb",
    .open = bdb_open,
    .get = bdb_get,
    .put = bdb_put,
    .del = bdb_del,
    .next = bdb_next,
    .close = bdb_close,
};
