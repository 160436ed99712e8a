#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/startup.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "regex.h"

/* One item of keep_environment: a name, "*" and the end of one, or a regular expression.
 */
static bool item_matches(struct arena *a, const char *item, const char *name)
{
    if (item[0] == '*')
        return cstr_iends(name, item + 1);
    if (item[0] != '^')
        return cstr_ieq(name, item);
    const struct regex *re = regex_compile(a, item, REGEX_CASELESS | REGEX_BRIEF, NULL);

    return re != NULL && regex_test(re, str_from(name));
}

static bool is_kept(struct arena *a, const char *list, const char *name)
{
    struct list_iter it = list_begin(list, ':');
    bool last_negated = false;

    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        last_negated = item[0] == '!';
        if (item_matches(a, last_negated ? cstr_skip_space(item + 1) : item, name))
            return !last_negated;
    }
    return last_negated;
}

/* A new array of those that stay: an entry of the old one may be anything at all. */
static void purge(struct exim *e, const char *keep)
{
    size_t n = 0, kept = 0;

    while (environ[n] != NULL)
        n++;
    char **fresh = arena_new_array(e->arena, char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(environ[i], '=');

        if (equals != NULL &&
            is_kept(e->arena, keep,
                    arena_strndup(e->arena, environ[i], (size_t)(equals - environ[i]))))
            fresh[kept++] = environ[i];
    }
    environ = fresh;
}

bool startup_environment(struct exim *e, struct err *err)
{
    const struct main_options *m = &e->config->main;
    const char *keep = m->keep_environment == NULL ? "" : m->keep_environment;

    if (strcmp(keep, "*") != 0)
        purge(e, keep);
    if (m->add_environment == NULL)
        return true;
    struct list_iter it = list_begin(m->add_environment, ':');

    for (const char *item; (item = list_next(&it, e->arena)) != NULL;) {
        const char *equals = strchr(item, '=');

        if (equals == NULL || equals == item)
            return err_set(err, e->arena,
                           "add_environment: \"name=value\" expected, found \"%s\"",
                           item);
        if (setenv(arena_strndup(e->arena, item, (size_t)(equals - item)), equals + 1,
                   1) != 0)
            return err_sys(err, e->arena, errno, "add_environment: %s", item);
    }
    return true;
}
