#include "match/match_int.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "exim.h"

/* A file of items is read again whenever it changed; parsed ones are kept by what it is.
 */
enum { FILES_KEPT = 16, FILE_BYTES_MAX = 64 * 1024 * 1024 };

struct kept_file {
    struct arena *arena;
    const char *path;
    enum list_kind kind;
    struct stat st;
    uint64_t used;
    const struct match_program *program;
};

struct kept_files {
    uint64_t clock;
    struct kept_file v[FILES_KEPT];
};

static bool is_same(const struct kept_file *f, const char *path, enum list_kind kind,
                    const struct stat *st)
{
    return f->path != NULL && f->kind == kind && strcmp(f->path, path) == 0 &&
           f->st.st_dev == st->st_dev && f->st.st_ino == st->st_ino &&
           f->st.st_size == st->st_size &&
           memcmp(&f->st.st_mtim, &st->st_mtim, sizeof(st->st_mtim)) == 0 &&
           memcmp(&f->st.st_ctim, &st->st_ctim, sizeof(st->st_ctim)) == 0;
}

static void forget_all(void *arg)
{
    struct kept_files *all = arg;

    for (size_t i = 0; i < FILES_KEPT; i++)
        arena_destroy(&all->v[i].arena);
}

static struct kept_files *all_files(struct exim *x)
{
    struct kept_files **slot = (struct kept_files **)search_slot(x->search, "list files");

    if (*slot == NULL) {
        *slot = arena_new_obj(x->arena, struct kept_files);
        arena_on_destroy(x->arena, forget_all, *slot);
    }
    return *slot;
}

/* The kept file, or the place for it (program NULL). */
static struct kept_file *place_for(struct kept_files *all, const char *path,
                                   enum list_kind kind, const struct stat *st)
{
    struct kept_file *oldest = &all->v[0];

    for (size_t i = 0; i < FILES_KEPT; i++) {
        if (is_same(&all->v[i], path, kind, st))
            return &all->v[i];
        if (all->v[i].used < oldest->used)
            oldest = &all->v[i];
    }
    arena_destroy(&oldest->arena);
    *oldest =
        (struct kept_file){ .arena = arena_new("list file"), .kind = kind, .st = *st };
    oldest->path = arena_strdup(oldest->arena, path);
    return oldest;
}

static bool cannot_open(struct match_subject *s, const char *path)
{
    return err_sys(&s->ctx->err, s->ctx->arena, errno,
                   "failed to open %s when checking \"%s\"", path, path);
}

/* Reads into f->arena, parses there. */
static bool load(struct match_subject *s, struct kept_file *f)
{
    struct str text;
    struct err err = { 0 };

    if (!file_slurp(f->arena, f->path, FILE_BYTES_MAX, &text))
        return cannot_open(s, f->path);
    f->program = match_compile_lines(f->arena, f->kind, str_dup(f->arena, text), &err);
    if (f->program == NULL)
        err_set(&s->ctx->err, s->ctx->arena, "%s in %s", err.msg, f->path);
    return f->program != NULL;
}

const struct match_program *match_file_program(struct match_subject *s, const char *path)
{
    struct kept_files *all = all_files(s->ctx->exim);
    struct stat st;

    errno = 0;
    if (stat(path, &st) < 0 || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) {
        errno = errno == 0 ? EINVAL : errno;
        cannot_open(s, path);
        return NULL;
    }
    struct kept_file *f = place_for(all, path, s->kind, &st);
    f->used = ++all->clock;
    if (f->program == NULL && !load(s, f)) {
        f->path = NULL;
        return NULL;
    }
    return f->program;
}
