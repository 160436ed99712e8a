#include "lookups/lookups.h"

#include <dlfcn.h>
#include <string.h>

#include <sqlite3.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"

enum { RESULT_MAX = 16 * 1024 * 1024 };

/* The library is loaded by the first lookup: a process that does none pays nothing. */
struct library {
    __typeof__(sqlite3_open_v2) *open;
    __typeof__(sqlite3_close) *close;
    __typeof__(sqlite3_busy_timeout) *busy_timeout;
    __typeof__(sqlite3_prepare_v2) *prepare;
    __typeof__(sqlite3_step) *step;
    __typeof__(sqlite3_finalize) *finalize;
    __typeof__(sqlite3_column_count) *column_count;
    __typeof__(sqlite3_column_name) *column_name;
    __typeof__(sqlite3_column_text) *column_text;
    __typeof__(sqlite3_errmsg) *errmsg;
};

struct connection {
    const struct library *lib;
    sqlite3 *db;
};

#define SYMBOL(member, name)                                                             \
    ((l->member = (__typeof__(l->member))dlsym(so, name)) != NULL)

static const struct library *load(struct lookup_call *call)
{
    void **slot = search_slot(call->exim->search, "sqlite library");

    if (*slot != NULL)
        return *slot;
    void *so = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    struct library *l = arena_new_obj(call->exim->arena, struct library);
    if (so == NULL || !SYMBOL(open, "sqlite3_open_v2") ||
        !SYMBOL(close, "sqlite3_close") ||
        !SYMBOL(busy_timeout, "sqlite3_busy_timeout") ||
        !SYMBOL(prepare, "sqlite3_prepare_v2") || !SYMBOL(step, "sqlite3_step") ||
        !SYMBOL(finalize, "sqlite3_finalize") ||
        !SYMBOL(column_count, "sqlite3_column_count") ||
        !SYMBOL(column_name, "sqlite3_column_name") ||
        !SYMBOL(column_text, "sqlite3_column_text") ||
        !SYMBOL(errmsg, "sqlite3_errmsg")) {
        err_set(&call->err, call->arena, "failed to load the SQLite library: %s",
                dlerror());
        return NULL;
    }
    *slot = l;
    return l;
}

static void *open_db(struct lookup_call *call)
{
    const struct library *lib = load(call);
    sqlite3 *db = NULL;

    if (lib == NULL)
        return NULL;
    if (lib->open(call->filename, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                  NULL) != SQLITE_OK) {
        err_set(&call->err, call->arena, "failed to open SQLite file %s: %s",
                call->filename, lib->errmsg(db));
        (void)lib->close(db);
        return NULL;
    }
    long timeout =
        call->exim->config == NULL ? 5 : call->exim->config->main.sqlite_lock_timeout;
    (void)lib->busy_timeout(db, (int)timeout * 1000);
    struct connection *c = arena_new_obj(call->arena, struct connection);
    *c = (struct connection){ lib, db };
    return c;
}

static void close_db(void *handle)
{
    struct connection *c = handle;

    (void)c->lib->close(c->db);
}

/* As a value of "name=value": quoted when it is empty or has white space. */
static void add_quoted(struct buf *b, const char *value)
{
    if (*value != '\0' && value[strcspn(value, " \t\n\r\v\f")] == '\0') {
        buf_add_cstr(b, value);
        buf_add_char(b, ' ');
        return;
    }
    buf_add_char(b, '"');
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            buf_add_char(b, '\\');
        buf_add_char(b, *value);
    }
    buf_add_cstr(b, "\" ");
}

/* One column: the value; several: "name=value " each. */
static void add_row(struct connection *c, sqlite3_stmt *stmt, struct buf *b)
{
    int n = c->lib->column_count(stmt);

    if (b->len > 0)
        buf_add_char(b, '\n');
    for (int i = 0; i < n; i++) {
        const char *value = (const char *)c->lib->column_text(stmt, i);

        value = value == NULL ? "<NULL>" : value;
        if (n == 1) {
            buf_add_cstr(b, value);
        } else {
            buf_printf(b, "%s=", c->lib->column_name(stmt, i));
            add_quoted(b, value);
        }
    }
}

static enum rc failed(struct lookup_call *call)
{
    struct connection *c = call->handle;

    err_set(&call->err, call->arena, "sqlite error performing query: %s",
            c->lib->errmsg(c->db));
    return RC_DEFER;
}

static enum rc find(struct lookup_call *call)
{
    struct connection *c = call->handle;
    struct buf b = buf_init(call->arena, RESULT_MAX);
    const char *rest = call->key;
    bool select = false;
    size_t rows = 0;

    while (*cstr_skip_space(rest) != '\0') {
        sqlite3_stmt *stmt;
        int rc;

        if (c->lib->prepare(c->db, rest, -1, &stmt, &rest) != SQLITE_OK)
            return failed(call);
        if (stmt == NULL)
            break;
        select = c->lib->column_count(stmt) > 0;
        for (; (rc = c->lib->step(stmt)) == SQLITE_ROW; rows++)
            add_row(c, stmt, &b);
        (void)c->lib->finalize(stmt);
        if (rc != SQLITE_DONE)
            return failed(call);
    }
    call->nocache = !select; /* it changed something: the next answer may differ */
    if (rows == 0)
        return RC_FAIL;
    call->result = buf_cstr(&b);
    return RC_OK;
}

static char *quote(struct arena *a, const char *s, const char *opt)
{
    struct buf b = buf_init(a, RESULT_MAX);

    if (opt != NULL)
        return NULL;
    for (; *s != '\0'; s++) {
        if (*s == '\'')
            buf_add_char(&b, '\'');
        buf_add_char(&b, *s);
    }
    return buf_cstr(&b);
}

const struct lookup_driver lookup_sqlite = {
    .name = "sqlite",
    .flags = LOOKUP_QUERY | LOOKUP_ABSFILEQUERY,
    .open = open_db,
    .find = find,
    .close = close_db,
    .quote = quote,
};
