#include "base/tod.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctype.h"

static struct timespec (*test_clock)(void); /* set by tests only */

static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/* The C library writes to its own state whenever it converts a time: pages of it that a forked process
 * would share otherwise. It is asked once a quarter of an hour, as no zone changes within one any more. */
enum { DAY = 24 * 60 * 60, QUARTER = 15 * 60, YEAR_1973 = 3 * 365 * DAY };
static const int64_t LAST = (int64_t)1 << 50;

static struct {
    int64_t quarter;
    int64_t shift; /* local time less UTC; in zones with leap seconds not quite the offset */
    long offset;
    bool known;
} zone_now;

void tod_set_clock(struct timespec (*fn)(void))
{
    test_clock = fn;
}

struct timespec tod_now(void)
{
    struct timespec ts;

    if (test_clock != NULL)
        return test_clock();
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return ts;
}

int64_t tod_monotonic_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void tod_zone_set(const char *zone)
{
    if (zone == NULL || *zone == '\0')
        (void)unsetenv("TZ");
    else
        (void)setenv("TZ", zone, 1);
    zone_now.known = false;
}

/* Proleptic Gregorian: days are counted from 1 March 0000, so that leap days are the last of a year. */
static void fill_civil(struct tm *tm, int64_t when)
{
    int64_t day = when / DAY, second = when % DAY;

    if (second < 0) {
        second += DAY;
        day--;
    }
    int64_t n = day + 719468, era = (n >= 0 ? n : n - 146096) / 146097;
    int64_t of_era = n - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0: March */
    tm->tm_mday = (int)(of_year - (153 * month + 2) / 5 + 1);
    tm->tm_mon = (int)(month < 10 ? month + 2 : month - 10);
    tm->tm_year = (int)(year + era * 400 + (month >= 10) - 1900);
    tm->tm_wday = (int)(((day + 4) % 7 + 7) % 7);
    tm->tm_hour = (int)(second / 3600);
    tm->tm_min = (int)(second / 60 % 60);
    tm->tm_sec = (int)(second % 60);
}

static void ask_zone(int64_t quarter, int64_t when)
{
    const time_t t = (time_t)when;
    struct tm tm = { 0 };

    tzset(); /* localtime_r does not look at TZ again */
    zone_now.known = localtime_r(&t, &tm) != NULL;
    zone_now.offset = tm.tm_gmtoff;
    zone_now.shift = timegm(&tm) - when;
    zone_now.quarter = quarter;
}

static void fill_local(struct tm *tm, int64_t when)
{
    int64_t quarter = when / QUARTER;

    if (!zone_now.known || quarter != zone_now.quarter || when < YEAR_1973)
        ask_zone(quarter, when);
    fill_civil(tm, when + zone_now.shift);
    tm->tm_gmtoff = zone_now.offset;
}

void tod_prepare(void)
{
    struct tm tm;

    fill_local(&tm, tod_now().tv_sec);
}

/* +hhmm as a plain number: 90 minutes east is 130. */
static int zone_number(const struct tm *tm)
{
    int minutes = (int)(tm->tm_gmtoff / 60);

    return minutes / 60 * 100 + minutes % 60;
}

static char *print_stamp(struct arena *a, const struct tm *tm)
{
    return arena_printf(a, "%04d-%02d-%02d %02d:%02d:%02d", tm->tm_year + 1900, tm->tm_mon + 1,
                        tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

static char *print_full(struct arena *a, const struct tm *tm)
{
    return arena_printf(a, "%s, %02d %s %04d %02d:%02d:%02d %+05d", days[tm->tm_wday], tm->tm_mday,
                        months[tm->tm_mon], tm->tm_year + 1900, tm->tm_hour, tm->tm_min,
                        tm->tm_sec, zone_number(tm));
}

char *tod_print(struct arena *a, enum tod_style style, struct timespec when)
{
    struct tm tm = { .tm_mday = 1 };

    if (when.tv_sec > -LAST && when.tv_sec < LAST) {
        if (style == TOD_ZULU || style == TOD_FULL_UTC)
            fill_civil(&tm, when.tv_sec);
        else
            fill_local(&tm, when.tv_sec);
    }

    switch (style) {
    case TOD_LOG:
        return print_stamp(a, &tm);
    case TOD_LOG_ZONE:
        return arena_printf(a, "%s %+05d", print_stamp(a, &tm), zone_number(&tm));
    case TOD_LOG_FILE:
        return arena_printf(a, "%04d%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    case TOD_LOG_MONTH:
        return arena_printf(a, "%04d%02d", tm.tm_year + 1900, tm.tm_mon + 1);
    case TOD_FULL:
    case TOD_FULL_UTC:
        return print_full(a, &tm);
    case TOD_BSD_INBOX:
        return arena_printf(a, "%s %s %2d %02d:%02d:%02d %04d", days[tm.tm_wday], months[tm.tm_mon],
                            tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
    case TOD_EPOCH:
        return arena_printf(a, "%lld", (long long)when.tv_sec);
    case TOD_EPOCH_USEC:
        return arena_printf(a, "%lld%06ld", (long long)when.tv_sec, when.tv_nsec / 1000);
    case TOD_ZULU:
        return arena_printf(a, "%04d%02d%02d%02d%02d%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                            tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    case TOD_ZONE:
        break;
    }
    return arena_printf(a, "%+05d", zone_number(&tm));
}

static const struct {
    char letter;
    long seconds;
} units[] = { { 'w', 604800 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

static long unit_seconds(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (units[i].letter == letter)
            return units[i].seconds;
    return 0;
}

long tod_interval_parse(const char *s)
{
    long total = 0;

    if (*s == '\0')
        return -1;
    while (*s != '\0') {
        long n = 0;

        if (!is_digit(*s))
            return -1;
        for (; is_digit(*s); s++)
            if (__builtin_mul_overflow(n, 10L, &n) || __builtin_add_overflow(n, *s - '0', &n))
                return -1;
        if (unit_seconds(*s) == 0 || __builtin_mul_overflow(n, unit_seconds(*s), &n) ||
            __builtin_add_overflow(total, n, &total))
            return -1;
        s++;
    }
    return total;
}

char *tod_interval_print(struct arena *a, long seconds)
{
    char *text = arena_new_array(a, char, 64), *p = text;

    if (seconds <= 0)
        return arena_strdup(a, "0s");
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        long n = seconds / units[i].seconds;

        seconds %= units[i].seconds;
        if (n == 0)
            continue;
        for (const char *digits = arena_printf(a, "%ld", n); *digits != '\0';)
            *p++ = *digits++;
        *p++ = units[i].letter;
    }
    *p = '\0';
    return text;
}

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void base62_print(char *out, int n, uint64_t value)
{
    while (n-- > 0) {
        out[n] = base62[value % 62];
        value /= 62;
    }
}

uint64_t base62_parse(const char *s, int n)
{
    uint64_t value = 0;

    for (int i = 0; i < n && is_alnum(s[i]); i++)
        value = value * 62 + (uint64_t)(is_digit(s[i])   ? s[i] - '0'
                                        : is_upper(s[i]) ? s[i] - 'A' + 10
                                                         : s[i] - 'a' + 36);
    return value;
}

/* No process number is as large on any system; six characters hold EXTRA_MAX more such ranges. */
enum { PROCESS_RANGE = 1 << 24, EXTRA_MAX = 3384 };

static void advance(struct msgid_clock *c, int64_t tick, int ticks_a_second)
{
    if (tick / ticks_a_second != c->last_tick / ticks_a_second)
        c->extra = 0;
    c->last_tick = tick;
}

static void next_id(struct msgid_clock *c, int ticks_a_second)
{
    const long tick_ns = 1000000000L / ticks_a_second;

    for (;;) {
        struct timespec now = tod_now();
        int64_t tick = (int64_t)now.tv_sec * ticks_a_second + now.tv_nsec / tick_ns;
        bool set_back = c->last_tick - tick > ticks_a_second;

        if (tick > c->last_tick || set_back) {
            advance(c, set_back ? c->last_tick + 1 : tick, ticks_a_second);
            return;
        }
        if (c->extra < EXTRA_MAX) {
            c->extra++;
            return;
        }
        struct timespec rest = { .tv_nsec = tick_ns - now.tv_nsec % tick_ns };
        (void)nanosleep(&rest, NULL);
    }
}

void msgid_new(struct msgid_clock *c, int localhost_number, char *out)
{
    /* Exim: two characters hold 1/2000 s, or the host's number and 1/200 s. */
    const int ticks_a_second = localhost_number < 0 ? 2000 : 200;

    next_id(c, ticks_a_second);
    int64_t fraction = c->last_tick % ticks_a_second;
    if (localhost_number >= 0)
        fraction += localhost_number * 200LL;
    base62_print(out, 6, (uint64_t)(c->last_tick / ticks_a_second));
    out[6] = '-';
    base62_print(out + 7, 6, (uint64_t)getpid() + (uint64_t)c->extra * PROCESS_RANGE);
    out[13] = '-';
    base62_print(out + 14, 2, (uint64_t)fraction);
    out[MSGID_LEN] = '\0';
}

static bool all_alnum(const char *s, size_t n)
{
    while (n > 0 && is_alnum(*s))
        s++, n--;
    return n == 0;
}

bool msgid_valid(const char *s)
{
    return all_alnum(s, 6) && s[6] == '-' && all_alnum(s + 7, 6) && s[13] == '-' && all_alnum(s + 14, 2) &&
           s[MSGID_LEN] == '\0';
}

time_t msgid_time(const char *id)
{
    return (time_t)base62_parse(id, 6);
}
