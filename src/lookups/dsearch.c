#include "lookups/lookups.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"

struct directory {
    struct arena *arena;
    int fd;
};

static void *open_directory(struct lookup_call *call)
{
    int fd = fd_open(call->filename, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0) {
        err_sys(&call->err, call->arena, errno, "failed to open %s for directory search",
                call->filename);
        return NULL;
    }
    struct arena *a = arena_new("dsearch");
    struct directory *d = arena_new_obj(a, struct directory);
    *d = (struct directory){ a, fd };
    arena_owns_fd(a, fd);
    return d;
}

static void close_directory(void *handle)
{
    struct directory *d = handle;
    struct arena *a = d->arena;

    arena_destroy(&a);
}

static bool passes(const char *options, const char *name, mode_t mode)
{
    const char *f = options == NULL ? NULL : strstr(options, "filter=");

    if (f == NULL)
        return true;
    f += strlen("filter=");
    if (cstr_starts(f, "file"))
        return S_ISREG(mode);
    if (cstr_starts(f, "dir"))
        return S_ISDIR(mode);
    if (cstr_starts(f, "subdir"))
        return S_ISDIR(mode) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    return true;
}

static enum rc find(struct lookup_call *call)
{
    struct directory *d = call->handle;
    struct stat st;

    if (strchr(call->key, '/') != NULL) {
        err_set(&call->err, call->arena, "key for dsearch lookup contains a slash: %s",
                call->key);
        return RC_DEFER;
    }
    if (fstatat(d->fd, call->key, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!passes(call->options, call->key, st.st_mode))
            return RC_FAIL;
        bool full = call->options != NULL && strstr(call->options, "ret=full") != NULL;
        call->result = full
                           ? arena_printf(call->arena, "%s/%s", call->filename, call->key)
                           : arena_strdup(call->arena, call->key);
        return RC_OK;
    }
    if (errno == ENOENT || errno == ENAMETOOLONG || errno == ENOTDIR)
        return RC_FAIL;
    err_sys(&call->err, call->arena, errno, "%s/%s: lstat", call->filename, call->key);
    return RC_DEFER;
}

const struct lookup_driver lookup_dsearch = {
    .name = "dsearch",
    .flags = LOOKUP_ABSFILE,
    .open = open_directory,
    .find = find,
    .close = close_directory,
};
