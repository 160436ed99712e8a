/* appendfile_int.h - the insides of appendfile. */
#ifndef EXIM_TRANSPORT_APPENDFILE_INT_H
#define EXIM_TRANSPORT_APPENDFILE_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "transports/bsmtp.h"
#include "transports/transport.h"

struct regex;

enum create_where { CREATE_ANYWHERE, CREATE_BELOWHOME, CREATE_INHOME, CREATE_BELOWPATH };

struct appendfile {
    struct transport base;
    bool allow_fifo, allow_symlink, check_group, check_owner;
    const char *check_string;
    bool create_directory;
    const char *create_file;
    const struct expr *directory, *directory_file;
    long directory_mode;
    const char *escape_string;
    const struct expr *file;
    const char *file_format;
    bool file_must_exist;
    long lock_fcntl_timeout, lock_flock_timeout, lock_interval, lock_retries;
    long lockfile_mode, lockfile_timeout;
    const struct expr *mailbox_filecount, *mailbox_size;
    bool maildir_format;
    const char *maildir_quota_directory_regex;
    long maildir_retries;
    const struct expr *maildir_tag, *maildir_use_size_file;
    const char *maildirfolder_create_regex;
    bool mailstore_format;
    const struct expr *mailstore_prefix, *mailstore_suffix;
    const struct expr *message_prefix, *message_suffix;
    long mode;
    bool mode_fail_narrower, notify_comsat;
    const struct expr *quota, *quota_directory, *quota_filecount;
    bool quota_is_inclusive;
    const char *quota_size_regex;
    const struct expr *quota_warn_message, *quota_warn_threshold;
    bool use_bsmtp, use_crlf, use_fcntl_lock, use_flock_lock, use_lockfile;

    /* Worked out by the check. */
    enum create_where where;
    const struct regex *quota_directory_re, *folder_re, *size_re;
};

/* One delivery. */
struct append {
    const struct appendfile *t;
    struct transport_call *call;
    struct arena *arena;
    const char *path;          /* file or directory */
    bool to_directory, maildir, mailstore;
    const char *prefix, *suffix, *check_string, *escape_string;
    long mode;
    /* Quota: 0 means none. */
    int64_t quota, threshold, filecount;
    bool no_check;             /* "/no_check" */
    int64_t message_size;
    int64_t size_before, files_before; /* of the mailbox; -1: not known */
    const char *writing;       /* what the message is written to, for error texts */
};

/* Sets the result of all addresses and returns false. */
bool append_defer(struct append *ap, int basic_errno, const char *status, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same for a system call that failed; whoever logs it puts the text of the errno in front. */
bool append_sys(struct append *ap, int sys_errno, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool append_full(struct append *ap, bool files); /* our own quota */
/* An expanded option; false: result set. e NULL: *out = NULL. Forced failure: NULL if may_fail. */
bool append_expand(struct append *ap, const struct expr *e, const char *option, bool may_fail, const char **out);
/* prefix, message, suffix into fd; false: result set. */
bool append_write_all(struct append *ap, int fd, int64_t *written);
/* create_file: may `path` be created? False: result set. */
bool append_may_create(struct append *ap, const char *path);
/* Missing directories, if create_directory lets us. */
bool append_make_dirs(struct append *ap, const char *dir);

/* ---- appendfile_quota.c ---- */
bool append_read_quota(struct append *ap);
/* Size and number of the files in and below dir. skip: directories (relative) that do not count. */
bool append_count_directory(struct append *ap, const char *dir, const struct regex *only, int64_t *size,
                            int64_t *files);
/* Is there room? Sets the result when not. */
bool append_check_quota(struct append *ap);
/* quota_warn_threshold: the message took the mailbox over it. */
void append_warn(struct append *ap);

/* ---- appendfile_mbox.c, appendfile_lock.c ---- */
void append_to_file(struct append *ap);
/* "name.lock"; NULL: result set. */
const char *append_dotlock(struct append *ap);
void append_dotunlock(const char *name);
/* 1 locked, 0 busy (try again after closing the file), -1 error: result set. */
int append_lock_fd(struct append *ap, int fd);
/* When the last try to lock is due (tod_monotonic_ms): lock_retries tries take lock_interval each, or as long as they
   may block. append_lock_wait waits a little for the next; false: it is past. */
int64_t append_lock_deadline(const struct appendfile *t);
bool append_lock_wait(int64_t deadline);

/* ---- appendfile_dir.c, appendfile_maildir.c ---- */
void append_to_directory(struct append *ap); /* but not to a Maildir */
/* size_before and files_before of a directory, when a quota wants them. False: result set. */
bool append_count_mailbox(struct append *ap);
/* The halves of transport_driver: ap is in its own arena. */
struct transport_pending *append_maildir_begin(struct append *ap);
void append_maildir_finish(struct transport_pending *list);
/* A new file with the mode; -1 with errno: result set. */
int append_create(struct append *ap, const char *path);
/* fsync, close, all or nothing. */
bool append_finish(struct append *ap, int fd);

/* ---- appendfile_maildirsize.c ---- */
struct maildirsize {
    const char *top, *path;    /* of the mailbox; of the file */
    bool counts;               /* the directory delivered to takes part */
    int fd;                    /* -1: none */
    int64_t size, files;
};
bool append_maildirsize_open(struct append *ap, const char *dir, struct maildirsize *ms);
void append_maildirsize_add(struct maildirsize *ms, int64_t size);
const char *append_maildir_top(struct append *ap, const char *dir);

#endif
