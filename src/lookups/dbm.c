#include "lookups/lookups.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/berkeley.h"
#include "base/buf.h"
#include "base/list.h"

enum { KEY_MAX = 64 * 1024 };

static void silent(const DB_ENV *env, const char *prefix, const char *text)
{
    (void)env;
    (void)prefix;
    (void)text;
}

static void *open_db(struct lookup_call *call)
{
    DB *db;
    int rc = berkeley()->db_create(&db, NULL, 0);

    if (rc == 0) {
        db->set_errcall(db, silent);
        rc = db->open(db, NULL, call->filename, NULL, DB_UNKNOWN, DB_RDONLY, 0);
        if (rc == 0)
            return db;
        (void)db->close(db, DB_NOSYNC);
    }
    err_sys(&call->err, call->arena, rc > 0 ? rc : EINVAL,
            "failed to open %s as a db (v4.1+) file", call->filename);
    return NULL;
}

static void close_db(void *handle)
{
    DB *db = handle;

    (void)db->close(db, DB_NOSYNC);
}

static enum rc find_key(struct lookup_call *call, struct str key)
{
    DB *db = call->handle;
    DBT k, v;

    memset(&k, 0, sizeof(k));
    memset(&v, 0, sizeof(v));
    k.data = unconst(key.p);
    k.size = (u_int32_t)key.len;
    int rc = db->get(db, NULL, &k, &v, 0);
    if (rc == DB_NOTFOUND)
        return RC_FAIL;
    if (rc != 0) {
        err_sys(&call->err, call->arena, rc > 0 ? rc : EINVAL, "failed to read %s",
                call->filename);
        return RC_DEFER;
    }
    /* Data may or may not end in a NUL. */
    call->result = arena_strndup(call->arena, v.data, strnlen(v.data, v.size));
    return RC_OK;
}

static enum rc find_dbm(struct lookup_call *call)
{
    return find_key(call, (struct str){ call->key, strlen(call->key) + 1 });
}

static enum rc find_dbmnz(struct lookup_call *call)
{
    return find_key(call, str_from(call->key));
}

/* The items of the key, with NULs between them. */
static enum rc find_dbmjz(struct lookup_call *call)
{
    struct list_iter it = list_begin(call->key, ':');
    struct buf b = buf_init(call->arena, KEY_MAX);
    bool first = true;

    for (const char *item; (item = list_next(&it, call->arena)) != NULL; first = false) {
        if (!first)
            buf_add_char(&b, '\0');
        buf_add_cstr(&b, item);
    }
    if (b.full || b.len == 0) {
        err_set(&call->err, call->arena, "dbmjz lookup key is %s",
                b.full ? "too long" : "empty");
        return b.full ? RC_DEFER : RC_FAIL;
    }
    return find_key(call, buf_view(&b));
}

const struct lookup_driver lookup_dbm = {
    .name = "dbm",
    .flags = LOOKUP_ABSFILE,
    .open = open_db,
    .find = find_dbm,
    .close = close_db,
};
const struct lookup_driver lookup_dbmjz = {
    .name = "dbmjz",
    .flags = LOOKUP_ABSFILE,
    .open = open_db,
    .find = find_dbmjz,
    .close = close_db,
};
const struct lookup_driver lookup_dbmnz = {
    .name = "dbmnz",
    .flags = LOOKUP_ABSFILE,
    .open = open_db,
    .find = find_dbmnz,
    .close = close_db,
};
