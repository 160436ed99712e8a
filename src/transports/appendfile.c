#include "transports/appendfile.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "regex.h"
#include "transports/appendfile_int.h"

/* clang-format off */
#define QUOTA_DIRECTORIES "^(?:cur|new|\\..*)$" /* the default: seldom asked for, and without a mistake */
#define T struct appendfile
static const struct option options[] = {
    OPTION_BOOL(T, allow_fifo, false),
    OPTION_BOOL(T, allow_symlink, false),
    OPTION_("batch_id", KIND_EXPAND, const struct expr *, T, base.batch_id, NULL),
    OPTION_("batch_max", KIND_INT, long, T, base.batch_max, &(const long){ 1 }),
    OPTION_BOOL(T, check_group, false),
    OPTION_BOOL(T, check_owner, true),
    OPTION_STRING(T, check_string, NULL),
    OPTION_BOOL(T, create_directory, true),
    OPTION_STRING(T, create_file, "anywhere"),
    OPTION_EXPAND(T, directory, NULL),
    OPTION_EXPAND(T, directory_file, "q${base62:$tod_epoch}-$inode"),
    OPTION_OCTAL(T, directory_mode, APPENDFILE_DIRECTORY_MODE),
    OPTION_STRING(T, escape_string, NULL),
    OPTION_EXPAND(T, file, NULL),
    OPTION_STRING(T, file_format, NULL),
    OPTION_BOOL(T, file_must_exist, false),
    OPTION_TIME(T, lock_fcntl_timeout, 0),
    OPTION_TIME(T, lock_flock_timeout, 0),
    OPTION_TIME(T, lock_interval, 3),
    OPTION_INT(T, lock_retries, 10),
    OPTION_OCTAL(T, lockfile_mode, APPENDFILE_LOCKFILE_MODE),
    OPTION_TIME(T, lockfile_timeout, 1800),
    OPTION_EXPAND(T, mailbox_filecount, NULL),
    OPTION_EXPAND(T, mailbox_size, NULL),
#ifdef SUPPORT_MAILDIR
    OPTION_BOOL(T, maildir_format, false),
    OPTION_STRING(T, maildir_quota_directory_regex, QUOTA_DIRECTORIES),
    OPTION_INT(T, maildir_retries, 10),
    OPTION_EXPAND(T, maildir_tag, NULL),
    OPTION_EXPAND_BOOL(T, maildir_use_size_file, NULL),
    OPTION_STRING(T, maildirfolder_create_regex, NULL),
#endif
#ifdef SUPPORT_MAILSTORE
    OPTION_BOOL(T, mailstore_format, false),
    OPTION_EXPAND(T, mailstore_prefix, NULL),
    OPTION_EXPAND(T, mailstore_suffix, NULL),
#endif
    OPTION_EXPAND(T, message_prefix, NULL),
    OPTION_EXPAND(T, message_suffix, NULL),
    OPTION_OCTAL(T, mode, APPENDFILE_MODE),
    OPTION_BOOL(T, mode_fail_narrower, true),
    OPTION_BOOL(T, notify_comsat, false),
    OPTION_EXPAND(T, quota, NULL),
    OPTION_EXPAND(T, quota_directory, NULL),
    OPTION_EXPAND(T, quota_filecount, NULL),
    OPTION_BOOL(T, quota_is_inclusive, true),
    OPTION_STRING(T, quota_size_regex, NULL),
    OPTION_EXPAND(T, quota_warn_message, NULL),
    OPTION_EXPAND(T, quota_warn_threshold, NULL),
    OPTION_BOOL(T, use_bsmtp, false),
    OPTION_BOOL(T, use_crlf, false),
    OPTION_BOOL(T, use_fcntl_lock, true),
    OPTION_BOOL(T, use_flock_lock, false),
    OPTION_BOOL(T, use_lockfile, true),
};
/* clang-format on */

static const char default_prefix[] = "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n";

static bool compile_regex(struct arena *a, const char *text, const struct regex **out, struct err *err)
{
    if (text != NULL)
        *out = regex_compile(a, text, strcmp(text, QUOTA_DIRECTORIES) == 0 ? REGEX_LATER : 0, err);
    return text == NULL || *out != NULL;
}

static bool check_where(struct appendfile *t, struct arena *a, struct err *err)
{
    if (strcmp(t->create_file, "anywhere") == 0)
        t->where = CREATE_ANYWHERE;
    else if (strcmp(t->create_file, "belowhome") == 0)
        t->where = CREATE_BELOWHOME;
    else if (strcmp(t->create_file, "inhome") == 0)
        t->where = CREATE_INHOME;
    else if (t->create_file[0] == '/')
        t->where = CREATE_BELOWPATH;
    else
        return err_set(err, a, "invalid value given for \"create_file\" for the %s transport: \"%s\"", t->base.name,
                       t->create_file);
    return true;
}

/* Defaults that depend on the kind of mailbox. */
static bool set_defaults(struct appendfile *t, struct arena *a, struct err *err)
{
    bool mbox = t->directory == NULL && !t->maildir_format && !t->mailstore_format;

    if (t->use_bsmtp) {
        t->check_string = ".";
        t->escape_string = "..";
        return true;
    }
    if (!mbox)
        return true;
    if (t->message_prefix == NULL && (t->message_prefix = expr_compile(a, default_prefix, err)) == NULL)
        return false;
    if (t->message_suffix == NULL && (t->message_suffix = expr_compile(a, "\n", err)) == NULL)
        return false;
    if (t->check_string == NULL && t->escape_string == NULL) {
        t->check_string = "From ";
        t->escape_string = ">From ";
    }
    return true;
}

static bool appendfile_check(struct transport *base, const struct config *cfg, struct arena *a, struct err *err)
{
    struct appendfile *t = (struct appendfile *)base;

    (void)cfg;
    if (t->file != NULL && t->directory != NULL)
        return err_set(err, a, "only one of \"file\" or \"directory\" can be specified");
    if (t->maildir_format && t->mailstore_format)
        return err_set(err, a, "only one of maildir and mailstore may be specified");
    if (t->file != NULL && (t->maildir_format || t->mailstore_format))
        return err_set(err, a, "%s_format cannot be used with \"file\"", t->maildir_format ? "maildir" : "mailstore");
    if (t->file != NULL && !t->use_fcntl_lock && !t->use_flock_lock && !t->use_lockfile)
        return err_set(err, a, "no locking configured");
    if (t->base.body_only && t->base.headers_only)
        return err_set(err, a, "headers_only and body_only are mutually exclusive");
    t->base.retry_use_local_part = true;
    return check_where(t, a, err) && set_defaults(t, a, err) &&
           compile_regex(a, t->maildir_quota_directory_regex, &t->quota_directory_re, err) &&
           compile_regex(a, t->maildirfolder_create_regex, &t->folder_re, err) &&
           compile_regex(a, t->quota_size_regex, &t->size_re, err);
}

/* ---- results ---- */

static bool fail_all(struct append *ap, int basic_errno, const char *status, const char *text)
{
    transport_set_all(ap->call, RC_DEFER, basic_errno, status, text);
    return false;
}

bool append_defer(struct append *ap, int basic_errno, const char *status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const char *text = arena_vprintf(ap->arena, fmt, args);
    va_end(args);
    return fail_all(ap, basic_errno, status, text);
}

/* RFC 3463 for what a file system says. */
static const char *status_of(int sys_errno)
{
    switch (sys_errno) {
    case EDQUOT:
        return "4.2.2";
    case EACCES:
    case EPERM:
        return "4.3.5";
    default:
        return "4.3.1";
    }
}

bool append_sys(struct append *ap, int sys_errno, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const char *text = arena_vprintf(ap->arena, fmt, args);
    va_end(args);
    return fail_all(ap, sys_errno, status_of(sys_errno), text);
}

bool append_full(struct append *ap, bool files)
{
    return append_defer(ap, ERR_EXIMQUOTA, "4.2.2", "mailbox is full (MTA-imposed %squota exceeded while writing to %s)",
                        files ? "filecount " : "", ap->writing);
}

bool append_expand(struct append *ap, const struct expr *e, const char *option, bool may_fail, const char **out)
{
    *out = NULL;
    if (e == NULL)
        return true;
    enum expand_rc rc = expand(ap->call->ctx, e, out);
    if (rc == EXPAND_OK)
        return true;
    *out = NULL;
    if (rc == EXPAND_FORCED && may_fail)
        return true;
    return append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "Expansion of \"%s\" (%s for %s transport) failed: %s", e->text,
                        option, ap->t->base.name, ap->call->ctx->err.msg);
}

/* ---- writing ---- */

static bool to_fd(void *arg, const void *p, size_t n)
{
    return fd_write_all(*(int *)arg, p, n);
}

static bool write_text(struct append *ap, int fd, const char *text, int64_t *written)
{
    size_t n = text == NULL ? 0 : strlen(text);

    if (n > 0 && !fd_write_all(fd, text, n))
        return append_sys(ap, errno, "error while writing to %s", ap->writing);
    *written += (int64_t)n;
    return true;
}

static bool write_message(struct append *ap, int fd, int64_t *written)
{
    const struct appendfile *t = ap->t;
    struct transport_output out = { .crlf = t->use_crlf, .check_string = ap->check_string,
                                    .escape_string = ap->escape_string,
                                    .add_return_path = t->base.return_path_add,
                                    .add_delivery_date = t->base.delivery_date_add,
                                    .add_envelope_to = t->base.envelope_to_add, .write = to_fd, .arg = &fd };
    struct err err = { 0 };

    if (transport_write_message(&t->base, ap->call, &out, &err)) {
        *written += out.written;
        return true;
    }
    if (err.sys_errno == EDQUOT)
        return append_defer(ap, EDQUOT, "4.2.2", "mailbox is full (quota exceeded while writing to %s)", ap->writing);
    if (err.sys_errno == ERR_FILTER_FAIL) {
        const char *reason = strstr(err.msg, ": unable");
        size_t n = reason != NULL ? (size_t)(reason - err.msg) : strlen(err.msg);
        return append_defer(ap, ERR_FILTER_FAIL, "4.3.0", "%.*s while writing to %s%s", (int)n, err.msg, ap->writing,
                            err.msg + n);
    }
    if (err.sys_errno != 0)
        return append_sys(ap, err.sys_errno, "error while writing to %s", ap->writing);
    return append_defer(ap, ERR_UNKNOWNERROR, "4.3.0", "%s", err.msg);
}

bool append_write_all(struct append *ap, int fd, int64_t *written)
{
    const struct appendfile *t = ap->t;
    const char *eol = t->use_crlf ? "\r\n" : "\n";
    bool bsmtp = t->use_bsmtp;

    *written = 0;
    return write_text(ap, fd, ap->prefix, written) &&
           write_text(ap, fd, bsmtp ? bsmtp_head(ap->call, t->base.rcpt_include_affixes, t->use_crlf) : NULL,
                      written) &&
           write_message(ap, fd, written) && write_text(ap, fd, ap->suffix, written) &&
           write_text(ap, fd, bsmtp ? arena_printf(ap->arena, ".%s", eol) : NULL, written);
}

/* ---- where to ---- */

/* Is path in (below) base? "../" is no way around. */
static bool is_below(const char *path, const char *base, bool direct)
{
    size_t n = strlen(base);

    while (n > 0 && base[n - 1] == '/')
        n--;
    if (strncmp(path, base, n) != 0 || path[n] != '/' || strstr(path, "/../") != NULL || cstr_ends(path, "/.."))
        return false;
    return !direct || strchr(path + n + 1, '/') == NULL;
}

bool append_may_create(struct append *ap, const char *path)
{
    const struct appendfile *t = ap->t;
    const char *home = ap->call->addrs->home_dir;
    bool ok = true;

    if (t->where == CREATE_ANYWHERE)
        return true;
    if (t->where == CREATE_BELOWPATH)
        ok = is_below(path, t->create_file, false);
    else if (home != NULL)
        ok = is_below(path, home, t->where == CREATE_INHOME);
    return ok || append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "create_file is set to %s but %s is outside it (%s)",
                              t->create_file, path, home == NULL ? "no home directory" : home);
}

bool append_make_dirs(struct append *ap, const char *dir)
{
    struct stat st;

    if (stat(dir, &st) == 0)
        return S_ISDIR(st.st_mode) || append_defer(ap, ERR_NOTDIRECTORY, "4.3.5", "%s is not a directory", dir);
    if (!ap->t->create_directory)
        return append_sys(ap, errno, "%s does not exist and create_directory is false", dir);
    if (!append_may_create(ap, dir))
        return false;
    return dir_make(dir, (mode_t)ap->t->directory_mode) || append_sys(ap, errno, "cannot create %s", dir);
}

static bool set_path(struct append *ap)
{
    const struct appendfile *t = ap->t;
    const struct address *addr = ap->call->addrs;
    const struct expr *e = t->file != NULL ? t->file : t->directory;

    if (e != NULL) {
        if (!append_expand(ap, e, "file or directory name", false, &ap->path))
            return false;
    } else if (addr->flags & ADDR_FILE) {
        ap->path = addr->address;
    } else {
        return append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "Mandatory file or directory option missing from %s transport",
                            t->base.name);
    }
    if (ap->path[0] != '/')
        return append_defer(ap, ERR_NOTABSOLUTE, "4.3.5", "appendfile: file or directory name \"%s\" is not absolute",
                            ap->path);
    size_t n = strlen(ap->path);
    ap->to_directory = t->directory != NULL || t->maildir_format || t->mailstore_format ||
                       (e == NULL && ap->path[n - 1] == '/');
    while (ap->to_directory && n > 1 && ap->path[n - 1] == '/')
        n--;
    ap->path = arena_strndup(ap->arena, ap->path, n);
    return true;
}

static bool set_format(struct append *ap)
{
    const struct appendfile *t = ap->t;

    ap->maildir = t->maildir_format;
    ap->mailstore = t->mailstore_format;
    ap->mode = t->mode;
    /* With neither option set the defaults are those of a mailbox file; a directory has none. */
    bool plain_dir = ap->to_directory && t->file == NULL && t->directory == NULL && !t->maildir_format &&
                     !t->mailstore_format && !t->use_bsmtp;
    ap->check_string = plain_dir ? NULL : t->check_string;
    ap->escape_string = t->escape_string;
    if (plain_dir)
        return true;
    return append_expand(ap, t->message_prefix, "message_prefix", true, &ap->prefix) &&
           append_expand(ap, t->message_suffix, "message_suffix", true, &ap->suffix);
}

/* To a Maildir: what is left to do. Else the result is set. */
static struct transport_pending *appendfile_begin(const struct transport *base, struct transport_call *call)
{
    struct append *ap = arena_new_obj(call->ctx->arena, struct append);

    *ap = (struct append){ .t = (const struct appendfile *)base, .call = call, .arena = call->ctx->arena,
                           .size_before = -1, .files_before = -1 };
    call->ctx->return_path = call->return_path;
    if (!set_path(ap))
        return NULL;
    if (strcmp(ap->path, "/dev/null") == 0) {
        transport_set_all(call, RC_OK, 0, "2.0.0", NULL);
        return NULL;
    }
    if (!set_format(ap) || !append_read_quota(ap))
        return NULL;
    ap->message_size = transport_message_size(base, call, ap->t->use_crlf);
    if (ap->to_directory && ap->maildir)
        return append_maildir_begin(ap);
    if (ap->to_directory)
        append_to_directory(ap);
    else
        append_to_file(ap);
    return NULL;
}

static void appendfile_deliver(const struct transport *base, struct transport_call *call)
{
    struct transport_pending *p = appendfile_begin(base, call);

    if (p != NULL)
        append_maildir_finish(p);
}

/* A new file each, and no sum of sizes that they share. */
static bool is_independent(const struct transport *t)
{
    const struct appendfile *af = (const struct appendfile *)(const void *)t;

    return af->maildir_format && af->quota == NULL && af->quota_warn_threshold == NULL;
}

const struct transport_driver transport_appendfile = {
    .name = "appendfile",
    .instance_size = sizeof(struct appendfile),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = TRANSPORT_LOCAL,
    .check = appendfile_check,
    .deliver = appendfile_deliver,
    .independent = is_independent,
    .begin = appendfile_begin,
    .finish = append_maildir_finish,
};
