#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ctype.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "spool.h"
#include "spool_int.h"

enum { ORPHAN_AGE = 60 }; /* seconds: younger ones may be somebody's work */

struct spool_entries {
    struct spool_entry *list;
    size_t count, room;
};

const char spool_subs[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* A folder when it was read. A later change shows in its time, unless it was changed in the last moment before. */
struct folder {
    struct timespec changed;
    bool settled;
};

struct spool_extras {
    struct spool_entries data, journals, temps; /* temps: id is what stands behind "hdr." */
    struct folder folders[sizeof(spool_subs)];  /* input, and one for each of spool_subs */
};

/* One walk over input or msglog and its split directories. */
struct walk {
    struct exim *exim;
    struct arena *arena;
    struct err *err;
    const char *top; /* of the spool: input or msglog */
    void (*visit)(struct walk *w, int dirfd, const char *name, char sub);
    struct spool_entries messages;
    struct spool_extras *extras;
    bool all; /* extras are wanted, not only journals */
    struct hash *known; /* messages that have an envelope, when files without one are looked for */
};

static size_t folder_index(char sub)
{
    return sub == '\0' ? 0 : (size_t)(strchr(spool_subs, sub) - spool_subs) + 1;
}

static void note_folder(struct walk *w, int fd, char sub)
{
    enum { TICKS_MS = 100, SECONDS_MS = 2000 }; /* some file systems keep whole seconds only */
    struct timespec now = tod_now();
    struct stat st;

    if (!w->all || fstat(fd, &st) != 0)
        return;
    int64_t ms = (now.tv_sec - st.st_mtim.tv_sec) * 1000 + (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
    w->extras->folders[folder_index(sub)] = (struct folder){
        st.st_mtim, ms >= (st.st_mtim.tv_nsec == 0 ? SECONDS_MS : TICKS_MS) };
}

bool spool_has_no_journal(const struct exim *e, const char *near)
{
    const struct spool_extras *x = e->spool_scan;
    size_t top = strlen(spool_input) + 1; /* "input/x/id-H" or "input/id-H" */
    struct stat st;

    if (x == NULL || x->journals.count > 0)
        return false;
    bool split = near[top + 1] == '/';
    char path[sizeof("input/x")] = "input";
    if (split)
        memcpy(path, near, top + 1);
    const struct folder *f = &x->folders[folder_index(split ? near[top] : '\0')];
    return f->settled && fstatat(*e->spool_fd, path, &st, 0) == 0 && st.st_mtim.tv_sec == f->changed.tv_sec &&
           st.st_mtim.tv_nsec == f->changed.tv_nsec;
}

static bool walk_dir(struct walk *w, const char *path, char sub)
{
    DIR *d = opendir(path);
    struct dirent *entry;

    if (d == NULL)
        return errno == ENOENT || err_sys(w->err, w->arena, errno, "cannot read %s", path);
    note_folder(w, dirfd(d), sub);
    while (errno = 0, (entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            w->visit(w, dirfd(d), entry->d_name, sub);
    bool ok = errno == 0 || err_sys(w->err, w->arena, errno, "cannot read %s", path);
    (void)closedir(d);
    return ok;
}

static bool walk_all(struct walk *w)
{
    const char *top = arena_printf(w->arena, "%s/%s", w->exim->config->spool_directory, w->top);
    bool ok = walk_dir(w, top, '\0');

    for (const char *c = spool_subs; ok && *c != '\0'; c++)
        ok = walk_dir(w, arena_printf(w->arena, "%s/%c", top, *c), *c);
    return ok;
}

bool spool_is_file(const char *name, const char *suffix, char id[17])
{
    if (strlen(name) != MSGID_LEN + 2 || strcmp(name + MSGID_LEN, suffix) != 0)
        return false;
    memcpy(id, name, MSGID_LEN);
    id[MSGID_LEN] = '\0';
    return msgid_valid(id);
}

static void add_entry(struct walk *w, struct spool_entries *to, const char *id, char sub)
{
    if (to->count == to->room) {
        size_t old = to->room * sizeof(*to->list);

        to->room = to->room == 0 ? 256 : to->room * 2;
        to->list = arena_realloc(w->arena, to->list, old, to->room * sizeof(*to->list));
    }
    struct spool_entry *entry = &to->list[to->count++];
    *entry = (struct spool_entry){ .subdir = sub };
    memcpy(entry->id, id, strlen(id) + 1);
}

static void collect(struct walk *w, int dirfd, const char *name, char sub)
{
    static const char temp[] = "hdr.";
    char id[17];

    (void)dirfd;
    if (spool_is_file(name, "-H", id))
        add_entry(w, &w->messages, id, sub);
    else if (spool_is_file(name, "-J", id))
        add_entry(w, &w->extras->journals, id, sub);
    else if (!w->all)
        return;
    else if (spool_is_file(name, "-D", id))
        add_entry(w, &w->extras->data, id, sub);
    else if (cstr_starts(name, temp) && strlen(name) < sizeof(id) + strlen(temp))
        add_entry(w, &w->extras->temps, name + strlen(temp), sub);
}

/* Few have one; in a queue at rest none has. */
static void mark_journals(struct walk *w)
{
    const struct spool_entries *journals = &w->extras->journals;
    struct hash *ids = journals->count == 0 ? NULL : hash_new(w->arena, false);

    for (size_t i = 0; i < journals->count; i++)
        (void)hash_put(ids, journals->list[i].id, &journals->list[i]);
    for (size_t i = 0; ids != NULL && i < w->messages.count; i++)
        w->messages.list[i].journal = hash_find(ids, w->messages.list[i].id) != NULL;
}

bool spool_scan(struct exim *e, struct arena *a, struct spool_entry **out, size_t *count,
                const struct spool_extras **extras, struct err *err)
{
    struct walk w = { .exim = e, .arena = a, .err = err, .top = spool_input, .visit = collect,
                      .all = extras != NULL };

    w.extras = arena_new_obj(a, struct spool_extras);
    if (!walk_all(&w))
        return false;
    mark_journals(&w);
    *out = w.messages.list;
    *count = w.messages.count;
    if (extras != NULL)
        *extras = w.extras;
    return true;
}

static bool is_old(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_mtime + ORPHAN_AGE < tod_now().tv_sec;
}

/* Somebody may be receiving it, or delivering a message that had an envelope a moment ago. */
static void remove_unlocked(const char *path)
{
    int fd = fd_open(path, O_RDWR | O_NOFOLLOW, 0);

    if (fd < 0)
        return;
    if (fd_lock(fd, true, false))
        (void)unlink(path);
    (void)fd_close(fd);
}

/* An envelope that came after the scan is looked for in its place. */
static bool has_envelope(const struct walk *w, const char *id)
{
    return hash_find(w->known, id) != NULL ||
           spool_find(w->arena, w->exim, spool_input, id, "-H") != NULL || errno != ENOENT;
}

static const char *extra_path(const struct walk *w, const char *prefix, const struct spool_entry *x, const char *suffix)
{
    const char sub[] = { x->subdir == '\0' ? '.' : x->subdir, '\0' };

    return arena_printf(w->arena, "%s/%s/%s/%s%s%s", w->exim->config->spool_directory, spool_input, sub, prefix, x->id,
                        suffix);
}

static void sweep(const struct walk *w, const struct spool_entries *files, const char *suffix)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct spool_entry *x = &files->list[i];

        if (!has_envelope(w, x->id) && is_old(AT_FDCWD, extra_path(w, "", x, suffix)))
            remove_unlocked(extra_path(w, "", x, suffix));
    }
}

static void sweep_temps(const struct walk *w, const struct spool_entries *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *path = extra_path(w, "hdr.", &files->list[i], "");

        if (is_old(AT_FDCWD, path))
            (void)unlink(path);
    }
}

static void sweep_msglog(struct walk *w, int dirfd, const char *name, char sub)
{
    (void)sub;
    if (strlen(name) == MSGID_LEN && msgid_valid(name) && !has_envelope(w, name) &&
        is_old(dirfd, name))
        (void)unlinkat(dirfd, name, 0);
}

void spool_clean(struct exim *e, const struct spool_entry *list, size_t count, const struct spool_extras *extras)
{
    struct arena *a = arena_new("spool clean");
    struct hash *known = hash_new(a, false);
    struct walk w = { .exim = e, .arena = a, .top = spool_msglogs, .visit = sweep_msglog, .known = known };

    for (size_t i = 0; i < count; i++)
        (void)hash_put(known, list[i].id, unconst(&list[i]));
    sweep(&w, &extras->data, "-D");
    sweep(&w, &extras->journals, "-J");
    sweep_temps(&w, &extras->temps);
    bool ok = walk_all(&w);
    (void)ok; /* what could not be read is looked at in the next run */
    arena_destroy(&a);
}

static bool prepare_dir(struct exim *e, struct arena *a, const char *name, mode_t mode, struct err *err)
{
    const char *path = arena_printf(a, "%s/%s", e->config->spool_directory, name);
    struct stat st;

    bool there = stat(path, &st) == 0;

    if (there && !S_ISDIR(st.st_mode))
        return err_sys(err, a, ENOTDIR, "%s", path);
    if (there && st.st_uid != 0)
        return true;
    if (!there && !dir_make(path, mode))
        return err_sys(err, a, errno, "cannot make %s", path);
    if (geteuid() == 0 && chown(path, e->config->exim_uid, e->config->exim_gid) < 0)
        return err_sys(err, a, errno, "cannot give %s to its owner", path);
    return true;
}

bool spool_prepare(struct exim *e, struct err *err)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {
        { ".", SPOOL_DIRECTORY_MODE }, { "input", INPUT_DIRECTORY_MODE },
        { "msglog", MSGLOG_DIRECTORY_MODE }, { "db", EXIMDB_DIRECTORY_MODE },
    };

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (!prepare_dir(e, e->arena, dirs[i].name, dirs[i].mode, err))
            return false;
    return true;
}
