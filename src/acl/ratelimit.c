#include "acl/acl_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/libs.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "address.h"
#include "exim.h"
#include "hintsdb.h"
#include "message.h"
#include "session.h"

/* The set of unique events is a Bloom filter as Exim keeps it, so that both can use one
 * database: eight bits a key, two bytes for each event of the limit. */
enum {
    BLOOM_HASHES = 8,
    BLOOM_MIN = 40,
    BLOOM_PER_EVENT = 2,
    BLOOM_MAX = 4 * 1024 * 1024
};

enum per { PER_DEFAULT, PER_CONN, PER_MAIL, PER_BYTE, PER_RCPT, PER_ADDR, PER_CMD };
enum mode { MODE_DEFAULT, MODE_LEAKY, MODE_STRICT, MODE_READONLY };

struct rule {
    const char *limit_text, *period_text;
    double limit, count;
    long period;
    enum per per;
    enum mode mode;
    bool count_given;
    const char *unique; /* NULL: every event counts */
    const char *key;    /* NULL: the client's address */
};

/* ---- arguments ---- */

/* A number that is not negative, maybe with K, M or G. */
static bool parse_number(const char *s, double *out)
{
    char *end;

    if (!is_digit(*s) && *s != '.')
        return false;
    double v = strtod(s, &end);
    char unit = to_upper(*end);
    if (unit == 'K' || unit == 'M' || unit == 'G') {
        v *= unit == 'K' ? 1024.0 : unit == 'M' ? 1048576.0 : 1073741824.0;
        end++;
    }
    *out = v;
    return *end == '\0' && isfinite(v);
}

static bool bad(struct arena *a, struct err *err, const char *what, const char *why)
{
    return err_set(err, a, "error in arguments to \"ratelimit\" condition: %s%s", what,
                   why);
}

static bool set_per(struct arena *a, struct rule *r, enum per per, struct err *err)
{
    if (r->per != PER_DEFAULT)
        return bad(a, err, "conflicting per_* options", "");
    r->per = per;
    return true;
}

static bool set_mode(struct arena *a, struct rule *r, enum mode mode, struct err *err)
{
    if (r->mode != MODE_DEFAULT)
        return bad(a, err, "conflicting update modes", "");
    r->mode = mode;
    return true;
}

/* clang-format off */
static const struct { const char *name; enum per per; enum mode mode; } options[] = {
    { "leaky", PER_DEFAULT, MODE_LEAKY },       { "noupdate", PER_DEFAULT, MODE_READONLY },
    { "per_addr", PER_ADDR, MODE_DEFAULT },     { "per_byte", PER_BYTE, MODE_DEFAULT },
    { "per_cmd", PER_CMD, MODE_DEFAULT },       { "per_conn", PER_CONN, MODE_DEFAULT },
    { "per_mail", PER_MAIL, MODE_DEFAULT },     { "per_rcpt", PER_RCPT, MODE_DEFAULT },
    { "readonly", PER_DEFAULT, MODE_READONLY }, { "strict", PER_DEFAULT, MODE_STRICT },
};
/* clang-format on */

static bool parse_option(struct arena *a, struct rule *r, const char *s, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (cstr_ieq(s, options[i].name))
            return options[i].per != PER_DEFAULT ? set_per(a, r, options[i].per, err)
                                                 : set_mode(a, r, options[i].mode, err);
    if (cstr_istarts(s, "count=")) {
        r->count_given = true;
        return parse_number(s + strlen("count="), &r->count) ||
               bad(a, err, arena_printf(a, "\"%s\"", s), " is not a positive number");
    }
    if (cstr_istarts(s, "unique="))
        r->unique = s + strlen("unique=");
    else if (r->key == NULL)
        r->key = s;
    else
        r->key = arena_printf(a, "%s/%s", r->key, s);
    return true;
}

static bool parse(struct arena *a, const char *text, struct rule *r, struct err *err)
{
    struct list_iter it = list_begin(text, '/');
    const char *item;

    *r = (struct rule){ .count = 1.0 };
    r->limit_text = list_next(&it, a);
    if (r->limit_text == NULL)
        return bad(a, err, "sender rate limit not set", "");
    if (!parse_number(r->limit_text, &r->limit))
        return bad(a, err, arena_printf(a, "\"%s\"", r->limit_text),
                   " is not a positive number");
    r->period_text = list_next(&it, a);
    r->period = r->period_text == NULL ? -1 : tod_interval_parse(r->period_text);
    if (r->period <= 0)
        return bad(
            a, err,
            arena_printf(a, "\"%s\"", r->period_text == NULL ? "NULL" : r->period_text),
            " is not a time value");
    while ((item = list_next(&it, a)) != NULL)
        if (!parse_option(a, r, item, err))
            return false;
    if (r->per == PER_DEFAULT)
        r->per = PER_MAIL;
    return true;
}

bool acl_ratelimit_check(struct arena *a, const char *arg, struct err *err)
{
    struct rule r;

    return parse(a, arg, &r, err);
}

/* ---- where what can be measured ---- */

#define PER_MESSAGE (AT_MESSAGE | AT(PRDR) | AT(NOTSMTP))

static const struct {
    const char *name; /* in the key */
    unsigned where;
} measures[] = {
    [PER_CONN] = { "per_conn", ~AT_NONSMTP },
    [PER_MAIL] = { "per_mail", PER_MESSAGE },
    [PER_BYTE] = { "per_mail", PER_MESSAGE },
    [PER_RCPT] = { "per_rcpt", AT(RCPT) | AT(PREDATA) | AT(MIME) | AT(DATA) | AT(PRDR) },
    [PER_ADDR] = { "per_rcpt", AT(RCPT) },
    [PER_CMD] = { "per_cmd", ~0u },
};

static bool settle_mode(struct acl_run *r, struct rule *rule, struct err *err)
{
    if ((measures[rule->per].where & (1u << r->where)) != 0) {
        if (rule->mode == MODE_DEFAULT)
            rule->mode = MODE_LEAKY;
        return true;
    }
    if (rule->mode == MODE_DEFAULT)
        rule->mode = MODE_READONLY;
    if (rule->mode == MODE_READONLY)
        return true;
    return bad(r->ctx->arena, err,
               arena_printf(r->ctx->arena, "\"%s\"", measures[rule->per].name),
               arena_printf(
                   r->ctx->arena,
                   " must not have /leaky or /strict option, or cannot be used in %s ACL",
                   acl_where_name(r->where)));
}

static void settle_count(struct acl_run *r, struct rule *rule)
{
    const struct message *m = r->ctx->message;
    const struct address *addr = r->ctx->addr;

    if (rule->per == PER_ADDR && rule->unique == NULL)
        rule->unique = addr == NULL || addr->address == NULL ? "" : addr->address;
    if (rule->count_given || m == NULL)
        return;
    if (rule->per == PER_BYTE)
        rule->count = m->message_size > 0 ? (double)m->message_size : 0.0;
    else if (rule->per == PER_RCPT && r->where != ACL_WHERE_RCPT)
        rule->count = (double)m->recipient_count;
}

static const char *database_key(struct acl_run *r, const struct rule *rule)
{
    const struct session *s = r->ctx->session;
    const char *key = rule->key;

    if (key == NULL)
        key = s != NULL && s->host_address != NULL ? s->host_address : "";
    return arena_printf(r->ctx->arena, "%s/%s/%s%s", rule->period_text,
                        measures[rule->per].name, rule->unique != NULL ? "unique/" : "",
                        key);
}

/* ---- unique events ---- */

static unsigned bloom_size(double limit)
{
    double bytes = floor(limit) * BLOOM_PER_EVENT;

    return bytes < BLOOM_MIN   ? BLOOM_MIN
           : bytes > BLOOM_MAX ? BLOOM_MAX
                               : (unsigned)bytes;
}

static uint32_t little_endian(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* Sets the bits of key in a copy of the filter; *seen: all were set. */
static unsigned char *bloom_add(struct arena *a, const unsigned char *bloom,
                                unsigned size, const char *key, bool *seen)
{
    unsigned char md5[DIGEST_MAX];
    unsigned char *copy = (unsigned char *)arena_strndup(a, (const char *)bloom, size);

    *seen = false;
    if (digest("md5", str_from(key), md5) < 8)
        return copy;
    uint32_t bit = little_endian(md5), step = little_endian(md5 + 4);
    *seen = true;
    for (int i = 0; i < BLOOM_HASHES; i++, bit += step) {
        unsigned char mask = (unsigned char)(1u << (bit % 8));
        unsigned char *byte = &copy[(bit / 8) % size];

        *seen &= (*byte & mask) != 0;
        *byte |= mask;
    }
    return copy;
}

static void fresh_bloom(struct arena *a, struct hints_ratelimit *rec,
                        const struct rule *rule, time_t now)
{
    unsigned size = bloom_size(rule->limit);

    rec->bloom_epoch = now;
    rec->bloom_size = size;
    rec->bloom = arena_alloc(a, size, 1);
}

/* False: this event was counted before. */
static bool is_new_event(struct arena *a, struct hints_ratelimit *rec,
                         const struct rule *rule, time_t now)
{
    bool seen;

    if (rec->bloom == NULL || rec->bloom_size < bloom_size(rule->limit) ||
        rec->bloom_epoch + rule->period < now || rec->bloom_epoch > now)
        fresh_bloom(a, rec, rule, now);
    rec->bloom = bloom_add(a, rec->bloom, rec->bloom_size, rule->unique, &seen);
    return !seen;
}

/* ---- the rate ---- */

/* Exponentially smoothed: what was there fades with the period, what is new is spread
 * over the interval since the last event. */
static double smooth(double old, double count, double interval, double period)
{
    double i = interval / period;

    if (i < 1e-9)
        i = 1e-9;
    double fade = libs_exp(-i);
    return (1.0 - fade) / i * count + fade * old;
}

static bool read_record(struct hints_db *db, struct arena *a, const char *key,
                        bool unique, struct hints_ratelimit *rec)
{
    struct str raw;

    return hints_get(db, a, key, &raw) && hints_ratelimit_decode(a, raw, unique, rec);
}

static double measure(struct acl_run *r, const struct rule *rule, const char *key,
                      struct hints_db *db)
{
    struct arena *a = r->ctx->arena;
    struct timespec now = tod_now();
    struct hints_ratelimit rec = { 0 };
    bool readonly = rule->mode == MODE_READONLY, unique = rule->unique != NULL;
    bool known = read_record(db, a, key, unique, &rec);
    double count = readonly ? 0.0 : rule->count;

    if (!readonly && unique && !is_new_event(a, &rec, rule, now.tv_sec))
        count = 0.0;
    double interval = (double)(now.tv_sec - rec.time_stamp) +
                      (double)(now.tv_nsec / 1000 - rec.time_usec) / 1e6;
    rec.rate =
        known ? smooth(rec.rate, count, interval < 0 ? 0 : interval, (double)rule->period)
              : count;
    rec.time_stamp = now.tv_sec;
    rec.time_usec = (int)(now.tv_nsec / 1000);
    if (!readonly && (rule->mode == MODE_STRICT || rec.rate < rule->limit)) {
        struct str raw = hints_ratelimit_encode(a, &rec, unique);

        (void)hints_put(db, key, raw.p, raw.len, NULL);
    }
    return rec.rate;
}

/* ---- once a connection, message or command ---- */

static struct hash **memory_of(struct acl_run *r, enum per per, struct arena **a)
{
    struct expand_ctx *ctx = r->ctx;

    if (per == PER_CONN && ctx->session != NULL) {
        *a = ctx->session->arena;
        return &ctx->session->ratelimit_conn;
    }
    if (ctx->message != NULL && (per == PER_MAIL || per == PER_BYTE ||
                                 (per == PER_RCPT && r->where != ACL_WHERE_RCPT))) {
        *a = ctx->message->arena;
        return &ctx->message->ratelimit;
    }
    *a = ctx->arena;
    return &ctx->ratelimit_cmd;
}

static bool recall(struct hash *memory, const char *key, double *rate)
{
    const double *known = memory == NULL ? NULL : hash_find(memory, key);

    if (known != NULL)
        *rate = *known;
    return known != NULL;
}

static void remember(struct arena *a, struct hash **memory, const char *key, double rate)
{
    double *kept = arena_new_obj(a, double);

    *kept = rate;
    if (*memory == NULL)
        *memory = hash_new(a, false);
    hash_put(*memory, arena_strdup(a, key), kept);
}

/* False: no database; *rate is 0 if that only means that nothing was ever measured. */
static bool find_rate(struct acl_run *r, const struct rule *rule, double *rate)
{
    bool readonly = rule->mode == MODE_READONLY;
    const char *key = database_key(r, rule);
    struct arena *a;
    struct hash **memory = memory_of(r, rule->per, &a);
    struct err err = { 0 };

    if (!readonly && recall(*memory, key, rate))
        return true;
    struct hints_db *db = hints_open(r->ctx->exim, "ratelimit", !readonly, &err);
    if (db == NULL) {
        *rate = 0.0;
        return readonly;
    }
    *rate = measure(r, rule, key, db);
    hints_close(db);
    if (!readonly)
        remember(a, memory, key, *rate);
    return true;
}

static void set_variables(struct acl_run *r, const struct rule *rule, double rate)
{
    struct expand_ctx *ctx = r->ctx;
    struct arena *a = ctx->session != NULL ? ctx->session->arena : ctx->arena;

    ctx->sender_rate_set = true;
    ctx->sender_rate = arena_printf(a, "%.1f", rate);
    ctx->sender_rate_limit = arena_strdup(a, rule->limit_text);
    ctx->sender_rate_period = arena_strdup(a, rule->period_text);
    if (ctx->session != NULL) {
        ctx->session->sender_rate = ctx->sender_rate;
        ctx->session->sender_rate_limit = ctx->sender_rate_limit;
        ctx->session->sender_rate_period = ctx->sender_rate_period;
    }
}

enum acl_result acl_ratelimit(struct acl_run *r, const struct acl_item *c,
                              const char *arg)
{
    struct rule rule;
    struct err err = { 0 };
    double rate;

    (void)c;
    if (!parse(r->ctx->arena, arg, &rule, &err) || !settle_mode(r, &rule, &err))
        return acl_run_error(r, "%s", err.msg);
    settle_count(r, &rule);
    if (!find_rate(r, &rule, &rate))
        return acl_run_defer(r, "ratelimit database not available");
    set_variables(r, &rule, rate);
    DEBUG(D_ACL)
    debug_printf("ratelimit: rate %.1f limit %.1f\n", rate, rule.limit);
    return rate < rule.limit ? COND_FALSE : COND_TRUE;
}
