/* tod.h - clock and Exim's times: log stamps, intervals such as 2w3d4h5m6s, message ids.
 *
 * The clock is replaceable in tests through struct clock. Seconds since the epoch are time_t;
 * intervals are seconds in `long`. */
#ifndef EXIM_TOD_H
#define EXIM_TOD_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/attr.h"

struct arena;

enum tod_style {
    TOD_LOG,        /* 2013-11-04 09:25:06 (+0000 with log_timezone, see tod_log_zone) */
    TOD_LOG_ZONE,   /* 2013-11-04 09:25:06 +0000 */
    TOD_LOG_FILE,   /* 20131104, for %D */
    TOD_LOG_MONTH,  /* 201311, for %M */
    TOD_FULL,       /* RFC 5322: Mon, 04 Nov 2013 09:25:06 +0000 */
    TOD_BSD_INBOX,  /* Mon Nov  4 09:25:06 2013 */
    TOD_EPOCH,      /* 1383557106 */
    TOD_EPOCH_USEC, /* 1383557106123456, $tod_epoch_l */
    TOD_ZULU,       /* 20131104092506Z */
    TOD_ZONE,       /* +0000 */
    TOD_FULL_UTC,   /* RFC 5322 in UTC */
};

/* Uses the zone set by tod_zone_set. The result lives in a. */
char *tod_print(struct arena *a, enum tod_style style, struct timespec when) NONNULL_RET;
struct timespec tod_now(void);      /* CLOCK_REALTIME, or the test clock */
int64_t tod_monotonic_ms(void);     /* for deadlines */
void tod_set_clock(struct timespec (*fn)(void)); /* tests only; NULL restores */
/* zone: "" or NULL: system's; "UTC"; else a TZ name (option timezone). */
void tod_zone_set(const char *zone);
void tod_prepare(void); /* before a fork: the child need not ask for the zone */

/* "1w2d3h4m5s": parts in any number and order, as Exim takes them; -1 when malformed. */
long tod_interval_parse(const char *s) MUST_USE;
/* "1w2d3h4m5s"; "0s" for 0. */
char *tod_interval_print(struct arena *a, long seconds) NONNULL_RET;

enum { MSGID_LEN = 16 };
struct msgid_clock { /* one a process: remembers the last tick so that ids never repeat */
    int64_t last_tick;
    uint32_t extra; /* ids of this second that had no tick of their own */
};
/* A new id tttttt-pppppp-ss (manual 3.4): localhost_number -1 when unset. Exim waits for the next
 * tick if the process made an id in the current one; here such an id has a process number that no
 * process can have, and only after thousands of them in one second we wait. Each id of a process
 * is greater than the one before, unless the clock was set back. out: MSGID_LEN + 1 bytes. The
 * clock belongs to one localhost_number. */
void msgid_new(struct msgid_clock *c, int localhost_number, char *out);
bool msgid_valid(const char *s);                 /* exactly 16 characters of that form */
time_t msgid_time(const char *id);               /* seconds in its first part */
uint64_t base62_parse(const char *s, int n);

#endif
