/* Shared syncs: one process syncs for all who appended before. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "spool_wal.h"
#include "spool_wal_int.h"

/* Of somebody who syncs and dies nobody hears: so often those who wait look for themselves. */
enum { LOOK_MS = 20 };

static bool is_lost(const struct wal_shared *s, uint64_t lsn)
{
    return lsn >= s->lost_from && lsn < s->lost_to;
}

/* A sync that came later succeeded, and says nothing of what is lost. */
static bool outcome(const struct wal_shared *s, uint64_t lsn)
{
    if (!is_lost(s, lsn))
        return true;
    errno = EIO;
    return false;
}

/* After a failed sync nobody knows what is on the disk: what comes now starts a new segment, which is read whatever
 * the one before looks like. In a full ring it waits for one. What was appended to the old one meanwhile is lost, too:
 * who reads it does not come past a torn record. */
static bool lose(struct wal_shared *s)
{
    int why = errno;

    if (s->lost_to == 0)
        s->lost_from = s->synced;
    s->lost_to = wal_give_up_segment(s);
    errno = why;
    return false;
}

static bool sync_locked(struct wal *w, uint64_t lsn)
{
    struct wal_shared *s = w->s;

    if (is_lost(s, lsn) || s->synced > lsn)
        return outcome(s, lsn);
    uint64_t end = s->end;
    if (!w->no_sync && !fd_sync_data(w->fd))
        return lose(s);
    s->synced = end;
    return true;
}

/* Until the sync that is under way has ended; `turn` was read before it was seen to be. */
static void wait_for_turn(struct wal_shared *s, uint32_t turn)
{
    static const struct timespec most = { .tv_nsec = LOOK_MS * 1000000L };

    s->waiting++;
    (void)syscall(SYS_futex, &s->turn, FUTEX_WAIT, turn, &most, NULL, 0);
    s->waiting--;
}

/* All wake up at once. With a mutex to wait for they would do so one after the other, and whoever is to sync next,
 * somewhere among them, only in his turn. */
static void end_turn(struct wal_shared *s)
{
    s->turn++;
    if (s->waiting > 0)
        (void)syscall(SYS_futex, &s->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool wal_sync(struct wal *w, uint64_t lsn)
{
    struct wal_shared *s = w->s;
    int rc = EBUSY;

    while (rc == EBUSY) {
        uint32_t turn = s->turn;

        if (s->synced > lsn)
            return outcome(s, lsn);
        rc = pthread_mutex_trylock(&s->sync);
        if (rc == EBUSY)
            wait_for_turn(s, turn);
    }
    if (rc == EOWNERDEAD)
        (void)pthread_mutex_consistent(&s->sync);
    bool ok = sync_locked(w, lsn);
    int why = errno;
    (void)pthread_mutex_unlock(&s->sync);
    end_turn(s);
    errno = why;
    return ok;
}
