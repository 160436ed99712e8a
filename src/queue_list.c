#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/tod.h"
#include "dsn_once.h"
#include "exim.h"
#include "message.h"
#include "queue.h"
#include "queue_int.h"
#include "spool.h"

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct spool_entry *)a)->id, ((const struct spool_entry *)b)->id);
}

/* Five characters: " 1023", " 1.0K", "   9K", " 1.5M". */
static void print_size(int64_t n)
{
    if (n < 1024)
        printf("%5" PRId64, n);
    else if (n < 10 * 1024)
        printf("%4.1fK", (double)n / 1024);
    else if (n < 1024 * 1024)
        printf("%4" PRId64 "K", (n + 512) / 1024);
    else if (n < 10 * 1024 * 1024)
        printf("%4.1fM", (double)n / (1024 * 1024));
    else
        printf("%4" PRId64 "M", (n + 512 * 1024) / (1024 * 1024));
}

static void print_age(time_t received)
{
    long age = (long)(tod_now().tv_sec - received) / 60;
    char unit = 'm';

    if (age > 90) {
        age = (age + 30) / 60;
        unit = 'h';
        if (age > 72) {
            age = (age + 12) / 24;
            unit = 'd';
        }
    }
    printf("%2ld%c ", age, unit);
}

static void print_summary(struct exim *e, const char *id, const struct message *m)
{
    print_age(m->received.tv_sec);
    if (spool_file_size(e, id, SPOOL_PART_DATA) < 0)
        printf("     ");
    else
        print_size(m->message_size);
    printf(" %s <%s>", id, m->sender);
    if (m->sender_set_untrusted)
        printf(" (%s)", m->originator_login);
    if (m->frozen_at != 0)
        printf(" *** frozen ***");
    printf("\n");
}

static void print_recipients(const struct message *m, unsigned flags)
{
    for (size_t i = 0; i < m->recipient_count; i++) {
        bool done = message_is_nonrecipient(m, m->recipients[i].address);

        if (!done || (flags & QUEUE_LIST_UNDELIVERED_ONLY) == 0)
            printf("        %s %s\n", done ? "D" : " ", m->recipients[i].address);
    }
}

/* Those that were not in the envelope: children of redirection that have the message already. */
static void print_generated(const struct message *m, struct arena *a)
{
    struct hash *envelope = hash_new(a, false);
    struct hash_iter it = { 0 };
    const char *address;
    void *value;

    for (size_t i = 0; i < m->recipient_count; i++)
        hash_put(envelope, m->recipients[i].address, &m->recipients[i]);
    while (m->nonrecipients != NULL && hash_next(m->nonrecipients, &it, &address, &value))
        if (hash_find(envelope, address) == NULL && !dsn_once_is_note(address))
            printf("       +D %s\n", address);
}

static void print_error(struct exim *e, const char *id, enum spool_rc rc, const struct err *err)
{
    off_t size = spool_file_size(e, id, SPOOL_PART_HEADER);

    if (rc == SPOOL_BAD && size >= 0)
        printf("    *** spool format error: size=%lld ***\n", (long long)size);
    else
        printf("    *** spool read error: %s ***\n",
               strerror(err->sys_errno != 0 ? err->sys_errno : ENOENT));
}

static void print_message(struct exim *e, const char *id, unsigned flags)
{
    struct arena *a = arena_new("queue list");
    struct message m;
    struct err err = { 0 };
    enum spool_rc rc = spool_peek(e, id, a, &m, &err);
    bool no_data = rc == SPOOL_BAD && spool_file_size(e, id, SPOOL_PART_DATA) < 0 && m.recipient_count > 0;

    if (m.received.tv_sec != 0)
        print_summary(e, id, &m);
    else
        printf("      %s\n", id);
    if (rc == SPOOL_OK || no_data) {
        print_recipients(&m, flags);
        if ((flags & QUEUE_LIST_PLUS_GENERATED) != 0)
            print_generated(&m, a);
    } else {
        print_error(e, id, rc, &err);
    }
    printf("\n");
    arena_destroy(&a);
}

static bool scan(struct exim *e, struct arena *a, struct spool_entry **list, size_t *n)
{
    struct err err = { 0 };

    if (spool_scan(e, a, list, n, &err))
        return true;
    fprintf(stderr, "exim: %s\n", err.msg);
    return false;
}

static bool is_there(struct exim *e, const char *id)
{
    return spool_file_size(e, id, SPOOL_PART_HEADER) >= 0;
}

int queue_list(struct exim *e, unsigned flags, const char *const *ids, int nids)
{
    struct arena *a = arena_new("queue list");
    struct spool_entry *list;
    size_t n = 0;
    bool ok = true;

    for (int i = 0; i < nids; i++)
        if ((flags & QUEUE_LIST_IDS_ONLY) == 0)
            print_message(e, ids[i], flags);
        else if (is_there(e, ids[i]))
            printf("%s\n", ids[i]);
    if (nids == 0)
        ok = scan(e, a, &list, &n);
    if (n > 0 && (flags & QUEUE_LIST_UNSORTED) == 0)
        qsort(list, n, sizeof(*list), by_id);
    for (size_t i = 0; i < n; i++)
        if ((flags & QUEUE_LIST_IDS_ONLY) != 0)
            printf("%s\n", list[i].id);
        else if (is_there(e, list[i].id)) /* not delivered in the meantime */
            print_message(e, list[i].id, flags);
    arena_destroy(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int queue_count(struct exim *e)
{
    struct arena *a = arena_new("queue count");
    struct spool_entry *list;
    size_t n = 0;
    bool ok = scan(e, a, &list, &n);

    if (ok)
        printf("%zu\n", n);
    arena_destroy(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
