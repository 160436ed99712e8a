#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "transports/appendfile_int.h"

int append_create(struct append *ap, const char *path)
{
    int fd = fd_open(path, O_WRONLY | O_CREAT | O_EXCL, (mode_t)ap->mode);

    if (fd < 0) {
        int why = errno;
        append_sys(ap, why, "while creating file %s", path);
        errno = why;
        return -1;
    }
    if (ap->mode & 077) /* which the umask took */
        (void)fchmod(fd, (mode_t)ap->mode);
    return fd;
}

bool append_finish(struct append *ap, int fd)
{
    bool ok = ap->call->ctx->exim->config->main.disable_fsync || fd_sync(fd);
    int why = errno;

    if (fd_close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    return ok || append_sys(ap, why, "error while writing to %s", ap->writing);
}

/* What a deferred delivery leaves is delivered again: the new names go when they are not durable. */
static bool sync_directory(struct append *ap, const char *path, const char *other)
{
    if (ap->call->ctx->exim->config->main.disable_fsync || fd_sync_dir(ap->path))
        return true;
    append_sys(ap, errno, "error while syncing directory %s", ap->path);
    (void)unlink(path);
    if (other != NULL)
        (void)unlink(other);
    return false;
}

/* ---- one file per message, named by directory_file ---- */

static bool final_name(struct append *ap, int fd, const char **name)
{
    struct expand_ctx *ctx = ap->call->ctx;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return append_sys(ap, errno, "while examining %s", ap->writing);
    ctx->inode = arena_printf(ap->arena, "%llu", (unsigned long long)st.st_ino);
    bool ok = append_expand(ap, ap->t->directory_file, "directory_file", false, name);
    ctx->inode = NULL;
    if (ok && ((*name)[0] == '\0' || strchr(*name, '/') != NULL))
        return append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "directory_file of %s transport gives no file name: \"%s\"",
                            ap->t->base.name, *name);
    return ok;
}

static bool write_plain(struct append *ap, const char *temp)
{
    const char *name;
    int64_t written;
    int fd = append_create(ap, temp);

    if (fd < 0)
        return false;
    if (!append_write_all(ap, fd, &written) || !final_name(ap, fd, &name)) {
        fd_close(fd);
        return false;
    }
    if (!append_finish(ap, fd))
        return false;
    const char *path = arena_printf(ap->arena, "%s/%s", ap->path, name);
    if (rename(temp, path) != 0)
        return append_sys(ap, errno, "renaming file %s as %s", temp, path);
    return sync_directory(ap, path, NULL);
}

static bool deliver_plain(struct append *ap)
{
    const char *temp = arena_printf(ap->arena, "%s/temp.%ld.%s", ap->path, (long)getpid(),
                                    ap->call->ctx->exim->config->primary_hostname);

    ap->writing = temp;
    if (write_plain(ap, temp))
        return true;
    (void)unlink(temp);
    return false;
}

/* ---- mailstore: envelope and message side by side ---- */

static bool put_optional(struct append *ap, struct buf *b, const struct expr *e, const char *option)
{
    const char *v;

    if (!append_expand(ap, e, option, true, &v))
        return false;
    if (v != NULL && v[0] != '\0')
        buf_printf(b, "%s%s", v, cstr_ends(v, "\n") ? "" : "\n");
    return true;
}

static bool print_envelope(struct append *ap, struct buf *b)
{
    bool affixes = ap->t->base.rcpt_include_affixes;

    if (!put_optional(ap, b, ap->t->mailstore_prefix, "mailstore_prefix"))
        return false;
    buf_printf(b, "%s\n", ap->call->return_path);
    for (const struct address *addr = ap->call->addrs; addr != NULL; addr = addr->next)
        buf_printf(b, "%s\n", bsmtp_recipient(ap->arena, addr, affixes));
    return put_optional(ap, b, ap->t->mailstore_suffix, "mailstore_suffix");
}

static bool make_envelope(struct append *ap, const char *path)
{
    struct buf b = buf_init(ap->arena, BUF_DEFAULT_CEILING);

    ap->writing = path;
    if (!print_envelope(ap, &b))
        return false;
    int fd = append_create(ap, path);
    if (fd < 0)
        return false;
    if (fd_write_all(fd, b.p, b.len))
        return append_finish(ap, fd);
    append_sys(ap, errno, "error while writing to %s", path);
    fd_close(fd);
    return false;
}

static bool make_message(struct append *ap, const char *path)
{
    int64_t written;

    ap->writing = path;
    int fd = append_create(ap, path);
    if (fd < 0)
        return false;
    if (append_write_all(ap, fd, &written))
        return append_finish(ap, fd);
    fd_close(fd);
    return false;
}

static bool deliver_mailstore(struct append *ap)
{
    struct expand_ctx *ctx = ap->call->ctx;
    const char *base = arena_printf(ap->arena, "%s-%lx", ap->call->message->id, (unsigned long)getpid());
    const char *temp = arena_printf(ap->arena, "%s/%s.tmp", ap->path, base);
    const char *env = arena_printf(ap->arena, "%s/%s.env", ap->path, base);
    const char *msg = arena_printf(ap->arena, "%s/%s.msg", ap->path, base);

    ctx->mailstore_basename = base;
    bool ok = make_envelope(ap, temp) && make_message(ap, msg);
    ctx->mailstore_basename = NULL;
    if (ok && rename(temp, env) != 0)
        ok = append_sys(ap, errno, "renaming file %s as %s", temp, env);
    if (ok)
        return sync_directory(ap, env, msg);
    (void)unlink(temp);
    (void)unlink(msg);
    return false;
}

/* ---- what all directories have in common ---- */

bool append_count_mailbox(struct append *ap)
{
    const char *dir;
    int64_t size, files;

    if ((ap->quota <= 0 && ap->threshold <= 0) || (ap->size_before >= 0 && ap->files_before >= 0))
        return true;
    if (!append_expand(ap, ap->t->quota_directory, "quota_directory", false, &dir))
        return false;
    if (dir == NULL)
        dir = ap->maildir ? append_maildir_top(ap, ap->path) : ap->path;
    if (!append_count_directory(ap, dir, NULL, &size, &files))
        return false;
    if (ap->size_before < 0)
        ap->size_before = size;
    if (ap->files_before < 0)
        ap->files_before = files;
    return true;
}

void append_to_directory(struct append *ap)
{
    ap->writing = ap->path;
    if (!append_make_dirs(ap, ap->path) || !append_count_mailbox(ap) || !append_check_quota(ap))
        return;
    if (!(ap->mailstore ? deliver_mailstore(ap) : deliver_plain(ap)))
        return;
    transport_set_all(ap->call, RC_OK, 0, "2.0.0", NULL);
    append_warn(ap);
}
