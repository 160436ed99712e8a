/* exim_dumpdb - prints the records of one hints database.
 *
 * Only reads. What a record says is decided by the name of the database. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "exim.h"
#include "hintsdb.h"

struct dump {
    struct arena *arena;
    void (*print)(struct dump *d, const char *key, struct str value);
};

static const char *when(struct dump *d, time_t t)
{
    struct tm tm;
    char text[64];

    if (t == 0 || localtime_r(&t, &tm) == NULL ||
        strftime(text, sizeof(text), "%d-%b-%Y %H:%M:%S", &tm) == 0)
        return "none";
    return arena_strdup(d->arena, text);
}

static void broken(const char *key, struct str value)
{
    printf("%s: record of %zu bytes cannot be read\n", key, value.len);
}

static void print_retry(struct dump *d, const char *key, struct str value)
{
    struct hints_retry r;

    if (!hints_retry_decode(d->arena, value, &r)) {
        broken(key, value);
        return;
    }
    printf("  %s %d %d %s\n", key, r.basic_errno, r.more_errno, r.text);
    printf("%s  %s  %s %s\n", when(d, r.first_failed), when(d, r.last_try),
           when(d, r.next_try), r.expired ? "*" : "");
}

static void print_wait(struct dump *d, const char *key, struct str value)
{
    struct hints_wait w;

    if (!hints_wait_decode(d->arena, value, &w)) {
        broken(key, value);
        return;
    }
    printf("%s ", key);
    for (int i = 0; i < w.count; i++)
        printf("%s ", w.ids[i]);
    putchar('\n');
}

static void print_misc(struct dump *d, const char *key, struct str value)
{
    struct hints_serial s;

    if (hints_serial_decode(value, &s))
        printf("%s %s\n", when(d, s.time_stamp), key);
    else
        broken(key, value);
}

static const char *verdict(int result)
{
    static const char *const words[] = { "unknown", "accept", "reject",
                                         "reject MAIL FROM:<>" };
    return result >= 0 && result < 4 ? words[result] : "?";
}

static void print_callout(struct dump *d, const char *key, struct str value)
{
    struct hints_callout c;
    bool domain = strchr(key, '@') == NULL;

    if (!hints_callout_decode(value, domain, &c)) {
        broken(key, value);
        return;
    }
    printf("%s %s callout=%s", when(d, c.time_stamp), key, verdict(c.result));
    if (domain && c.postmaster_result != 0)
        printf(" postmaster=%s (%s)", verdict(c.postmaster_result),
               when(d, c.postmaster_stamp));
    if (domain && c.random_result != 0)
        printf(" random=%s (%s)", verdict(c.random_result), when(d, c.random_stamp));
    putchar('\n');
}

static void print_ratelimit(struct dump *d, const char *key, struct str value)
{
    struct hints_ratelimit r;
    bool unique = strstr(key, "/unique/") != NULL;

    if (!hints_ratelimit_decode(d->arena, value, unique, &r)) {
        broken(key, value);
        return;
    }
    printf("%s.%06d rate: %10.3f", when(d, r.time_stamp), r.time_usec, r.rate);
    if (unique)
        printf(" epoch: %s size: %u", when(d, r.bloom_epoch), r.bloom_size);
    printf(" key: %s\n", key);
}

/* What a session consists of is secret. */
static void print_tls(struct dump *d, const char *key, struct str value)
{
    time_t stamp;

    if (value.len < sizeof(stamp)) {
        broken(key, value);
        return;
    }
    memcpy(&stamp, value.p, sizeof(stamp));
    printf("%s %s session of %zu bytes\n", when(d, stamp), key, value.len);
}

static const struct {
    const char *name;
    bool prefix;
    void (*print)(struct dump *d, const char *key, struct str value);
} kinds[] = {
    { "retry", false, print_retry },         { "misc", false, print_misc },
    { "wait-", true, print_wait },           { "callout", false, print_callout },
    { "ratelimit", false, print_ratelimit }, { "tls", false, print_tls },
};

static bool print_one(void *arg, const char *key, struct str value)
{
    struct dump *d = arg;
    d->print(d, key, value);
    return true;
}

static int usage(void)
{
    fprintf(stderr,
            "Usage: exim_dumpdb <spool-directory> <database>\n"
            "  <database> is retry, misc, wait-<transport>, callout, ratelimit or tls\n");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct dump d = { 0 };

    if (argc != 3)
        return usage();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (kinds[i].prefix ? strncmp(argv[2], kinds[i].name, strlen(kinds[i].name)) == 0
                            : strcmp(argv[2], kinds[i].name) == 0)
            d.print = kinds[i].print;
    if (d.print == NULL)
        return usage();
    d.arena = arena_new("dumpdb");
    struct config config = { .spool_directory = argv[1] };
    struct exim exim = { .arena = d.arena, .config = &config };
    struct err err = { 0 };
    struct hints_db *db = hints_open(&exim, argv[2], false, &err);
    if (db == NULL) {
        fprintf(stderr, "exim_dumpdb: %s/db/%s: %s\n", argv[1], argv[2],
                err.sys_errno == ENOENT ? "no such database" : err.msg);
        arena_destroy(&d.arena);
        return EXIT_FAILURE;
    }
    hints_scan(db, d.arena, print_one, &d);
    hints_close(db);
    arena_destroy(&d.arena);
    return EXIT_SUCCESS;
}
