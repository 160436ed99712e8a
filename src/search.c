#include "search.h"

#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024, ANSWERS_MAX = 20000, OPEN_DEFAULT = 25 };

/* What one key of one file gave. */
struct answer {
    const char *data; /* NULL: not there */
};

/* A file of a single-key lookup, or the one "file" of a query-style type. */
struct source {
    struct source *newer, *older; /* among the open ones */
    const struct lookup_driver *driver;
    const char *filename;
    void *handle;
    bool open;
    int busy; /* lookups in progress: a wild key may hold a lookup itself */
    struct hash *answers;
};

/* Everything but the slots lives in `round`, which search_tidy ends. */
struct search {
    struct exim *exim;
    struct arena *round;
    struct hash *sources; /* "driver filename" -> struct source */
    struct source *newest, *oldest;
    long open_count;
    int active;
    struct hash *slots; /* driver -> void ** */
};

static void tidy_at_end(void *s)
{
    search_tidy(s);
}

struct search *search_new(struct exim *exim)
{
    struct search *s = arena_new_obj(exim->arena, struct search);

    s->exim = exim;
    arena_on_destroy(exim->arena, tidy_at_end, s);
    s->slots = hash_new(exim->arena, false);
    return s;
}

void **search_slot(struct search *s, const char *driver)
{
    void **slot = hash_find(s->slots, driver);

    if (slot == NULL) {
        slot = arena_new_obj(s->exim->arena, void *);
        hash_put(s->slots, driver, slot);
    }
    return slot;
}

/* ---- open files ---- */

static void unlink_source(struct search *s, struct source *f)
{
    *(f->newer != NULL ? &f->newer->older : &s->newest) = f->older;
    *(f->older != NULL ? &f->older->newer : &s->oldest) = f->newer;
    f->newer = f->older = NULL;
}

static void put_newest(struct search *s, struct source *f)
{
    f->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = f;
    s->newest = f;
}

static void close_source(struct search *s, struct source *f)
{
    unlink_source(s, f);
    s->open_count--;
    f->open = false;
    if (f->driver->close != NULL)
        f->driver->close(f->handle);
    f->handle = NULL;
}

void search_tidy(struct search *s)
{
    if (s->round == NULL)
        return;
    while (s->newest != NULL)
        close_source(s, s->newest);
    size_t n;
    const struct lookup_driver *const *all = lookup_drivers(&n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->tidy != NULL)
            all[i]->tidy(s->exim);
    arena_destroy(&s->round);
    s->sources = NULL;
}

static struct source *source_for(struct search *s, const struct lookup_driver *driver,
                                 const char *filename)
{
    if (s->round == NULL) {
        s->round = arena_new("lookups");
        s->sources = hash_new(s->round, false);
    }
    const char *key = arena_printf(s->round, "%s %s", driver->name, filename);
    struct source *f = hash_find(s->sources, key);

    if (f == NULL) {
        f = arena_new_obj(s->round, struct source);
        f->driver = driver;
        f->filename = arena_strdup(s->round, filename);
        f->answers = hash_new(s->round, false);
        hash_put(s->sources, key, f);
    }
    return f;
}

static long open_max(const struct search *s)
{
    const struct config *c = s->exim->config;

    return c != NULL && c->main.lookup_open_max > 0 ? c->main.lookup_open_max
                                                    : OPEN_DEFAULT;
}

static bool ensure_open(struct search *s, struct source *f, struct lookup_call *call)
{
    if (f->open) {
        unlink_source(s, f);
        put_newest(s, f);
        return true;
    }
    for (struct source *old = s->oldest; old != NULL && s->open_count >= open_max(s);) {
        struct source *newer = old->newer;

        if (old->busy == 0 && (old->driver->flags & LOOKUP_QUERY) == 0)
            close_source(s, old);
        old = newer;
    }
    f->handle = f->driver->open != NULL ? f->driver->open(call) : NULL;
    if (f->handle == NULL && f->driver->open != NULL)
        return false;
    f->open = true;
    s->open_count++;
    put_newest(s, f);
    return true;
}

/* ---- types ---- */

static bool parse_partial(struct arena *a, const char **text, struct search_type *t)
{
    const char *p = *text;

    t->partial = -1;
    t->affix = "*.";
    if (!cstr_starts(p, "partial"))
        return true;
    t->partial = 2;
    p += 7;
    if (is_digit(*p))
        for (t->partial = 0; is_digit(*p) && t->partial < 1000; p++)
            t->partial = t->partial * 10 + (*p - '0');
    if (*p == '(') {
        const char *end = strchr(p, ')');

        if (end == NULL)
            return false;
        for (const char *q = p + 1; q < end; q++)
            if (!is_punct(*q))
                return false;
        t->affix = arena_strndup(a, p + 1, (size_t)(end - p - 1));
        p = end;
    } else if (*p != '-') {
        return false;
    }
    *text = p + 1;
    return true;
}

static void parse_star(char *name, struct search_type *t)
{
    size_t len = strlen(name);

    t->star = STAR_NONE;
    if (len > 2 && cstr_ends(name, "*@")) {
        t->star = STAR_AT;
        name[len - 2] = '\0';
    } else if (len > 1 && cstr_ends(name, "*")) {
        t->star = STAR_PLAIN;
        name[len - 1] = '\0';
    }
}

bool search_type_parse(struct arena *a, const char *text, struct search_type *out,
                       struct err *err)
{
    struct search_type t = { 0 };
    const char *p = text;

    if (!parse_partial(a, &p, &t))
        return err_set(err, a, "format error in lookup type \"%s\"", text);
    const char *comma = strchr(p, ',');
    char *name =
        comma == NULL ? arena_strdup(a, p) : arena_strndup(a, p, (size_t)(comma - p));
    if (comma != NULL)
        t.options = arena_strdup(a, comma + 1);
    parse_star(name, &t);
    t.driver = lookup_driver_find(name);
    if (t.driver == NULL)
        return err_set(err, a, "unknown lookup type \"%s\"", name);
    if ((t.driver->flags & LOOKUP_QUERY) != 0) {
        if (t.partial >= 0)
            return err_set(err, a, "\"partial\" is not permitted for lookup type \"%s\"",
                           name);
        if (t.star != STAR_NONE)
            return err_set(
                err, a,
                "defaults using \"*\" or \"*@\" are not permitted for lookup type \"%s\"",
                name);
    }
    *out = t;
    return true;
}

/* ---- one key ---- */

static bool has_option(const char *options, const char *want)
{
    size_t len = strlen(want);

    for (const char *p = options; p != NULL && *p != '\0'; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, want, len) == 0 && (p[len] == '\0' || p[len] == ','))
            return true;
    }
    return false;
}

/* The value of "name=value" among options; NULL: not there. */
static const char *option_value(struct arena *a, const char *options, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = options; p != NULL && *p != '\0'; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, name, len) == 0)
            return arena_strndup(a, p + len, strcspn(p + len, ","));
    }
    return NULL;
}

struct request {
    struct search *search;
    struct expand_ctx *ctx;
    const struct search_type *type;
    const char *filename;
    const char *result;
};

static enum rc give(struct request *r, const char *key, const char *data)
{
    if (data == NULL)
        return RC_FAIL;
    if (has_option(r->type->options, "ret=key"))
        data = key;
    r->result = arena_strdup(r->ctx->arena, data);
    return RC_OK;
}

static enum rc ask_driver(struct request *r, struct source *f, const char *key,
                          const char *cache_key)
{
    struct search *s = r->search;
    struct lookup_call call = { .exim = s->exim,
                                .arena = s->round,
                                .filename = f->filename,
                                .key = key,
                                .options = r->type->options,
                                .ctx = r->ctx };
    enum rc rc = RC_DEFER;

    if (ensure_open(s, f, &call)) {
        call.handle = f->handle;
        f->busy++;
        rc = f->driver->find(&call);
        f->busy--;
    }
    DEBUG(D_LOOKUP)
    debug_printf("%s lookup of \"%s\"%s%s: %s\n", f->driver->name, key,
                 *f->filename != '\0' ? " in " : "", f->filename,
                 rc == RC_OK     ? call.result
                 : rc == RC_FAIL ? "not found"
                                 : "deferred");
    if (rc != RC_OK && rc != RC_FAIL) {
        const char *why = call.err.msg == NULL ? "lookup failed" : call.err.msg;

        r->ctx->err =
            (struct err){ arena_strdup(r->ctx->arena, why), call.err.sys_errno };
        return RC_DEFER;
    }
    if (!call.nocache && hash_count(f->answers) < ANSWERS_MAX) {
        struct answer *ans = arena_new_obj(s->round, struct answer);

        ans->data = rc == RC_OK ? call.result : NULL;
        hash_put(f->answers, arena_strdup(s->round, cache_key), ans);
    }
    return give(r, key, rc == RC_OK ? call.result : NULL);
}

static enum rc find_one(struct request *r, const char *key)
{
    const char *options = r->type->options;
    struct source *f = source_for(r->search, r->type->driver, r->filename);
    const char *cache_key =
        options == NULL ? key : arena_printf(r->ctx->arena, "%s\n%s", key, options);

    if (!has_option(options, "cache=no_rd")) {
        const struct answer *ans = hash_find(f->answers, cache_key);

        if (ans != NULL)
            return give(r, key, ans->data);
    }
    return ask_driver(r, f, key, cache_key);
}

/* ---- partial matching and defaults (manual 9.6, 9.7) ---- */

static int components(const char *key)
{
    int n = *key != '\0';

    for (; *key != '\0'; key++)
        n += *key == '.';
    return n;
}

static void capture(const char *captured[2], const char *wild, const char *fixed)
{
    if (captured != NULL) {
        captured[0] = wild;
        captured[1] = fixed;
    }
}

/* What partial0 looks up when nothing of the key is left; NULL: nothing. */
static const char *bare_affix(struct arena *a, const char *affix)
{
    size_t len = strlen(affix);

    if (len == 0)
        return NULL;
    if (len > 1 && affix[len - 1] == '.')
        len--;
    return arena_strndup(a, affix, len);
}

static enum rc find_partial(struct request *r, const char *key, const char *captured[2])
{
    struct arena *a = r->ctx->arena;
    const char *affix = r->type->affix;
    enum rc rc = find_one(r, key);

    capture(captured, "", key);
    if (rc != RC_FAIL)
        return rc;
    if (*affix != '\0') {
        rc = find_one(r, arena_printf(a, "%s%s", affix, key));
        if (rc != RC_FAIL)
            return rc;
    }
    int left = components(key);
    for (const char *rest = strchr(key, '.'); rest != NULL && --left >= r->type->partial;
         rest = strchr(rest, '.')) {
        const char *wild = arena_strndup(a, key, (size_t)(rest - key));

        rest++;
        rc = find_one(r, arena_printf(a, "%s%s", affix, rest));
        capture(captured, wild, rest);
        if (rc != RC_FAIL)
            return rc;
    }
    const char *last = r->type->partial == 0 ? bare_affix(a, affix) : NULL;
    if (last == NULL)
        return RC_FAIL;
    capture(captured, key, "");
    return find_one(r, last);
}

static enum rc find_default(struct request *r, const char *key, const char *captured[2])
{
    struct arena *a = r->ctx->arena;
    const char *at = strrchr(key, '@');

    if (r->type->star == STAR_AT && at != NULL && at != key) {
        enum rc rc = find_one(r, arena_printf(a, "*%s", at));

        capture(captured, arena_strndup(a, key, (size_t)(at - key)), "");
        if (rc != RC_FAIL)
            return rc;
    }
    capture(captured, key, "");
    return find_one(r, "*");
}

/* A query of a type such as sqlite begins with a file name: *query is put after it. */
static const char *query_file(struct arena *a, const char **query)
{
    const char *p = cstr_skip_space(*query);
    size_t len = 0;

    if (*p != '/')
        return NULL;
    while (p[len] != '\0' && !is_space(p[len]))
        len++;
    *query = cstr_skip_space(p + len);
    return arena_strndup(a, p, len);
}

static enum rc find_query(struct request *r, const char *query)
{
    if ((r->type->driver->flags & LOOKUP_ABSFILEQUERY) != 0 && *r->filename == '\0') {
        const char *file = option_value(r->ctx->arena, r->type->options, "file=");

        r->filename = file != NULL ? file : query_file(r->ctx->arena, &query);
        if (r->filename == NULL) {
            err_set(&r->ctx->err, r->ctx->arena,
                    "absolute file name expected for \"%s\" lookup",
                    r->type->driver->name);
            return RC_DEFER;
        }
    }
    return find_one(r, query);
}

/* Answers are kept for the caller's round; one that never ends must not keep them for
 * ever. */
static void bound_memory(struct search *s)
{
    if (s->active == 0 && s->round != NULL && arena_size(s->round) > ANSWER_BYTES_MAX)
        search_tidy(s);
}

static enum rc find_key(struct request *r, const char *key, const char *captured[2])
{
    const struct search_type *type = r->type;
    enum rc rc = RC_FAIL;

    if ((type->driver->flags & LOOKUP_QUERY) != 0)
        return find_query(r, key);
    if ((type->driver->flags & LOOKUP_ABSFILE) != 0 && *r->filename != '/') {
        err_set(&r->ctx->err, r->ctx->arena, "\"%s\" is not an absolute file name",
                r->filename);
        return RC_DEFER;
    }
    if (*key != '\0')
        rc = type->partial >= 0 ? find_partial(r, key, captured) : find_one(r, key);
    if (rc == RC_FAIL && type->star != STAR_NONE)
        rc = find_default(r, key, captured);
    return rc;
}

enum rc search_find(struct expand_ctx *ctx, const struct search_type *type,
                    const char *filename, const char *key, const char **result,
                    const char *captured[2])
{
    struct request r = { .search = ctx->exim->search,
                         .ctx = ctx,
                         .type = type,
                         .filename = filename == NULL ? "" : filename };

    capture(captured, NULL, NULL);
    if ((ctx->forbid & FORBID_LOOKUP) != 0) {
        err_set(&ctx->err, ctx->arena, "lookup expansions are not permitted");
        return RC_DEFER;
    }
    bound_memory(r.search);
    r.search->active++;
    enum rc rc = find_key(&r, key, captured);
    r.search->active--;
    if (rc == RC_OK)
        *result = r.result;
    return rc;
}
