#include <dirent.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc.h"
#include "config/config.h"
#include "exim.h"
#include "os.h"
#include "spool.h"
#include "spool_int.h"

/* Of a directory, in bytes: tens of thousands of names, which take much longer than a fork. */
enum { WORTH_PARTING = 1024 * 1024 };
/* More than there are processors, mostly: they wait for the disk when the directory is not in memory. */
enum { PARTS = 8 };

/* Envelopes among the names from a place on, up to another one (0: the start, the end); -1 with errno. */
static int64_t count_between(const char *path, off_t from, off_t until)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    int64_t count = 0;
    off_t at = from;
    char id[17];

    if (d == NULL)
        return -1;
    bool ok = from == 0 || lseek(dirfd(d), from, SEEK_SET) == from;
    while (ok && (errno = 0, entry = readdir(d)) != NULL && (until == 0 || at < until)) {
        count += spool_is_file(entry->d_name, "-H", id);
        at = entry->d_off;
    }
    int why = errno;
    ok = ok && why == 0;
    (void)closedir(d);
    errno = why;
    return ok ? count : -1;
}

/* The sum of what the readers of the parts found. -1: it did not work out. */
static int64_t sum_of(const int64_t *counts)
{
    int64_t sum = 0;

    for (int i = 0; i < PARTS; i++) {
        if (counts[i] < 0)
            return -1;
        sum += counts[i];
    }
    return sum;
}

/* A reader for each part, so far from the next; this process reads the first. -1: it did not work out. */
static int64_t count_parts(const char *path, off_t each)
{
    size_t size = PARTS * sizeof(int64_t);
    int64_t *counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[PARTS] = { 0 };

    if (counts == MAP_FAILED)
        return -1;
    for (int i = 1; i < PARTS; i++) {
        counts[i] = -1;
        pids[i] = proc_fork("queue count");
        if (pids[i] == 0) {
            counts[i] = count_between(path, i * each, i == PARTS - 1 ? 0 : (i + 1) * each);
            _exit(0);
        }
    }
    counts[0] = count_between(path, 0, each);
    for (int i = 1; i < PARTS; i++) {
        if (pids[i] < 0)
            continue;
        struct proc_status end = proc_wait(pids[i], -1);
        (void)end; /* the number says it */
    }
    int64_t sum = sum_of(counts);
    (void)munmap(counts, size);
    return sum;
}

static off_t part_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_size >= WORTH_PARTING ? os_directory_part(path, PARTS) : 0;
}

static bool count_folder(const char *path, struct arena *a, size_t *count, struct err *err)
{
    off_t each = part_of(path);
    int64_t n = each == 0 ? -1 : count_parts(path, each);

    if (n < 0)
        n = count_between(path, 0, 0);
    *count += n < 0 ? 0 : (size_t)n;
    return n >= 0 || errno == ENOENT || err_sys(err, a, errno, "cannot read %s", path);
}

bool spool_count(struct exim *e, struct arena *a, size_t *count, struct err *err)
{
    const char *top = arena_printf(a, "%s/%s", e->config->spool_directory, spool_input);

    *count = 0;
    bool ok = count_folder(top, a, count, err);
    for (const char *c = spool_subs; ok && *c != '\0'; c++)
        ok = count_folder(arena_printf(a, "%s/%c", top, *c), a, count, err);
    return ok;
}
