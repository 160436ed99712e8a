#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "regex.h"
#include "transports/appendfile_int.h"

/* ---- the directories ---- */

static bool make_subdirs(struct append *ap)
{
    static const char *const names[] = { "tmp", "new", "cur" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *dir = arena_printf(ap->arena, "%s/%s", ap->path, names[i]);
        struct stat st;
        if (stat(dir, &st) == 0) {
            if (!S_ISDIR(st.st_mode))
                return append_defer(ap, ERR_NOTDIRECTORY, "4.3.5", "%s is not a directory", dir);
            continue;
        }
        if (errno != ENOENT)
            return append_sys(ap, errno, "stat() error for %s", dir);
        if (!ap->t->create_directory)
            return append_defer(ap, ENOENT, "4.3.5", "%s does not exist and create_directory is false", dir);
        if (mkdir(dir, (mode_t)ap->t->directory_mode) != 0 && errno != EEXIST)
            return append_sys(ap, errno, "cannot create %s", dir);
    }
    return true;
}

static bool make_folder_mark(struct append *ap)
{
    if (ap->t->folder_re == NULL || !regex_test(ap->t->folder_re, str_from(ap->path)))
        return true;
    const char *mark = arena_printf(ap->arena, "%s/maildirfolder", ap->path);
    int fd = fd_open(mark, O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return append_sys(ap, errno, "appendfile: failed to create maildirfolder file in %s directory", ap->path);
    fd_close(fd);
    return true;
}

const char *append_maildir_top(struct append *ap, const char *dir)
{
    const char *slash = strrchr(dir, '/');

    if (slash == NULL || slash == dir || access(arena_printf(ap->arena, "%s/maildirfolder", dir), F_OK) != 0)
        return dir;
    return arena_strndup(ap->arena, dir, (size_t)(slash - dir));
}

/* ---- the file ---- */

/* A file of its own in tmp/. -1: result set. *base: its name without directory. */
static int create_unique(struct append *ap, const char **base, const char **temp)
{
    const char *host = ap->call->ctx->exim->config->primary_hostname;
    struct stat st;

    for (long i = 0;; i++) {
        struct timespec now = tod_now();
        *base = arena_printf(ap->arena, "%ld.M%ldP%ld.%s", (long)now.tv_sec, now.tv_nsec / 1000, (long)getpid(), host);
        *temp = arena_printf(ap->arena, "%s/tmp/%s", ap->path, *base);
        ap->writing = arena_printf(ap->arena, "tmp/%s", *base);
        if (lstat(*temp, &st) != 0 && errno == ENOENT)
            return append_create(ap, *temp);
        if (i >= ap->t->maildir_retries) {
            append_defer(ap, ERR_UNKNOWNERROR, "4.3.0", "failed to open %s (%ld tr%s)", *temp, i + 1,
                         i == 0 ? "y" : "ies");
            return -1;
        }
        sleep(2);
    }
}

/* The next name made by this process must be another one: waits for the clock's next microsecond. */
static void pass_microsecond(const struct timespec *start)
{
    struct timespec now;

    do
        now = tod_now();
    while (now.tv_sec == start->tv_sec && now.tv_nsec / 1000 <= start->tv_nsec / 1000);
}

/* maildir_tag with $message_size as written; "" when there is none. */
static bool get_tag(struct append *ap, int64_t written, const char **tag)
{
    struct expand_ctx *ctx = ap->call->ctx;
    struct message *m = ctx->message, copy;
    const char *v;

    *tag = "";
    if (ap->t->maildir_tag == NULL)
        return true;
    if (m != NULL) {
        copy = *m;
        copy.message_size = written;
        ctx->message = &copy;
    }
    bool ok = append_expand(ap, ap->t->maildir_tag, "maildir_tag", true, &v);
    ctx->message = m;
    if (!ok || v == NULL)
        return ok;
    char *out = arena_alloc(ap->arena, strlen(v) + 2, 1), *p = out;
    for (; *v != '\0'; v++) {
        if (!is_print(*v) || *v == '/')
            continue;
        if (p == out && is_alnum(*v))
            *p++ = ':';
        *p++ = *v;
    }
    *p = '\0';
    *tag = out;
    return true;
}

/* From tmp to new. With a name that is too long the tag is left out. */
static bool move_to_new(struct append *ap, const char *temp, const char *base, const char *tag,
                        const char **to)
{
    *to = arena_printf(ap->arena, "%s/new/%s%s", ap->path, base, tag);
    if (rename(temp, *to) == 0)
        return true;
    if (errno == ENAMETOOLONG && tag[0] != '\0') {
        *to = arena_printf(ap->arena, "%s/new/%s", ap->path, base);
        if (rename(temp, *to) == 0)
            return true;
    }
    return append_sys(ap, errno, "while renaming %s as %s", temp, *to);
}

/* Durable before we say so: the bytes, then the name (Exim syncs the file only). It will be delivered
 * again otherwise: this copy goes. */
static bool sync_new(struct append *ap, const char *path)
{
    const char *dir = arena_printf(ap->arena, "%s/new", ap->path);

    if (ap->call->ctx->exim->config->main.disable_fsync || fd_sync_dir(dir))
        return true;
    append_sys(ap, errno, "error while syncing %s", dir);
    (void)unlink(path);
    return false;
}

static bool write_file(struct append *ap, int fd, const char *temp, const char *base, int64_t *written)
{
    const char *tag, *path;

    if (!append_write_all(ap, fd, written) || !get_tag(ap, *written, &tag)) {
        fd_close(fd);
        return false;
    }
    return append_finish(ap, fd) && move_to_new(ap, temp, base, tag, &path) && sync_new(ap, path);
}

static bool deliver_file(struct append *ap, int64_t *written)
{
    const char *base, *temp;
    struct timespec start = tod_now();
    int fd = create_unique(ap, &base, &temp);

    if (fd < 0)
        return false;
    bool ok = append_check_quota(ap);
    if (ok)
        ok = write_file(ap, fd, temp, base, written);
    else
        fd_close(fd);
    if (!ok)
        (void)unlink(temp);
    pass_microsecond(&start);
    return ok;
}

/* ---- how full it is ---- */

static bool count_files(struct append *ap)
{
    const char *top;
    int64_t size, files;

    if ((ap->quota <= 0 && ap->threshold <= 0) || (ap->size_before >= 0 && ap->files_before >= 0))
        return true;
    if (!append_expand(ap, ap->t->quota_directory, "quota_directory", false, &top))
        return false;
    if (top == NULL)
        top = append_maildir_top(ap, ap->path);
    if (!append_count_directory(ap, top, NULL, &size, &files))
        return false;
    if (ap->size_before < 0)
        ap->size_before = size;
    if (ap->files_before < 0)
        ap->files_before = files;
    return true;
}

static bool wants_size_file(struct append *ap, bool *out)
{
    *out = false;
    if (ap->t->maildir_use_size_file == NULL)
        return true;
    enum expand_rc rc = expand_bool(ap->call->ctx, ap->t->maildir_use_size_file, false, out);
    return rc == EXPAND_OK || rc == EXPAND_FORCED ||
           append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "Expansion of \"%s\" (maildir_use_size_file for %s transport) failed: %s",
                        ap->t->maildir_use_size_file->text, ap->t->base.name, ap->call->ctx->err.msg);
}

static bool measure(struct append *ap, bool size_file, struct maildirsize *ms)
{
    *ms = (struct maildirsize){ .fd = -1 };
    if (!size_file)
        return count_files(ap);
    if (!append_maildirsize_open(ap, ap->path, ms))
        return false;
    if (!ms->counts) { /* a folder that quota does not cover */
        ap->quota = ap->threshold = 0;
        return true;
    }
    if (ap->size_before < 0)
        ap->size_before = ms->size;
    if (ap->files_before < 0)
        ap->files_before = ms->files;
    return true;
}

void append_to_maildir(struct append *ap)
{
    struct maildirsize ms;
    int64_t written = 0;
    bool size_file;

    ap->writing = ap->path;
    if (!append_make_dirs(ap, ap->path) || !make_subdirs(ap) || !make_folder_mark(ap) ||
        !wants_size_file(ap, &size_file) || !measure(ap, size_file, &ms))
        return;
    if (deliver_file(ap, &written)) {
        transport_set_all(ap->call, RC_OK, 0, "2.0.0", NULL);
        if (ms.fd >= 0 && ms.counts)
            append_maildirsize_add(&ms, written);
        append_warn(ap);
    }
    if (ms.fd >= 0)
        fd_close(ms.fd);
}
