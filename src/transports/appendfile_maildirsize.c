#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "regex.h"
#include "transports/appendfile_int.h"

/* The maildir++ file: a line with the quota, then lines "size count" that add up. It is made anew when
 * the quota is another, when it has grown long, and when a mailbox looks full on old data. */
enum { FILE_MAX_SIZE = 5120, OLD_SECONDS = 15 * 60, LINES_TRUSTED = 2 };

struct sums {
    int64_t size, files;
    int lines;
};

static const char *quota_line(const struct append *ap)
{
    return arena_printf(ap->arena, "%lldS,%lldC\n", (long long)ap->quota, (long long)ap->filecount);
}

/* A number with a sign; *p moves behind it. */
static bool read_number(const char **p, int64_t *out)
{
    const char *s = *p;
    bool negative = *s == '-';
    int64_t v = 0;

    s += negative;
    if (!is_digit(*s))
        return false;
    for (; is_digit(*s); s++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return false;
    *out = negative ? -v : v;
    *p = s;
    return true;
}

static bool add_line(struct sums *s, const char *line)
{
    int64_t size, files;

    while (is_blank(*line))
        line++;
    if (!read_number(&line, &size) || !is_blank(*line))
        return false;
    while (is_blank(*line))
        line++;
    if (!read_number(&line, &files))
        return false;
    while (is_blank(*line))
        line++;
    s->lines++;
    return *line == '\0' && !__builtin_add_overflow(s->size, size, &s->size) &&
           !__builtin_add_overflow(s->files, files, &s->files);
}

/* False: not to be believed. */
static bool read_sums(const struct append *ap, char *text, struct sums *s)
{
    const char *first = quota_line(ap);
    size_t n = strlen(first);

    *s = (struct sums){ 0 };
    if (strncmp(text, first, n) != 0)
        return false;
    for (char *line = text + n, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL)
            return false;
        *end = '\0';
        if (!add_line(s, line))
            return false;
    }
    return s->size >= 0 && s->files >= 0;
}

static bool looks_full(const struct append *ap, const struct sums *s)
{
    return ap->quota > 0 && s->size + ap->message_size > ap->quota;
}

/* Opens the file there is; -1 when it must be made. */
static int open_existing(struct append *ap, const char *path, struct sums *s)
{
    struct stat st;
    struct str text;
    int fd = fd_open(path, O_RDWR | O_APPEND, 0);

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX_SIZE &&
        fd_slurp(ap->arena, fd, FILE_MAX_SIZE + 1, &text) && read_sums(ap, str_dup(ap->arena, text), s) &&
        !(looks_full(ap, s) && (s->lines > LINES_TRUSTED || time(NULL) - st.st_mtime > OLD_SECONDS)))
        return fd;
    fd_close(fd);
    return -1;
}

static int replace(struct append *ap, const struct maildirsize *ms)
{
    const char *temp = arena_printf(ap->arena, "%s/tmp/%ld.M%ldP%ld.%s.maildirsize", ms->top, (long)tod_now().tv_sec,
                                    tod_now().tv_nsec / 1000, (long)getpid(),
                                    ap->call->ctx->exim->config->primary_hostname);
    const char *text = arena_printf(ap->arena, "%s%lld %lld\n", quota_line(ap), (long long)ms->size,
                                    (long long)ms->files);
    int fd = fd_open(temp, O_RDWR | O_CREAT | O_EXCL | O_APPEND, (mode_t)ap->mode);

    if (fd < 0) {
        append_sys(ap, errno, "while creating %s", temp);
        return -1;
    }
    if (fd_write_all(fd, text, strlen(text)) && rename(temp, ms->path) == 0)
        return fd;
    append_sys(ap, errno, "while writing %s", ms->path);
    fd_close(fd);
    (void)unlink(temp);
    return -1;
}

/* Does the delivery directory count? The top itself is there for its cur and new. */
static bool takes_part(const struct append *ap, const char *top, const char *dir)
{
    const struct regex *re = ap->t->quota_directory_re;
    size_t n = strlen(top);

    if (re == NULL || strcmp(top, dir) == 0)
        return re == NULL || regex_test(re, STR("new"));
    return strncmp(dir, top, n) != 0 || dir[n] != '/' || regex_test(re, str_from(dir + n + 1));
}

bool append_maildirsize_open(struct append *ap, const char *dir, struct maildirsize *ms)
{
    struct sums s;

    if (!append_expand(ap, ap->t->quota_directory, "quota_directory", false, &ms->top))
        return false;
    if (ms->top == NULL)
        ms->top = append_maildir_top(ap, dir);
    ms->path = arena_printf(ap->arena, "%s/maildirsize", ms->top);
    ms->counts = takes_part(ap, ms->top, dir);
    if (!ms->counts)
        return true;
    ms->fd = open_existing(ap, ms->path, &s);
    if (ms->fd >= 0) {
        ms->size = s.size;
        ms->files = s.files;
        return true;
    }
    if (!append_count_directory(ap, ms->top, ap->t->quota_directory_re, &ms->size, &ms->files))
        return false;
    ms->fd = replace(ap, ms);
    return ms->fd >= 0;
}

/* One write, so that lines of two deliveries do not mix; a line lost is found by the next count. */
void append_maildirsize_add(struct maildirsize *ms, int64_t size)
{
    char line[64];
    int n = snprintf(line, sizeof(line), "%lld 1\n", (long long)size);

    if (!fd_write_all(ms->fd, line, (size_t)n))
        (void)unlink(ms->path);
}
