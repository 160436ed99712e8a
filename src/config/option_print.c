#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/custom.h"
#include "config/option_read.h"
#include "config/owner.h"

/* What stands for an option in "-bP": the value, and whether a space comes before it. */
struct shown {
    struct arena *arena;
    struct buf *out;
    const void *member;
};

static void show_text(struct shown *s, const char *text)
{
    buf_add_cstr(s->out, " ");
    if (text != NULL)
        buf_add_cstr(s->out, cstr_printable(s->arena, text, false));
}

static const char *expr_text(const struct expr *e)
{
    return e == NULL ? NULL : e->text;
}

static void show_size(struct shown *s, long n)
{
    if (n != 0 && n % (1L << 30) == 0)
        buf_printf(s->out, " %ldG", n >> 30);
    else if (n != 0 && n % (1L << 20) == 0)
        buf_printf(s->out, " %ldM", n >> 20);
    else if (n != 0 && n % 1024 == 0)
        buf_printf(s->out, " %ldK", n >> 10);
    else
        buf_printf(s->out, " %ld", n);
}

static void show_fixed(struct shown *s, int n)
{
    if (n < 0)
        return;
    buf_printf(s->out, " %d.%03d", n / 1000, n % 1000);
    size_t len = s->out->len;

    while (s->out->p[len - 1] == '0' && s->out->p[len - 2] != '.')
        len--;
    buf_truncate(s->out, len);
}

static void show_times(struct shown *s, const struct time_list *t)
{
    buf_add_cstr(s->out, " ");
    for (unsigned i = 0; t != NULL && i < t->count; i++)
        buf_printf(s->out, "%s%s", i == 0 ? "" : ":",
                   tod_interval_print(s->arena, t->seconds[i]));
}

/* The name of a constant user or group, however it was written. */
static void show_identity(struct shown *s, const char *text, bool group)
{
    uid_t uid;
    gid_t gid;

    if (text != NULL && group && owner_group(text, &gid))
        text = owner_group_name(s->arena, gid);
    else if (text != NULL && !group && owner_user(text, &uid, NULL))
        text = owner_user_name(s->arena, uid);
    show_text(s, text);
}

static void show_identities(struct shown *s, const struct expr *e, bool group)
{
    const uid_t *uids = NULL;
    const gid_t *gids = NULL;
    size_t count;

    if (e == NULL)
        return;
    bool known = e->constant != NULL &&
                 (group ? owner_group_list(s->arena, e->constant, &gids, &count, NULL)
                        : owner_user_list(s->arena, e->constant, &uids, &count, NULL));

    if (!known) {
        show_text(s, e->text);
        return;
    }
    for (size_t i = 0; i < count; i++)
        buf_printf(s->out, "%s%s", i == 0 ? " " : ":",
                   group ? owner_group_name(s->arena, gids[i])
                         : owner_user_name(s->arena, uids[i]));
}

/* Exim: several conditions are shown as one that nests them (t_readconf, "conditions are
 * one"). */
static const char *join_conditions(struct arena *a, const struct router_text *t)
{
    const char *all = t->value->text;

    while ((t = t->next) != NULL)
        all = arena_printf(a, "${if and{{bool_lax{%s}}{bool_lax{%s}}}}", all,
                           t->value->text);
    return all;
}

static const char *join_names(struct arena *a, const struct router_text *t)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    bool first = true;

    for (; t != NULL; t = t->next) {
        struct list_iter it = list_begin(t->value->text, ':');

        for (const char *item; (item = list_next(&it, a)) != NULL;)
            list_append(&b, item, ':', &first);
    }
    return buf_cstr(&b);
}

static const char *join_texts(struct arena *a, const struct router_text *t,
                              const char *between)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

    for (; t != NULL; t = t->next) {
        if (t->name != NULL)
            buf_printf(&b, "%s = ", t->name);
        buf_printf(&b, "%s%s", t->value->text, t->next != NULL ? between : "");
    }
    return buf_cstr(&b);
}

static void show_texts(struct shown *s, const struct option *o,
                       const struct router_text *t)
{
    if (t == NULL)
        show_text(s, NULL);
    else if (o->kind == KIND_CONDITION)
        show_text(s, join_conditions(s->arena, t));
    else if (o->kind == KIND_HEADERS_REMOVE)
        show_text(s, join_names(s->arena, t));
    else
        show_text(s, join_texts(s->arena, t, o->kind == KIND_SET ? ";" : "\n"));
}

static void show_value(struct shown *s, const struct option *o)
{
    const void *m = s->member;

    switch (o->kind) {
    case KIND_INT:
        buf_printf(s->out, " %ld", *(const long *)m);
        break;
    case KIND_SIZE:
        show_size(s, *(const long *)m);
        break;
    case KIND_KILO:
        if (*(const long *)m % (1L << 20) == 0)
            show_size(s, *(const long *)m);
        else
            buf_printf(s->out, " %ldK", *(const long *)m >> 10);
        break;
    case KIND_OCTAL:
        buf_printf(s->out, " %#lo", (unsigned long)*(const long *)m);
        break;
    case KIND_FIXED:
        show_fixed(s, *(const int *)m);
        break;
    case KIND_TIME:
        buf_printf(s->out, " %s", tod_interval_print(s->arena, *(const long *)m));
        break;
    case KIND_TIME_LIST:
        show_times(s, *(struct time_list *const *)m);
        break;
    case KIND_STRING:
        show_text(s, *(const char *const *)m);
        break;
    case KIND_USER:
    case KIND_GROUP:
        show_identity(s, *(const char *const *)m, o->kind == KIND_GROUP);
        break;
    case KIND_EXPAND:
    case KIND_EXPAND_BOOL:
        show_text(s, expr_text(*(const struct expr *const *)m));
        break;
    case KIND_UID:
    case KIND_GID:
        show_identity(s, expr_text(*(const struct expr *const *)m), o->kind == KIND_GID);
        break;
    case KIND_UID_LIST:
    case KIND_GID_LIST:
        show_identities(s, *(const struct expr *const *)m, o->kind == KIND_GID_LIST);
        break;
    case KIND_DOMAIN_LIST:
    case KIND_HOST_LIST:
    case KIND_ADDRESS_LIST:
    case KIND_LOCAL_PART_LIST: {
        const struct match_list *l = *(const struct match_list *const *)m;

        show_text(s, l == NULL ? NULL : l->text);
        break;
    }
    default:
        show_texts(s, o, *(const struct router_text *const *)m);
    }
}

/* Options that are shown by their name alone: -1 no such, else whether they are on. */
static int switch_state(const struct option *o, const void *member)
{
    if (o->kind == KIND_BOOL)
        return *(const bool *)member;
    if (o->kind != KIND_EXPAND_BOOL)
        return -1;
    const struct expr *e = *(const struct expr *const *)member;

    if (e == NULL)
        return 0;
    if (e->constant == NULL)
        return -1;
    return cstr_ieq(e->constant, "true") || cstr_ieq(e->constant, "yes");
}

bool option_print(struct arena *a, const struct option *o, const void *target,
                  bool labels, struct buf *out)
{
    struct shown s = { .arena = a,
                       .out = out,
                       .member = (const char *)target + o->offset };

    if ((o->flags & OPTION_ALIAS) != 0 || o->kind == KIND_DRIVER ||
        (o->kind == KIND_CUSTOM && o->custom->print == NULL))
        return false;
    int state = o->kind == KIND_CUSTOM ? -1 : switch_state(o, s.member);

    if (state >= 0) {
        buf_printf(out, "%s%s", state ? "" : "no_", o->name);
        return true;
    }
    struct buf value = buf_init(a, BUF_DEFAULT_CEILING);

    s.out = &value;
    if (o->kind == KIND_CUSTOM)
        o->custom->print(o, target, &value);
    else
        show_value(&s, o);
    const char *text = buf_cstr(&value);

    buf_printf(out, "%s%s%s", labels ? o->name : "", labels ? " =" : "",
               labels || text[0] != ' ' ? text : text + 1);
    return true;
}
