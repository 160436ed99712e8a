/* log_int.h - what log.c, log_file.c and log_syslog.c share. */
#ifndef EXIM_LOG_INT_H
#define EXIM_LOG_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/log.h"

enum log_kind { KIND_MAIN, KIND_REJECT, KIND_PANIC, KIND_COUNT };

/* One open log file. The path is kept to see whether the file still has that name. */
struct log_file {
    int fd; /* -1: not open */
    char path[1024];
    dev_t dev;
    ino_t ino;
    time_t checked, day; /* of the last stat, and the second for which the path was made */
};

/* Where the lines go, worked out from log_file_path once. */
struct log_places {
    const char *path; /* with %s, maybe %D or %M; NULL: no files */
    bool syslog;
};

struct log {
    const struct log_config *config;
    struct log_places places;
    struct log_file files[KIND_COUNT];
    time_t stamp_second;
    char stamp[32], zone[8]; /* of stamp_second */
    struct buf held;         /* of the main log, all of one second; arena NULL: lines are not held */
    time_t held_second;
};

/* The text of one entry: `stamp` bytes of time, `pid` bytes of "[pid] ", the rest. */
struct log_line {
    const char *text; /* ends in newline */
    size_t len, stamp, pid;
};

const char *log_kind_name(enum log_kind kind);
/* False with errno when it could not be written. */
bool log_file_write(struct log *l, enum log_kind kind, const char *text, size_t len, time_t now) MUST_USE;
void log_file_close(struct log_file *f);
/* The name of the file for that moment; false when it does not fit. */
bool log_file_path(const char *path, enum log_kind kind, time_t now, char *out, size_t room) MUST_USE;

int log_syslog_facility(const char *name); /* -1: no such one */
void log_syslog_write(const struct log *l, enum log_kind kind, const struct log_line *line);
void log_syslog_last_resort(const char *text);
void log_syslog_close(void); /* if it was opened */

#endif
