#include "config/reader.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/driver.h"
#include "config/source.h"
#include "config/option_value.h"
#include "config/unbuilt.h"
#include "hooks.h"

/* The instance that is being read. Until its driver is known it is only the generic
 * struct. */
struct instance {
    struct reader *reader;
    const struct driver_family *family;
    const char *name;
    const struct driver_info *driver; /* NULL: not known yet */
    struct driver_instance *target;
    struct option_set set;
};

/* All instances of a family, in the order of the file. */
struct instances {
    struct arena *arena;
    struct driver_instance **v;
    struct hash **set; /* by instance: the options that the file set */
    size_t count, cap;
};

static const struct driver_info *built(const struct driver_family *f, const char *name)
{
    const struct driver_info *d;

    for (size_t i = 0; (d = f->driver(i)) != NULL; i++)
        if (strcmp(d->name, name) == 0)
            break;
    return d;
}

static bool is_option(void *arg, const char *name)
{
    const struct instance *in = arg;

    return option_find(in->family->options, *in->family->option_count, name) != NULL ||
           (in->driver != NULL &&
            option_find(in->driver->options, in->driver->option_count, name) != NULL);
}

/* driver = name: the instance gets its full size, and the private options their defaults.
 */
static bool set_driver(struct instance *in, const struct option_line *l)
{
    const struct driver_family *f = in->family;
    struct arena *a = in->reader->arena;
    struct err *err = in->reader->err;
    const char *name;

    if (in->driver != NULL)
        return err_set(err, a, "\"%s\" option set for the second time", l->as_written);
    if (l->rest[0] != '=')
        return err_set(err, a, "missing \"=\" after %s", l->as_written);
    if (!option_value_string(a, "driver", cstr_skip_space(l->rest + 1), &name, err))
        return false;
    in->driver = built(f, name);
    if (in->driver == NULL) {
        const char *part = unbuilt_option(arena_printf(a, "%s/%s", f->noun, name));

        return err_set(err, a, "%s %s: cannot find %s driver \"%s\"%s", f->noun, in->name,
                       f->noun, name,
                       part == NULL ? "" : " (not built into this binary yet)");
    }
    struct driver_instance *whole = arena_alloc(a, 1, in->driver->instance_size);

    memcpy(whole, in->target, f->base_size);
    in->target = whole;
    whole->name = in->name;
    whole->driver = in->driver;
    return option_defaults(&in->set, in->driver->options, in->driver->option_count, whole,
                           err);
}

static bool unknown_option(struct instance *in, const struct option_line *l)
{
    struct arena *a = in->reader->arena;
    const char *noun = in->family->noun;
    const char *part = unbuilt_option(arena_printf(a, "%s/%s", noun, l->name));

    if (part == NULL && in->driver != NULL)
        part =
            unbuilt_option(arena_printf(a, "%s/%s/%s", noun, in->driver->name, l->name));
    if (part != NULL)
        return err_set(in->reader->err, a,
                       "option \"%s\" is not built into this binary yet: %s", l->name,
                       part);
    return err_set(in->reader->err, a, "option \"%s\" unknown%s", l->as_written,
                   in->driver != NULL
                       ? ""
                       : " (\"driver\" must be specified before any private options)");
}

static bool read_option(struct instance *in, const char *line)
{
    const struct driver_family *f = in->family;
    struct option_line l;

    option_split(in->reader->arena, line, is_option, in, &l);
    if (strcmp(l.name, "driver") == 0)
        return set_driver(in, &l);
    if (l.name[0] == '\0')
        return err_set(in->reader->err, in->reader->arena, "option setting expected: %s",
                       line);
    const struct option *o = option_find(f->options, *f->option_count, l.name);

    if (o == NULL && in->driver != NULL)
        o = option_find(in->driver->options, in->driver->option_count, l.name);
    if (o == NULL)
        return unknown_option(in, &l);
    if (l.hide)
        reader_hide(in->reader, o);
    return option_read(&in->set, o, in->target, &l, in->reader->err);
}

static void append(struct instances *all, struct driver_instance *target,
                   struct hash *set)
{
    if (all->count == all->cap) {
        size_t cap = all->cap == 0 ? 16 : all->cap * 2;

        all->v = arena_realloc(all->arena, all->v, all->cap * sizeof(*all->v),
                               cap * sizeof(*all->v));
        all->set = arena_realloc(all->arena, all->set, all->cap * sizeof(*all->set),
                                 cap * sizeof(*all->set));
        all->cap = cap;
    }
    all->v[all->count] = target;
    all->set[all->count++] = set;
}

/* "name:": the name, or NULL. */
static const char *take_instance_name(struct reader *r, const char *line,
                                      const char **rest)
{
    const char *end = line;

    while (is_alnum(*end) || *end == '_')
        end++;
    *rest = cstr_skip_space(end);
    if (!is_alpha(line[0]) || **rest != ':')
        return NULL;
    *rest = cstr_skip_space(*rest + 1);
    return arena_strndup(r->arena, line, (size_t)(end - line));
}

static bool begin_instance(struct reader *r, const struct driver_family *f,
                           struct instance *in, const char *name, const char *rest)
{
    *in = (struct instance){
        .reader = r,
        .family = f,
        .name = name,
        .target = arena_alloc(r->arena, 1, f->base_size),
        .set = { .arena = r->arena,
                 .cfg = r->cfg,
                 .hooks = r->hooks,
                 .set = hash_new(r->arena, false) },
    };
    if (*rest != '\0')
        return err_set(r->err, r->arena, "extra characters follow driver name %s", name);
    return option_defaults(&in->set, f->options, *f->option_count, in->target, r->err);
}

static bool finish_instance(struct reader *r, struct instance *in, struct instances *all)
{
    if (in->name == NULL)
        return true;
    if (in->driver == NULL) {
        r->place = "";
        return err_set(r->err, r->arena, "no driver defined for %s \"%s\"",
                       in->family->noun, in->name);
    }
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->v[i]->name, in->name) == 0) {
            r->place = "";
            return err_set(r->err, r->arena, "there are two %s called \"%s\"",
                           in->family->section, in->name);
        }
    append(all, in->target, in->set.set);
    in->name = NULL;
    return true;
}

static bool read_line(struct reader *r, const struct driver_family *f,
                      struct instance *in, struct instances *all, const char *line)
{
    const char *rest, *name;
    bool was;

    if (!reader_macro(r, line, &was))
        return false;
    if (was)
        return finish_instance(r, in, all); /* Exim: a macro ends the driver before it */
    name = take_instance_name(r, line, &rest);
    if (name != NULL)
        return finish_instance(r, in, all) && begin_instance(r, f, in, name, rest);
    if (in->name == NULL)
        return err_set(r->err, r->arena, "%s name missing", f->noun);
    return read_option(in, line);
}

static void keep(struct reader *r, const struct driver_family *f,
                 const struct instances *all)
{
    struct config *c = r->cfg;

    if (f == r->hooks->routers) {
        c->routers = (const struct router *const *)(void *)all->v;
        c->router_count = all->count;
        r->set_of[0] = all->set;
    } else if (f == r->hooks->transports) {
        c->transports = (const struct transport *const *)(void *)all->v;
        c->transport_count = all->count;
        r->set_of[1] = all->set;
    } else {
        c->authenticators = (const struct authenticator *const *)(void *)all->v;
        c->authenticator_count = all->count;
        r->set_of[2] = all->set;
    }
}

bool reader_drivers(struct reader *r, const struct driver_family *family)
{
    struct instances all = { .arena = r->arena };
    struct instance in = { 0 };
    const char *line;

    while ((line = reader_next(r)) != NULL && reader_begin(line) == NULL)
        if (!read_line(r, family, &in, &all, line))
            return false;
    if (line == NULL && !reader_ended(r))
        return false;
    if (line != NULL)
        reader_again(r);
    if (!finish_instance(r, &in, &all))
        return false;
    keep(r, family, &all);
    return true;
}

/* ---- Checks, once everything is read ---- */

bool driver_option_set(const struct driver_check *c, const char *name)
{
    return hash_find(c->set, name) != NULL;
}

static bool check_family(struct reader *r, const struct driver_family *f,
                         const void *instances, size_t count, struct hash *const *set)
{
    struct driver_instance *const *v = instances;

    for (size_t i = 0; i < count; i++) {
        const struct driver_check check = {
            .arena = r->arena,
            .cfg = r->cfg,
            .hooks = r->hooks,
            .set = set[i],
        };

        r->place = arena_printf(r->arena, " for %s %s", v[i]->name, f->noun);
        v[i]->next = i + 1 < count ? v[i + 1] : NULL;
        if (!f->check(v[i], &check, r->err))
            return false;
    }
    return true;
}

bool reader_check_drivers(struct reader *r)
{
    const struct config *c = r->cfg;

    return check_family(r, r->hooks->transports, c->transports, c->transport_count,
                        r->set_of[1]) &&
           check_family(r, r->hooks->authenticators, c->authenticators,
                        c->authenticator_count, r->set_of[2]) &&
           check_family(r, r->hooks->routers, c->routers, c->router_count, r->set_of[0]);
}
