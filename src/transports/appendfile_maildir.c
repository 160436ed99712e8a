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

/* Nothing but the usual one look, when it is there: tmp and new are missed when they are used. */
static bool make_missing(struct append *ap)
{
    struct stat st;

    if (stat(arena_printf(ap->arena, "%s/cur", ap->path), &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    return append_make_dirs(ap, ap->path) && make_subdirs(ap);
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

/* One delivery between its halves. */
struct maildir_file {
    struct transport_pending base;
    struct append *ap;
    int fd;                 /* -1: closed */
    const char *temp;       /* path in tmp/; NULL: it has no name before path */
    const char *tag, *path; /* of maildir_tag; path in new/ */
    const char *dir;        /* of path */
    int64_t written;
    struct maildirsize ms;
    bool was_there; /* path is in the stead of the file of an earlier attempt */
    bool durable;
    bool failed; /* the result is set, the file is gone */
};

static bool name_is_taken(struct maildir_file *f, long tries)
{
    append_defer(f->ap, ERR_UNKNOWNERROR, "4.3.0", "failed to open %s (%ld tr%s)", f->temp, tries,
                 tries == 1 ? "y" : "ies");
    return false;
}

/* The next name made by this process must be another one: waits for the clock's next microsecond. */
static void pass_microsecond(const struct timespec *start)
{
    struct timespec now;

    do
        now = tod_now();
    while (now.tv_sec == start->tv_sec && now.tv_nsec / 1000 <= start->tv_nsec / 1000);
}

static const char *unique_name(struct append *ap)
{
    struct timespec now = tod_now();

    pass_microsecond(&now);
    return arena_printf(ap->arena, "%s/tmp/%ld.M%ldP%ld.%s", ap->path, (long)now.tv_sec, now.tv_nsec / 1000,
                        (long)getpid(), ap->call->ctx->exim->config->primary_hostname);
}

/* A file of its own in tmp/. False: result set. */
static bool create_unique(struct maildir_file *f)
{
    struct append *ap = f->ap;
    bool made = false;

    for (long tries = 0;;) {
        f->temp = unique_name(ap);
        ap->writing = f->temp + strlen(ap->path) + 1;
        f->fd = append_create(ap, f->temp);
        if (f->fd >= 0)
            return true;
        if (errno == ENOENT && !made) {
            made = true;
            if (!append_make_dirs(ap, ap->path) || !make_subdirs(ap))
                return false;
            continue;
        }
        if (errno != EEXIST)
            return false;
        if (tries++ >= ap->t->maildir_retries)
            return name_is_taken(f, tries);
        sleep(2);
    }
}

/* Where the system can make a file without a name, tmp/ is spared the name, and us the cleaning up. */
static bool create(struct maildir_file *f)
{
    struct append *ap = f->ap;

    f->fd = fd_open_unnamed(f->dir, (mode_t)ap->mode);
    if (f->fd < 0)
        return create_unique(f);
    if (ap->mode & 077) /* which the umask took */
        (void)fchmod(f->fd, (mode_t)ap->mode);
    ap->writing = f->dir;
    return true;
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

/* FNV-1a: the number stays the same from one process to the next. */
static uint64_t number_of(const char *s)
{
    uint64_t n = 0xcbf29ce484222325;

    for (; *s != '\0'; s++)
        n = (n ^ (unsigned char)*s) * 0x100000001b3;
    return n;
}

/* The same for the same delivery, whenever it is tried: one that a crash hid from the journal is found in
 * new/ when it is done again. */
static const char *final_name(const struct append *ap)
{
    const struct message *m = ap->call->message;
    const char *what = arena_printf(ap->arena, "%s\n%s", ap->call->addrs->unique, ap->t->base.name);

    return arena_printf(ap->arena, "%ld.E%sQ%016llx.%s", (long)m->received.tv_sec, m->id,
                        (unsigned long long)number_of(what), ap->call->ctx->exim->config->primary_hostname);
}

/* What an earlier attempt left is replaced: a power failure may have left pieces of it. */
static bool replace(struct maildir_file *f)
{
    f->was_there = true;
    if (f->temp == NULL) {
        const char *temp = unique_name(f->ap);
        if (!fd_name(f->fd, temp))
            return false;
        f->temp = temp;
    }
    return rename(f->temp, f->path) == 0;
}

static bool put_at(struct maildir_file *f, const char *name, const char *tag)
{
    f->path = arena_printf(f->ap->arena, "%s/%s%s", f->dir, name, tag);
    if (f->temp == NULL ? fd_name(f->fd, f->path) : fd_rename_new(f->temp, f->path))
        return true;
    return errno == EEXIST && replace(f);
}

/* With a name that is too long the tag is left out. */
static bool move_to_new(struct maildir_file *f)
{
    struct append *ap = f->ap;
    const char *name = final_name(ap);

    if (put_at(f, name, f->tag))
        return true;
    if (errno == ENAMETOOLONG && f->tag[0] != '\0' && put_at(f, name, ""))
        return true;
    if (errno == ENOENT && make_subdirs(ap) && put_at(f, name, f->tag))
        return true;
    return append_sys(ap, errno, "while renaming %s as %s", f->temp == NULL ? "a new file" : f->temp, f->path);
}

static bool write_file(struct maildir_file *f)
{
    struct append *ap = f->ap;

    f->dir = arena_printf(ap->arena, "%s/new", ap->path);
    if (!create(f))
        return false;
    if (append_check_quota(ap) && append_write_all(ap, f->fd, &f->written) && get_tag(ap, f->written, &f->tag)) {
        if (!ap->call->ctx->exim->config->main.disable_fsync)
            fd_sync_begin(f->fd);
        return true;
    }
    fd_close(f->fd);
    if (f->temp != NULL)
        (void)unlink(f->temp);
    return false;
}

/* ---- how full it is ---- */

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
        return append_count_mailbox(ap);
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

struct transport_pending *append_maildir_begin(struct append *ap)
{
    struct maildir_file *f = arena_new_obj(ap->arena, struct maildir_file);
    bool size_file;

    *f = (struct maildir_file){ .base.call = ap->call, .ap = ap, .fd = -1 };
    ap->writing = ap->path;
    if (!make_missing(ap) || !make_folder_mark(ap) || !wants_size_file(ap, &size_file) ||
        !measure(ap, size_file, &f->ms))
        return NULL;
    if (write_file(f))
        return &f->base;
    if (f->ms.fd >= 0)
        fd_close(f->ms.fd);
    return NULL;
}

/* ---- the second half ---- */

static struct maildir_file *file_of(struct transport_pending *p)
{
    return (struct maildir_file *)(void *)p;
}

/* A file with a name in tmp/ is on the disk before it comes to new/. One without may be seen in new/ a moment earlier:
   if the power fails then, whatever is there is replaced by the next attempt. */
static void put_in_place(struct maildir_file *f)
{
    if (f->temp != NULL && !append_finish(f->ap, f->fd)) {
        f->failed = true;
        (void)unlink(f->temp);
        return;
    }
    f->fd = f->temp == NULL ? f->fd : -1;
    f->failed = !move_to_new(f);
    if (!f->failed)
        return;
    if (f->fd >= 0)
        fd_close(f->fd);
    if (f->temp != NULL)
        (void)unlink(f->temp);
}

/* What is not durable will be delivered again: this copy goes. */
static void take_back(struct maildir_file *f)
{
    if (!f->was_there)
        (void)unlink(f->path);
    f->failed = true;
}

static void sync_bytes(struct maildir_file *f)
{
    f->durable = !f->was_there && fd_sync_covers_name(f->fd);
    if (!append_finish(f->ap, f->fd))
        take_back(f);
}

/* The names, after the bytes (Exim syncs the file only): each directory once, for all from `first` on. */
static void sync_names(struct transport_pending *first)
{
    const char *dir = file_of(first)->dir;
    bool ok = fd_sync_dir(dir);
    int why = errno;

    for (struct transport_pending *p = first; p != NULL; p = p->next) {
        struct maildir_file *f = file_of(p);
        if (f->failed || f->durable || strcmp(f->dir, dir) != 0)
            continue;
        if (!ok) {
            append_sys(f->ap, why, "error while syncing %s", dir);
            take_back(f);
        }
        f->durable = ok;
    }
}

static void set_result(struct maildir_file *f)
{
    if (!f->failed) {
        transport_set_all(f->ap->call, RC_OK, 0, "2.0.0", NULL);
        if (f->ms.fd >= 0 && f->ms.counts && !f->was_there)
            append_maildirsize_add(&f->ms, f->written);
        append_warn(f->ap);
    }
    if (f->ms.fd >= 0)
        fd_close(f->ms.fd);
}

void append_maildir_finish(struct transport_pending *list)
{
    for (struct transport_pending *p = list; p != NULL; p = p->next)
        put_in_place(file_of(p));
    for (struct transport_pending *p = list; p != NULL; p = p->next)
        if (!file_of(p)->failed && file_of(p)->fd >= 0)
            sync_bytes(file_of(p));
    for (struct transport_pending *p = list; p != NULL; p = p->next) {
        struct maildir_file *f = file_of(p);
        if (!f->failed && !f->durable && !f->ap->call->ctx->exim->config->main.disable_fsync)
            sync_names(p);
    }
    for (struct transport_pending *p = list; p != NULL; p = p->next)
        set_result(file_of(p));
}
