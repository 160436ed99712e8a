#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/proc.h"
#include "base/tod.h"
#include "dsn_once.h"
#include "exim.h"
#include "message.h"
#include "queue.h"
#include "queue_int.h"
#include "spool.h"

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

static void print_summary(const char *id, const struct message *m, bool no_data)
{
    print_age(m->received.tv_sec);
    if (no_data)
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

/* Those that were not in the envelope: children of redirection that have the message
 * already. */
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

static void print_error(struct exim *e, const char *id, enum spool_rc rc,
                        const struct err *err)
{
    off_t size = spool_file_size(e, id, SPOOL_PART_HEADER);

    if (rc == SPOOL_BAD && size >= 0)
        printf("    *** spool format error: size=%lld ***\n", (long long)size);
    else
        printf("    *** spool read error: %s ***\n",
               strerror(err->sys_errno != 0 ? err->sys_errno : ENOENT));
}

/* at: NULL when it was asked for by name and has no files. */
static void print_message(struct exim *e, const char *id, const struct spool_entry *at,
                          unsigned flags)
{
    struct arena *a = arena_new("queue list");
    struct message m;
    struct err err = { 0 };
    enum spool_rc rc =
        at == NULL ? spool_peek(e, id, a, &m, &err) : spool_peek_entry(e, at, a, &m, &err);
    if (at != NULL && rc == SPOOL_GONE) { /* delivered in the meantime */
        arena_destroy(&a);
        return;
    }
    bool no_file = rc != SPOOL_OK && spool_file_size(e, id, SPOOL_PART_DATA) < 0;
    bool no_data = rc == SPOOL_BAD && no_file && m.recipient_count > 0;

    if (m.received.tv_sec != 0)
        print_summary(id, &m, no_file);
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

/* In the log of the spool only: not damaged, or it would not have been read. */
static void print_logged(const struct spool_logged *l, unsigned flags)
{
    struct arena *a = arena_new("queue list");
    struct message m;

    spool_peek_logged(l, a, &m);
    print_summary(l->id, &m, false);
    print_recipients(&m, flags);
    if ((flags & QUEUE_LIST_PLUS_GENERATED) != 0)
        print_generated(&m, a);
    printf("\n");
    arena_destroy(&a);
}

/* ---- the messages of a list ---- */

struct item {
    char id[17];
    const struct spool_logged *logged; /* NULL: it has files */
    const struct spool_entry *files;
};
struct items {
    struct item *list;
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct item *)a)->id, ((const struct item *)b)->id);
}

/* The log is read first: what moves to files in between is found there. */
static bool scan(struct exim *e, struct arena *a, struct items *out)
{
    struct err err = { 0 };
    struct spool_logged *logged = NULL;
    struct spool_entry *files = NULL;
    size_t logs = 0, n = 0;

    if (!spool_scan_log(e, a, &logged, &logs, &err) ||
        !spool_scan(e, a, &files, &n, NULL, &err)) {
        fprintf(stderr, "exim: %s\n", err.msg);
        return false;
    }
    struct hash *seen = hash_new(a, false);
    out->list = arena_new_array(a, struct item, n + logs + 1);
    for (size_t i = 0; i < n; i++) {
        out->list[i].files = &files[i];
        memcpy(out->list[i].id, files[i].id, sizeof(files[i].id));
        if (logs > 0)
            (void)hash_put(seen, files[i].id, &files[i]);
    }
    out->count = n;
    for (size_t i = 0; i < logs; i++) {
        if (hash_find(seen, logged[i].id) != NULL)
            continue;
        struct item *item = &out->list[out->count++];
        memcpy(item->id, logged[i].id, sizeof(item->id));
        item->logged = &logged[i];
    }
    return true;
}

static void show(struct exim *e, const struct item *item, unsigned flags)
{
    if ((flags & QUEUE_LIST_IDS_ONLY) != 0)
        printf("%s\n", item->id);
    else if (item->logged != NULL)
        print_logged(item->logged, flags);
    else
        print_message(e, item->id, item->files, flags);
}

static const struct item *find(const struct items *all, const char *id)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i].id, id) == 0)
            return &all->list[i];
    return NULL;
}

static void list_some(struct exim *e, const struct items *all, unsigned flags,
                      const char *const *ids, int nids)
{
    for (int i = 0; i < nids; i++) {
        const struct item *item = find(all, ids[i]);

        if (item != NULL)
            show(e, item, flags);
        else if ((flags & QUEUE_LIST_IDS_ONLY) == 0)
            print_message(e, ids[i], NULL, flags); /* says what is missing */
    }
}

/* ---- all of them ---- */

/* Messages in a row, and who shows them: a helper into a file in memory, whose text comes when its turn has come. */
struct span {
    const struct item *list;
    size_t count;
    unsigned flags;
    pid_t helper; /* 0: none */
    int fd;       /* its text; -1 */
};
enum { SPAN = 4096, SPAN_MIN = 512, SPANS_MAX = 16 };

static void show_span(struct exim *e, const struct span *s)
{
    for (size_t i = 0; i < s->count; i++)
        show(e, &s->list[i], s->flags);
}

static void start_helper(struct exim *e, struct span *s)
{
    s->fd = memfd_create("queue list", MFD_CLOEXEC);
    pid_t pid = s->fd < 0 ? -1 : proc_fork("queue list");
    if (pid == 0) {
        bool ok = dup2(s->fd, STDOUT_FILENO) >= 0;

        show_span(e, s);
        _exit(ok && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    s->helper = pid < 0 ? 0 : pid;
}

/* The helper has done all of it, or nothing counts. */
static bool has_text(const struct span *s, struct stat *st)
{
    if (s->helper == 0)
        return false;
    struct proc_status end = proc_wait(s->helper, -1);

    return end.kind == PROC_EXITED && end.code == EXIT_SUCCESS && fstat(s->fd, st) == 0;
}

static void finish_span(struct exim *e, struct span *s)
{
    struct stat st;
    size_t size = has_text(s, &st) ? (size_t)st.st_size : 0;
    void *text = size == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, s->fd, 0);

    if (text == MAP_FAILED) {
        show_span(e, s);
    } else {
        (void)fflush(stdout);
        bool written = fd_write_all(STDOUT_FILENO, text, size);

        (void)written; /* as with printf: nobody reads it */
        (void)munmap(text, size);
    }
    if (s->fd >= 0)
        (void)fd_close(s->fd);
}

/* Four for each processor: most wait for the disk when the files are not in memory. */
static size_t processes_for(unsigned flags)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if ((flags & QUEUE_LIST_IDS_ONLY) != 0)
        return 1;
    return processors < 1 ? 4 : processors < SPANS_MAX / 4 ? (size_t)processors * 4 : SPANS_MAX;
}

/* Their files are read and their texts made by several processes, this one among them, in rounds. */
static void list_all(struct exim *e, const struct items *all, unsigned flags)
{
    size_t most = processes_for(flags);
    struct span spans[SPANS_MAX];

    for (size_t at = 0; at < all->count;) {
        size_t n = 0, left = all->count - at;
        size_t parts = left / SPAN_MIN < most ? left / SPAN_MIN + 1 : most;
        size_t each = left / parts < SPAN ? left / parts + 1 : SPAN; /* the last round is shared, too */

        for (; n < parts && at < all->count; n++, at += spans[n - 1].count) {
            left = all->count - at;
            spans[n] = (struct span){ .list = &all->list[at], .count = left < each ? left : each, .flags = flags, .fd = -1 };
            if (n > 0)
                start_helper(e, &spans[n]);
        }
        for (size_t i = 0; i < n; i++)
            finish_span(e, &spans[i]);
    }
}

int queue_list(struct exim *e, unsigned flags, const char *const *ids, int nids)
{
    struct arena *a = arena_new("queue list");
    struct items all = { 0 };
    bool ok = scan(e, a, &all);

    spool_stay_near(e, a, NULL);
    if (ok && nids > 0) {
        list_some(e, &all, flags, ids, nids);
    } else if (ok) {
        if ((flags & QUEUE_LIST_UNSORTED) == 0)
            qsort(all.list, all.count, sizeof(*all.list), by_id);
        list_all(e, &all, flags);
    }
    arena_destroy(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The log is read first, as above; what is in it has files by now, or not. */
static bool count_all(struct exim *e, struct arena *a, size_t *count, struct err *err)
{
    struct spool_logged *logged = NULL;
    size_t logs = 0;

    if (!spool_scan_log(e, a, &logged, &logs, err) || !spool_count(e, a, count, err))
        return false;
    for (size_t i = 0; i < logs; i++)
        *count += spool_file_size(e, logged[i].id, SPOOL_PART_HEADER) < 0;
    return true;
}

int queue_count(struct exim *e)
{
    struct arena *a = arena_new("queue count");
    struct err err = { 0 };
    size_t count;
    bool ok = count_all(e, a, &count, &err);

    if (ok)
        printf("%zu\n", count);
    else
        fprintf(stderr, "exim: %s\n", err.msg);
    arena_destroy(&a);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
