/* hintsdb.h - hints: retry, wait-*, misc, ratelimit, callout, tls, seen.
 *
 * One driver behind it (default Berkeley DB, in Exim's record layouts so that Exim's tools read
 * them). A hint that cannot be read is as good as none. Keys are C strings, stored with their NUL as Exim
 * does. */
#ifndef EXIM_HINTSDB_H
#define EXIM_HINTSDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"

struct arena;
struct exim;
struct hints_db;

/* Opens <spool>/db/<name> with its lock (name.lockfile) held until close. write: create if missing.
 * NULL when it cannot be opened (err; errno ENOENT for a reader is normal). */
struct hints_db *hints_open(struct exim *e, const char *name, bool write, struct err *err);
void hints_close(struct hints_db *db);
bool hints_get(struct hints_db *db, struct arena *a, const char *key, struct str *value);
bool hints_put(struct hints_db *db, const char *key, const void *p, size_t n, struct err *err);
bool hints_delete(struct hints_db *db, const char *key);
/* Walks all records; fn returning false stops. */
void hints_scan(struct hints_db *db, struct arena *a, bool (*fn)(void *arg, const char *key, struct str value), void *arg);

/* Exim's records (layouts as in its db files; every record begins with the time stamp). */
struct hints_retry {
    time_t time_stamp, first_failed, last_try, next_try;
    bool expired;
    int basic_errno, more_errno;
    const char *text;
};
bool hints_retry_decode(struct arena *a, struct str raw, struct hints_retry *out);
struct str hints_retry_encode(struct arena *a, const struct hints_retry *r);
struct hints_wait { time_t time_stamp; int count, sequence; const char *const *ids; };
bool hints_wait_decode(struct arena *a, struct str raw, struct hints_wait *out);
struct str hints_wait_encode(struct arena *a, const struct hints_wait *w);
struct hints_callout { /* of a domain or of an address */
    time_t time_stamp; int result; int postmaster_result, random_result;
    time_t postmaster_stamp, random_stamp; bool domain; };
bool hints_callout_decode(struct str raw, bool domain, struct hints_callout *out);
struct str hints_callout_encode(struct arena *a, const struct hints_callout *c);
struct hints_ratelimit { time_t time_stamp; int time_usec; double rate;
    time_t bloom_epoch; unsigned bloom_size; const unsigned char *bloom; };
bool hints_ratelimit_decode(struct arena *a, struct str raw, bool unique, struct hints_ratelimit *out);
struct str hints_ratelimit_encode(struct arena *a, const struct hints_ratelimit *r, bool unique);

/* "misc": how many are at it (serialize_hosts, smtp_etrn_serialize, max_parallel). */
struct hints_serial { time_t time_stamp; int count; };
bool hints_serial_decode(struct str raw, struct hints_serial *out);
struct str hints_serial_encode(struct arena *a, const struct hints_serial *s);

struct hints_driver {
    const char *name;
    void *(*open)(const char *path, bool write, int mode, int *sys_errno);
    bool (*get)(void *db, struct arena *a, struct str key, struct str *value);
    bool (*put)(void *db, struct str key, struct str value);
    bool (*del)(void *db, struct str key);
    bool (*next)(void *db, struct arena *a, bool first, struct str *key, struct str *value);
    void (*close)(void *db);
};
extern const struct hints_driver hints_driver_bdb;

#endif
