#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/log_int.h"
#include "base/str.h"
#include "base/tod.h"

enum { LINE_CEILING = 1024 * 1024, HELD_MAX = 32 * 1024, DEST_BITS = 8, DEST_MASK = (1 << DEST_BITS) - 1 };

static struct log *death_log; /* where bug() and die() say why */

const char *log_kind_name(enum log_kind kind)
{
    static const char *const names[] = { "main", "reject", "panic" };

    return names[kind];
}

static const char *next_item(const char **list, struct arena *a)
{
    const char *s = *list;

    if (s == NULL)
        return NULL;
    const char *colon = strchr(s, ':');
    struct str item = { s, colon == NULL ? strlen(s) : (size_t)(colon - s) };
    *list = colon == NULL || colon[1] == '\0' ? NULL : colon + 1;
    return str_dup(a, str_trim(item));
}

/* What an empty item stands for. */
static const char *default_path(const struct log_config *c, struct arena *a)
{
    const char *list = c->built_path, *item;

    while ((item = next_item(&list, a)) != NULL)
        if (*item != '\0' && strcmp(item, "syslog") != 0)
            return item;
    return arena_printf(a, "%s/log/%%slog", c->spool_directory);
}

static struct log_places find_places(const struct log_config *c, struct arena *a)
{
    const char *list = c->log_file_path, *item;
    struct log_places p = { 0 };

    if (list == NULL || *cstr_skip_space(list) == '\0') {
        p.path = arena_printf(a, "%s/log/%%slog", c->spool_directory);
        return p;
    }
    while ((item = next_item(&list, a)) != NULL) {
        if (strcmp(item, "syslog") == 0)
            p.syslog = true;
        else if (p.path == NULL)
            p.path = *item == '\0' ? default_path(c, a) : item;
    }
    return p;
}

bool log_config_check(const struct log_config *c, struct arena *a, struct err *err)
{
    const char *list = c->log_file_path, *item;
    int paths = 0;

    while ((item = next_item(&list, a)) != NULL) {
        if (*item == '\0' || strcmp(item, "syslog") == 0)
            continue;
        if (*item != '/')
            return err_set(err, a, "log path must be absolute: \"%s\"", item);
        if (strstr(item, "%s") == NULL)
            return err_set(err, a, "log path must contain \"%%s\": \"%s\"", item);
        if (++paths > 1)
            return err_set(err, a, "more than one path given in log_file_path: \"%s\"",
                           c->log_file_path);
    }
    if (log_syslog_facility(c->syslog_facility) < 0)
        return err_set(err, a, "unknown syslog facility name \"%s\"", c->syslog_facility);
    if (c->syslog_processname != NULL && strlen(c->syslog_processname) > 32)
        return err_set(err, a, "syslog_processname must not be longer than 32 characters");
    return true;
}

static void write_last_words(const char *text)
{
    log_write(death_log, LOG_MAIN | LOG_PANIC, NULL, "%s", text);
}

static void on_destroy(void *arg)
{
    struct log *l = arg;

    log_release(l);
    log_reopen(l);
    if (death_log == l) {
        death_log = NULL;
        err_on_death(NULL);
    }
}

struct log *log_open(struct arena *a, const struct log_config *c)
{
    struct log *l = arena_new_obj(a, struct log);
    struct log_config *copy = arena_new_obj(a, struct log_config);

    *copy = *c;
    l->config = copy;
    l->places = find_places(c, a);
    for (int i = 0; i < KIND_COUNT; i++)
        l->files[i].fd = -1;
    arena_on_destroy(a, on_destroy, l);
    death_log = l;
    err_on_death(write_last_words);
    return l;
}

_Static_assert((int)LOG_FDS_MAX >= (int)KIND_COUNT, "a descriptor for each file");

static bool is_kept(int fd, const int *keep, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keep[i] == fd)
            return true;
    return false;
}

/* What is not open is not written to: a page that a process does not touch is shared with its parent. */
void log_close_others(struct log *l, const int *keep, size_t n)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (l->files[i].fd >= 0 && !is_kept(l->files[i].fd, keep, n)) {
            log_file_close(&l->files[i]);
            l->files[i].checked = 0;
        }
    log_syslog_close();
}

size_t log_fds(const struct log *l, int fds[LOG_FDS_MAX])
{
    size_t n = 0;

    for (int i = 0; i < KIND_COUNT; i++)
        if (l->files[i].fd >= 0)
            fds[n++] = l->files[i].fd;
    return n;
}

void log_reopen(struct log *l)
{
    log_close_others(l, NULL, 0);
}

uint64_t log_selector(const struct log *l)
{
    return l == NULL ? log_selector_default() : l->config->selector;
}

bool log_wants(const struct log *l, int bit)
{
    return (log_selector(l) >> bit & 1) != 0;
}

static void to_stderr(const char *p, size_t n)
{
    bool written = fd_write_all(STDERR_FILENO, p, n);

    (void)written; /* nobody left to tell */
}

/* Time zone lookups cost; lines come in bursts. */
static void stamp_second(struct log *l, struct arena *a, struct timespec now)
{
    if (l->stamp_second == now.tv_sec && l->stamp[0] != '\0')
        return;
    l->stamp_second = now.tv_sec;
    snprintf(l->stamp, sizeof(l->stamp), "%s", tod_print(a, TOD_LOG, now));
    snprintf(l->zone, sizeof(l->zone), "%s", tod_print(a, TOD_ZONE, now));
}

static void add_stamp(struct log *l, struct buf *b, struct timespec now)
{
    stamp_second(l, b->arena, now);
    buf_add_cstr(b, l->stamp);
    if (log_wants(l, L_millisec))
        buf_printf(b, ".%03ld", now.tv_nsec / 1000000);
    if (l->config->timezone)
        buf_printf(b, " %s", l->zone);
    buf_add_char(b, ' ');
}

/* What came from outside must not begin a line of its own. */
static void add_safely(struct buf *b, const char *text, bool keep_newlines)
{
    for (const char *p = text; *p != '\0';) {
        size_t plain = 0;

        while (p[plain] != '\0' && (!is_cntrl(p[plain]) || p[plain] == '\t' ||
                                    (keep_newlines && p[plain] == '\n')))
            plain++;
        buf_add(b, p, plain);
        p += plain;
        if (*p != '\0')
            buf_add_cstr(b, cstr_printable_len(b->arena, p++, 1, false));
    }
}

struct entry {
    unsigned dest;
    const char *id, *headers;
    bool keep_newlines;
};

/* The reject log's copy of a line has the headers of the message behind it. */
static const char *with_headers(struct arena *a, const struct log_line *line, const char *headers)
{
    size_t n = strlen(headers);

    return arena_printf(a, "%s%s%s", line->text, headers,
                        n > 0 && headers[n - 1] == '\n' ? "" : "\n");
}

static void panic_unwritable(struct log *l, enum log_kind kind, const struct log_line *line,
                             time_t now)
{
    struct arena *a = arena_new("log trouble");
    const char *why = arena_printf(a, "%s Cannot write %s log file \"%s\": %s: euid=%d egid=%d\n",
                                   l->stamp, log_kind_name(kind), l->files[kind].path,
                                   strerror(errno), (int)geteuid(), (int)getegid());

    log_file_close(&l->files[kind]);
    l->files[kind].checked = 0;
    if (kind == KIND_PANIC || !log_file_write(l, KIND_PANIC, why, strlen(why), now)) {
        log_syslog_last_resort(line->text);
        log_syslog_last_resort(why);
    }
    if (l->config->panic_to_stderr) {
        to_stderr(line->text, line->len);
        to_stderr(why, strlen(why));
    }
    arena_destroy(&a);
}

static void write_file(struct log *l, enum log_kind kind, const struct log_line *line, time_t now)
{
    if (l->places.path != NULL && !log_file_write(l, kind, line->text, line->len, now))
        panic_unwritable(l, kind, line, now);
}

static void write_held(struct log *l)
{
    struct log_line lines = { .text = buf_cstr(&l->held), .len = l->held.len };

    if (lines.len > 0)
        write_file(l, KIND_MAIN, &lines, l->held_second);
    buf_clear(&l->held);
}

static void write_kind(struct log *l, enum log_kind kind, const struct log_line *line, time_t now)
{
    bool held = kind == KIND_MAIN && l->held.arena != NULL && line->len < HELD_MAX;

    if (l->held.len > 0 && (!held || now != l->held_second || l->held.len + line->len > HELD_MAX))
        write_held(l);
    l->held_second = now;
    if (held)
        buf_add(&l->held, line->text, line->len);
    else
        write_file(l, kind, line, now);
}

void log_hold(struct log *l)
{
    if (l != NULL && l->held.arena == NULL)
        l->held = buf_init(arena_new("held log lines"), HELD_MAX);
}

void log_release(struct log *l)
{
    if (l == NULL || l->held.arena == NULL)
        return;
    struct arena *a = l->held.arena;

    write_held(l);
    l->held = (struct buf){ 0 };
    arena_destroy(&a);
}

/* With duplication off, the copy at the highest priority is the only one. */
static bool wants_syslog(const struct log *l, enum log_kind kind, unsigned dest)
{
    if (!l->places.syslog)
        return false;
    if (l->config->syslog_duplication)
        return true;
    return kind == KIND_PANIC || dest >> (kind + 1) == 0;
}

static void write_everywhere(struct log *l, const struct entry *e, const struct log_line *line,
                             time_t now)
{
    static const enum log_kind order[] = { KIND_MAIN, KIND_REJECT, KIND_PANIC };
    struct arena *a = arena_new("log copies");
    unsigned dest = e->dest & LOG_PANIC_DIE ? (e->dest & ~(unsigned)LOG_PANIC_DIE) | LOG_PANIC : e->dest;

    if (!l->config->write_rejectlog)
        dest &= ~(unsigned)LOG_REJECT;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        enum log_kind kind = order[i];
        struct log_line copy = *line;

        if ((dest & 1U << kind) == 0)
            continue;
        if (kind == KIND_REJECT && e->headers != NULL && log_wants(l, L_rejected_header)) {
            copy.text = with_headers(a, line, e->headers);
            copy.len = strlen(copy.text);
        }
        write_kind(l, kind, &copy, now);
        if (wants_syslog(l, kind, dest))
            log_syslog_write(l, kind, &copy);
    }
    if ((dest & LOG_PANIC) != 0 && l->config->panic_to_stderr)
        to_stderr(line->text, line->len);
    arena_destroy(&a);
}

static void debug_copy(unsigned dest, const char *text)
{
    int by = (int)(dest >> DEST_BITS) - 1;

    DEBUG(~0U)
    debug_printf("LOG:%s%s%s%s%s%s\n  %s", by >= 0 ? " " : "",
                 by >= 0 ? log_selector_name(by) : "", dest & LOG_MAIN ? " MAIN" : "",
                 dest & LOG_REJECT ? " REJECT" : "",
                 dest & (LOG_PANIC | LOG_PANIC_DIE) ? " PANIC" : "",
                 dest & LOG_PANIC_DIE ? " DIE" : "", text);
}

static PRINTF_LIKE(3, 0) void write_entry(struct log *l, const struct entry *e, const char *fmt,
                                          va_list ap)
{
    struct arena *a = arena_new("log line");
    struct buf b = buf_init(a, LINE_CEILING);
    struct timespec now = tod_now();
    struct log_line line = { 0 };
    struct entry plain = *e;
    bool files = l != NULL && !l->config->to_stderr;

    if (files) {
        add_stamp(l, &b, now);
        line.stamp = b.len;
        if (log_wants(l, L_pid))
            buf_printf(&b, "[%d] ", (int)getpid());
        line.pid = b.len - line.stamp;
    } else {
        buf_add_cstr(&b, "LOG: ");
    }
    if (e->id != NULL && *e->id != '\0')
        buf_printf(&b, "%s ", e->id);
    size_t text_at = b.len; /* Exim: -v shows the text alone */
    add_safely(&b, arena_vprintf(a, fmt, ap), e->keep_newlines);
    buf_truncate(&b, b.len < LINE_CEILING ? b.len : LINE_CEILING - 1);
    buf_add_char(&b, '\n');
    line.text = buf_cstr(&b);
    line.len = b.len;

    if (files) {
        debug_copy(e->dest, line.text + text_at);
        plain.dest = e->dest & DEST_MASK;
        write_everywhere(l, &plain, &line, now.tv_sec);
    } else if (debug_mask != 0 && (debug_mask & D_TESTING) == 0) { /* -v, -d */
        debug_copy(e->dest, line.text + text_at);
    } else {
        to_stderr(line.text, line.len);
    }
    arena_destroy(&a);
    if ((e->dest & LOG_PANIC_DIE) != 0)
        exit(EXIT_FAILURE);
}

void log_write(struct log *l, unsigned dest, const char *id, const char *fmt, ...)
{
    const struct entry e = { .dest = dest, .id = id };
    va_list ap;

    va_start(ap, fmt);
    write_entry(l, &e, fmt, ap);
    va_end(ap);
}

void log_write_reject(struct log *l, unsigned dest, const char *id, const char *headers,
                      const char *fmt, ...)
{
    const struct entry e = { .dest = dest, .id = id, .headers = headers };
    va_list ap;

    va_start(ap, fmt);
    write_entry(l, &e, fmt, ap);
    va_end(ap);
}

void log_write_lines(struct log *l, unsigned dest, const char *id, const char *fmt, ...)
{
    const struct entry e = { .dest = dest, .id = id, .keep_newlines = true };
    va_list ap;

    va_start(ap, fmt);
    write_entry(l, &e, fmt, ap);
    va_end(ap);
}
