#include <string.h>
#include <unistd.h>

#include "cmd/startup.h"

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "config/owner.h"
#include "exim.h"

enum { TRUSTED_LIST_MAX = 1024 * 1024 };

/* The Exim user or CONFIGURE_OWNER, as built in: what the configuration says is not known
 * yet. */
static bool is_exim_or_owner(uid_t uid)
{
    uid_t exim, owner;
    gid_t gid;

    return (owner_exim(&exim, &gid) && uid == exim) ||
           (owner_configure(&owner, &gid) && uid == owner);
}

/* ALT_CONFIG_PREFIX: where a file named by -C must be. */
static bool prefix_allows(struct arena *a, const char *files)
{
    struct list_iter it = list_begin(files, ':');

    if (ALT_CONFIG_PREFIX[0] == '\0')
        return true;
    for (const char *name; (name = list_next(&it, a)) != NULL;)
        if (!cstr_starts(name, ALT_CONFIG_PREFIX) || strstr(name, "/../") != NULL)
            return false;
    return true;
}

/* Is name one of the lines of TRUSTED_CONFIG_LIST, an absolute name? */
static bool is_listed(struct str list, const char *name)
{
    const char *p = list.p, *end = list.p + list.len;

    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        struct str line =
            str_trim((struct str){ p, (size_t)((nl != NULL ? nl : end) - p) });

        if (line.len > 0 && line.p[0] == '/' && str_eq(line, str_from(name)))
            return true;
        p = nl != NULL ? nl + 1 : end;
    }
    return false;
}

static bool files_trusted(struct arena *a, const char *files)
{
    struct list_iter it = list_begin(files, ':');
    struct str list;

    if (TRUSTED_CONFIG_LIST[0] == '\0' ||
        !file_slurp(a, TRUSTED_CONFIG_LIST, TRUSTED_LIST_MAX, &list))
        return false;
    for (const char *name; (name = list_next(&it, a)) != NULL;)
        if (!is_listed(list, name))
            return false;
    return true;
}

static bool harmless_value(const char *s)
{
    while (is_alnum(*s) || (*s != '\0' && strchr("_/.-", *s) != NULL))
        s++;
    return *s == '\0';
}

static bool is_whitelisted(struct arena *a, const char *macro)
{
    struct list_iter it = list_begin(WHITELIST_D_MACROS, ':');

    for (const char *name; (name = list_next(&it, a)) != NULL;)
        if (strcmp(name, macro) == 0)
            return true;
    return false;
}

static bool macros_trusted(struct arena *a, const struct readconf_macro *m)
{
    for (; m != NULL; m = m->next)
        if (!is_whitelisted(a, m->name) || !harmless_value(m->value))
            return false;
    return true;
}

#ifdef DISABLE_D_OPTION
enum { D_OPTION = false };
#else
enum { D_OPTION = true };
#endif

bool startup_config_trusted(const struct exim *e, const struct cmd_line *c,
                            bool *keep_root, bool *system, struct err *err)
{
    const char *files = c->config_files;
    bool root = e->real_uid == 0;

    *system = files == NULL || strcmp(files, CONFIGURE_FILE) == 0;
    *keep_root = true;
    if (c->macros != NULL && !D_OPTION)
        return err_set(err, e->arena, "-D is not available in this Exim binary");
    if (!*system && !prefix_allows(e->arena, files))
        return err_set(err, e->arena, "-C Permission denied");
    if (!*system && !root)
        *keep_root = e->privileged && is_exim_or_owner(e->real_uid) && files_trusted(e->arena, files);
    if (c->macros != NULL && !root)
        *keep_root = *keep_root && e->privileged && is_exim_or_owner(e->real_uid) &&
                     macros_trusted(e->arena, c->macros);
    return true;
}
