#include "config/option.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/table.h"
#include "config/custom.h"
#include "config/option_read.h"
#include "config/option_value.h"
#include "config/owner.h"
#include "hooks.h"

/* ---- The line ---- */

static const char *take_name(const char *s, char name[OPTION_NAME_MAX])
{
    size_t n = 0;

    for (; is_alnum(*s) || *s == '_'; s++)
        if (n < OPTION_NAME_MAX - 1)
            name[n++] = *s;
    name[n] = '\0';
    return cstr_skip_space(s);
}

void option_split(struct arena *a, const char *line,
                  bool (*is)(void *arg, const char *name), void *arg,
                  struct option_line *out)
{
    *out = (struct option_line){ 0 };
    out->rest = take_name(line, out->name);
    if (strcmp(out->name, "hide") == 0) {
        out->hide = true;
        out->rest = take_name(out->rest, out->name);
    }
    out->as_written = arena_strdup(a, out->name);
    size_t prefix = cstr_starts(out->name, "no_")    ? 3
                    : cstr_starts(out->name, "not_") ? 4
                                                     : 0;

    if (prefix != 0 && !is(arg, out->name)) {
        out->negated = true;
        memmove(out->name, out->name + prefix, strlen(out->name) + 1 - prefix);
    }
}

const struct option *option_find(const struct option *table, size_t count,
                                 const char *name)
{
    const struct option *found = table_find(table, count, sizeof(*table), name);

    if (found == NULL || (found->flags & OPTION_ALIAS) == 0 || found->kind == KIND_CUSTOM)
        return found;
    for (size_t i = 0; i < count; i++)
        if (table[i].offset == found->offset && (table[i].flags & OPTION_ALIAS) == 0 &&
            table[i].kind == found->kind)
            return &table[i];
    return found;
}

/* ---- Values by kind ---- */

/* One value on its way into its member. */
struct setting {
    const struct option_set *set;
    const struct option *option;
    const char *name; /* for messages */
    const char *text; /* after the "=" */
    void *member;
    struct err *err;
};

static struct arena *arena_of(const struct setting *v)
{
    return v->set->arena;
}

static bool read_expr(const struct setting *v, const struct expr **out)
{
    const char *text;

    if (!option_value_string(arena_of(v), v->name, v->text, &text, v->err))
        return false;
    struct err why = { 0 };

    *out = v->set->hooks->expr_compile(arena_of(v), text, &why);
    if (*out == NULL)
        return err_set(v->err, arena_of(v), "the value of %s cannot be expanded: %s",
                       v->name, why.msg != NULL ? why.msg : "syntax error");
    return true;
}

static bool read_expand_bool(const struct setting *v)
{
    const struct expr **out = v->member;
    bool on;

    if (!read_expr(v, out))
        return false;
    if ((*out)->constant != NULL && !option_value_bool((*out)->constant, &on))
        return err_set(v->err, arena_of(v),
                       "\"%s\" is not a valid value for the \"%s\" option",
                       (*out)->constant, v->name);
    return true;
}

static bool read_identity(const struct setting *v)
{
    const struct expr **out = v->member;
    struct err *err = v->err;
    const uid_t *uids;
    const gid_t *gids;
    size_t count;
    uid_t uid;
    gid_t gid;

    if (!read_expr(v, out))
        return false;
    const char *constant = (*out)->constant;

    if (constant == NULL)
        return true;
    switch (v->option->kind) {
    case KIND_UID:
        return owner_user(constant, &uid, NULL) ||
               err_set(err, arena_of(v), "user %s was not found", constant);
    case KIND_GID:
        return owner_group(constant, &gid) ||
               err_set(err, arena_of(v), "group %s was not found", constant);
    case KIND_UID_LIST:
        return owner_user_list(arena_of(v), constant, &uids, &count, err);
    default:
        return owner_group_list(arena_of(v), constant, &gids, &count, err);
    }
}

static bool read_name(const struct setting *v)
{
    uid_t uid;
    gid_t gid;

    if (!option_value_string(arena_of(v), v->name, v->text, (const char **)v->member,
                             v->err))
        return false;
    const char *name = *(const char **)v->member;

    if (v->option->kind == KIND_USER)
        return owner_user(name, &uid, NULL) ||
               err_set(v->err, arena_of(v), "user %s was not found", name);
    return owner_group(name, &gid) ||
           err_set(v->err, arena_of(v), "group %s was not found", name);
}

static enum list_kind list_kind(enum option_kind kind)
{
    return kind == KIND_DOMAIN_LIST    ? LIST_DOMAIN
           : kind == KIND_HOST_LIST    ? LIST_HOST
           : kind == KIND_ADDRESS_LIST ? LIST_ADDRESS
                                       : LIST_LOCAL_PART;
}

static bool read_list(const struct setting *v)
{
    const struct option_set *s = v->set;
    struct err why = { 0 };
    const char *text;

    if (!option_value_string(s->arena, v->name, v->text, &text, v->err))
        return false;
    if (s->later != NULL)
        return s->later(s->later_arg, v->option, text, v->member);
    const struct match_list **out = v->member;

    *out =
        s->hooks->list_compile(s->arena, list_kind(v->option->kind), text, s->cfg, &why);
    return *out != NULL ||
           err_set(v->err, s->arena, "bad list in %s: %s", v->name, why.msg);
}

static bool set_name(const struct setting *v, struct router_text *t, const char **value)
{
    const char *end = v->text;

    while (is_alnum(*end) || *end == '_')
        end++;
    const char *equals = cstr_skip_space(end);

    if (!cstr_starts(v->text, "r_") || end - v->text < 3 || *equals != '=')
        return err_set(v->err, arena_of(v), "\"r_<name> = <value>\" expected after %s",
                       v->name);
    t->name = arena_strndup(arena_of(v), v->text, (size_t)(end - v->text));
    *value = cstr_skip_space(equals + 1);
    return true;
}

static bool read_text(const struct setting *v)
{
    struct router_text *t = arena_new_obj(arena_of(v), struct router_text);
    struct setting value = *v;
    const struct router_text **last = v->member;

    if (v->option->kind == KIND_SET && !set_name(v, t, &value.text))
        return false;
    if (!read_expr(&value, &t->value))
        return false;
    while (*last != NULL)
        last = unconst(&(*last)->next);
    *last = t;
    return true;
}

static bool read_value(const struct setting *v)
{
    struct arena *a = arena_of(v);

    switch (v->option->kind) {
    case KIND_INT:
    case KIND_SIZE:
        return option_value_integer(a, v->name, v->text, v->member, v->err);
    case KIND_KILO:
        return option_value_kilo(a, v->name, v->text, v->member, v->err);
    case KIND_OCTAL:
        return option_value_octal(a, v->name, v->text, v->member, v->err);
    case KIND_FIXED:
        return option_value_fixed(a, v->name, v->text, v->member, v->err);
    case KIND_TIME:
        return option_value_time(a, v->name, v->text, v->member, v->err);
    case KIND_TIME_LIST:
        return option_value_time_list(a, v->name, v->text, v->member, v->err);
    case KIND_STRING:
        return option_value_string(a, v->name, v->text, v->member, v->err);
    case KIND_EXPAND:
        return read_expr(v, v->member);
    case KIND_EXPAND_BOOL:
        return read_expand_bool(v);
    case KIND_DOMAIN_LIST:
    case KIND_HOST_LIST:
    case KIND_ADDRESS_LIST:
    case KIND_LOCAL_PART_LIST:
        return read_list(v);
    case KIND_UID:
    case KIND_GID:
    case KIND_UID_LIST:
    case KIND_GID_LIST:
        return read_identity(v);
    case KIND_USER:
    case KIND_GROUP:
        return read_name(v);
    case KIND_CONDITION:
    case KIND_HEADERS_ADD:
    case KIND_HEADERS_REMOVE:
    case KIND_SET:
        return read_text(v);
    case KIND_BOOL:
    case KIND_DRIVER:
    case KIND_CUSTOM:
        break;
    }
    bug("option %s has no reader", v->name);
}

/* ---- A setting ---- */

/* The text after the "=", or NULL when only the name is there. */
static bool after_equals(const struct setting *v, const char *rest, bool boolean,
                         const char **text)
{
    *text = NULL;
    if (*rest == '\0' && boolean)
        return true;
    if (*rest == '\0')
        return err_set(v->err, arena_of(v),
                       "unexpected end of line (data missing) after %s", v->name);
    if (*rest != '=' && boolean)
        return err_set(v->err, arena_of(v), "extra characters follow boolean option %s",
                       v->name);
    if (*rest != '=')
        return err_set(v->err, arena_of(v), "missing \"=\" after %s", v->name);
    *text = cstr_skip_space(rest + 1);
    return true;
}

bool option_bool_parse(const struct option_value *v, bool *out, struct err *err)
{
    bool on = true;

    if (v->text != NULL && v->text[0] != '\0' && !option_value_bool(v->text, &on))
        return err_set(err, v->arena, "\"%s\" is not a valid value for the \"%s\" option",
                       v->text, v->option->name);
    *out = on != v->negated;
    return true;
}

static bool is_boolean(const struct option *o)
{
    return o->kind == KIND_BOOL || o->kind == KIND_EXPAND_BOOL ||
           (o->kind == KIND_CUSTOM && o->custom->boolean);
}

static bool is_repeatable(const struct option *o)
{
    return (o->flags & OPTION_REPEAT) != 0 || o->kind == KIND_CONDITION ||
           o->kind == KIND_HEADERS_ADD || o->kind == KIND_HEADERS_REMOVE ||
           o->kind == KIND_SET;
}

static bool store(struct setting *v, void *target, bool negated)
{
    struct option_value value = {
        .arena = arena_of(v),
        .cfg = v->set->cfg,
        .hooks = v->set->hooks,
        .option = v->option,
        .target = target,
        .text = v->text,
        .negated = negated,
    };

    if (v->option->kind == KIND_BOOL)
        return option_bool_parse(&value, v->member, v->err);
    if (v->option->kind == KIND_CUSTOM)
        return v->option->custom->read(&value, v->err);
    if (v->option->kind == KIND_EXPAND_BOOL && (v->text == NULL || v->text[0] == '\0'))
        v->text = negated ? "false" : "true";
    return read_value(v);
}

bool option_read(const struct option_set *s, const struct option *o, void *target,
                 const struct option_line *line, struct err *err)
{
    struct setting v = {
        .set = s,
        .option = o,
        .name = line->as_written,
        .err = err,
        .member = (char *)target + o->offset,
    };

    if (hash_find(s->set, o->name) != NULL && !is_repeatable(o))
        return err_set(err, s->arena, "\"%s\" option set for the second time",
                       line->as_written);
    if (line->negated && !is_boolean(o))
        return err_set(err, s->arena, "negation prefix applied to a non-boolean option");
    if (!after_equals(&v, line->rest, is_boolean(o), &v.text))
        return false;
    if (line->negated && v.text != NULL)
        return err_set(err, s->arena, "extra characters follow boolean option %s",
                       v.name);
    hash_put(s->set, o->name, unconst(o));
    return store(&v, target, line->negated);
}

/* ---- Defaults ---- */

static size_t plain_size(enum option_kind kind)
{
    switch (kind) {
    case KIND_BOOL:
        return sizeof(bool);
    case KIND_FIXED:
        return sizeof(int);
    case KIND_INT:
    case KIND_SIZE:
    case KIND_KILO:
    case KIND_OCTAL:
    case KIND_TIME:
        return sizeof(long);
    default:
        return 0;
    }
}

bool option_defaults(const struct option_set *s, const struct option *table, size_t count,
                     void *target, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct option *o = &table[i];
        struct setting v = {
            .set = s,
            .option = o,
            .name = o->name,
            .err = err,
            .text = o->deflt,
            .member = (char *)target + o->offset,
        };

        if (o->deflt == NULL)
            continue;
        if (plain_size(o->kind) != 0)
            memcpy(v.member, o->deflt, plain_size(o->kind));
        else if (o->kind == KIND_STRING || o->kind == KIND_USER || o->kind == KIND_GROUP)
            *(const char **)v.member =
                o->deflt; /* an escaped character stands for itself here */
        else if (!read_value(&v))
            return false;
    }
    return true;
}
