/* move_frozen_messages: a frozen message goes to Finput and Fmsglog. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/fd.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool.h"
#include "spool_int.h"

struct move {
    const struct exim *exim;
    struct arena *arena;
    const char *id;
};

/* path is below the top directory from; its counterpart is below "F<from>". */
static const char *counterpart(const struct move *v, const char *from, const char *path)
{
    size_t top = strlen(v->exim->config->spool_directory) + 1 + strlen(from);

    return arena_printf(v->arena, "%s/F%s%s", v->exim->config->spool_directory, from,
                        path + top);
}

/* A name that is there already is of an attempt that was interrupted. */
static bool link_one(const struct move *v, const char *from, const char *suffix)
{
    const char *path = spool_find(v->arena, v->exim, from, v->id, suffix);

    if (path == NULL)
        return errno == ENOENT;
    const char *to = counterpart(v, from, path);
    const char *dir = arena_strndup(v->arena, to, (size_t)(strrchr(to, '/') - to));

    if (!dir_make(dir, INPUT_DIRECTORY_MODE))
        return false;
    return (link(path, to) == 0 || errno == EEXIST) && spool_sync_dir(v->exim, to);
}

static bool unlink_one(const struct move *v, const char *from, const char *suffix)
{
    const char *path = spool_find(v->arena, v->exim, from, v->id, suffix);

    return path == NULL ? errno == ENOENT : unlink(path) == 0;
}

/* The whole message has its new names before it loses the first of the old ones, the
 * envelope: without that the others are nobody's message. */
static bool move_all(const struct move *v)
{
    static const char *const suffixes[] = { "-H", "-D", "-J" };
    bool ok = link_one(v, spool_msglogs, "");

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        ok = ok && link_one(v, spool_input, suffixes[i]);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        ok = ok && unlink_one(v, spool_input, suffixes[i]);
    return ok && unlink_one(v, spool_msglogs, "");
}

bool spool_move_frozen(struct exim *e, struct message *m, struct err *err)
{
    struct move v = { .exim = e, .arena = arena_new("frozen message"), .id = m->id };
    bool ok = spool_rest(e, m, err);

    if (ok && !move_all(&v))
        ok = err_sys(err, m->arena, errno, "cannot move the frozen message to Finput");
    arena_destroy(&v.arena);
    return ok;
}
