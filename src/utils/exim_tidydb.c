/* exim_tidydb - removes from a hints database what is too old or about messages that are
 * gone.
 *
 * Keys are collected first and removed afterwards: a walk does not survive changes. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/config.h"
#include "exim.h"
#include "hintsdb.h"

enum { DEFAULT_AGE = 30 * 24 * 60 * 60, ID_LENGTH = 16 };

struct doomed {
    struct doomed *next;
    const char *key;
    const char *why;
    struct str shorter; /* what to write instead; empty: remove */
};

struct tidy {
    struct arena *arena;
    const char *spool;
    time_t oldest;
    bool is_wait, is_retry;
    struct doomed *list;
};

static bool message_exists(struct tidy *t, const char *id)
{
    const char *flat = arena_printf(t->arena, "%s/input/%s-D", t->spool, id);
    const char *split = arena_printf(t->arena, "%s/input/%c/%s-D", t->spool, id[5], id);
    return access(flat, F_OK) == 0 || access(split, F_OK) == 0;
}

static bool looks_like_id(const char *s)
{
    if (strlen(s) != ID_LENGTH)
        return false;
    for (int i = 0; i < ID_LENGTH; i++)
        if (i == 6 || i == 13 ? s[i] != '-' : !isalnum((unsigned char)s[i]))
            return false;
    return true;
}

static void doom(struct tidy *t, const char *key, const char *why, struct str shorter)
{
    struct doomed *d = arena_new_obj(t->arena, struct doomed);
    *d = (struct doomed){ t->list, arena_strdup(t->arena, key), why, shorter };
    t->list = d;
}

static void check_wait(struct tidy *t, const char *key, struct str value)
{
    struct hints_wait w;

    if (!hints_wait_decode(t->arena, value, &w)) {
        doom(t, key, "unreadable", (struct str){ 0 });
        return;
    }
    const char **left = arena_new_array(t->arena, const char *, (size_t)w.count + 1);
    int n = 0;
    for (int i = 0; i < w.count; i++)
        if (looks_like_id(w.ids[i]) && message_exists(t, w.ids[i]))
            left[n++] = w.ids[i];
    if (n == w.count && n > 0)
        return;
    struct hints_wait shorter = w;
    shorter.count = n;
    shorter.ids = left;
    /* "host:0" holds what did not fit into "host": that one says how many there are. */
    if (n == 0 && w.sequence == 0)
        doom(t, key, "no messages left", (struct str){ 0 });
    else
        doom(t, key, "messages gone", hints_wait_encode(t->arena, &shorter));
}

static void check_retry(struct tidy *t, const char *key)
{
    const char *id = strrchr(key, ':');

    if (id != NULL && looks_like_id(id + 1) && !message_exists(t, id + 1))
        doom(t, key, "message gone", (struct str){ 0 });
}

static bool check(void *arg, const char *key, struct str value)
{
    struct tidy *t = arg;
    int64_t stamp;

    if (value.len < sizeof(stamp)) {
        doom(t, key, "unreadable", (struct str){ 0 });
        return true;
    }
    memcpy(&stamp, value.p, sizeof(stamp)); /* every record begins with it */
    if (stamp < t->oldest)
        doom(t, key, "too old", (struct str){ 0 });
    else if (t->is_wait)
        check_wait(t, key, value);
    else if (t->is_retry)
        check_retry(t, key);
    return true;
}

static bool apply(struct hints_db *db, const struct doomed *list, struct err *err)
{
    for (const struct doomed *d = list; d != NULL; d = d->next) {
        bool ok = true;
        if (d->shorter.len == 0)
            ok = hints_delete(db, d->key);
        else
            ok = hints_put(db, d->key, d->shorter.p, d->shorter.len, err);
        if (!ok) {
            fprintf(stderr, "exim_tidydb: %s: cannot be changed\n", d->key);
            return false;
        }
        printf("%s %s (%s)\n", d->shorter.len == 0 ? "deleted" : "shortened", d->key,
               d->why);
    }
    return true;
}

/* 3d12h: the units of Exim's time options. */
static bool read_age(const char *s, long *age)
{
    static const struct {
        char unit;
        long seconds;
    } units[] = {
        { 'w', 604800 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 },
    };

    *age = 0;
    while (isdigit((unsigned char)*s)) {
        char *end;
        errno = 0;
        long n = strtol(s, &end, 10), scale = 0;
        for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
            if (units[i].unit == *end)
                scale = units[i].seconds;
        if (scale == 0 || errno != 0 || __builtin_mul_overflow(n, scale, &n) ||
            __builtin_add_overflow(*age, n, age))
            return false;
        s = end + 1;
        if (*s == 0)
            return true;
    }
    return false;
}

static int usage(void)
{
    fprintf(stderr, "Usage: exim_tidydb [-t <time>] <spool-directory> <database>\n"
                    "  <time> is an age like 7d or 12h30m; default 30d\n");
    return EXIT_FAILURE;
}

static bool known(const char *name)
{
    return strcmp(name, "retry") == 0 || strcmp(name, "misc") == 0 ||
           strcmp(name, "callout") == 0 || strcmp(name, "ratelimit") == 0 ||
           strcmp(name, "tls") == 0 ||
           strncmp(name, "wait-", 5) == 0;
}

int main(int argc, char **argv)
{
    long age = DEFAULT_AGE;
    int opt;

    while ((opt = getopt(argc, argv, "t:")) != -1)
        if (opt != 't' || !read_age(optarg, &age))
            return usage();
    if (argc - optind != 2 || !known(argv[optind + 1]))
        return usage();
    const char *name = argv[optind + 1];
    struct tidy t = { .arena = arena_new("tidydb"),
                      .spool = argv[optind],
                      .oldest = time(NULL) - age,
                      .is_wait = strncmp(name, "wait-", 5) == 0,
                      .is_retry = strcmp(name, "retry") == 0 };
    struct config config = { .spool_directory = t.spool };
    struct exim exim = { .arena = t.arena, .config = &config };
    struct err err = { 0 };
    bool ok = false;
    /* As the open for writing would make a new database: */
    struct hints_db *db =
        access(arena_printf(t.arena, "%s/db/%s", t.spool, name), F_OK) == 0
            ? hints_open(&exim, name, true, &err)
            : NULL;
    if (db == NULL) {
        fprintf(stderr, "exim_tidydb: %s/db/%s: %s\n", t.spool, name,
                err.msg == NULL ? "no such database" : err.msg);
    } else {
        hints_scan(db, t.arena, check, &t);
        ok = apply(db, t.list, &err);
        hints_close(db);
    }
    arena_destroy(&t.arena);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
