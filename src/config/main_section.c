#include "config/reader.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/source.h"
#include "config/main_options.h"
#include "config/option_value.h"
#include "config/unbuilt.h"
#include "hooks.h"

/* ---- Lists wait until all named ones are known ---- */

static void put_off(struct reader *r, enum list_kind kind, const char *name,
                    const char *text, const struct match_list **where)
{
    struct pending_list *p = arena_new_obj(r->arena, struct pending_list);

    *p = (struct pending_list){
        .kind = kind,
        .name = name,
        .text = text,
        .where = where,
        .file = source_filename(r->source),
        .line = source_number(r->source),
    };
    *r->pending_end = p;
    r->pending_end = &p->next;
}

static bool put_off_option(void *arg, const struct option *o, const char *text,
                           void *member)
{
    enum list_kind kind = o->kind == KIND_DOMAIN_LIST    ? LIST_DOMAIN
                          : o->kind == KIND_HOST_LIST    ? LIST_HOST
                          : o->kind == KIND_ADDRESS_LIST ? LIST_ADDRESS
                                                         : LIST_LOCAL_PART;

    put_off(arg, kind, o->name, text, member);
    return true;
}

static bool compile_pending(struct reader *r)
{
    for (const struct pending_list *p = r->pending; p != NULL; p = p->next) {
        struct err why = { 0 };

        *p->where = r->hooks->list_compile(r->arena, p->kind, p->text, r->cfg, &why);
        if (*p->where != NULL)
            continue;
        r->file = p->file;
        r->line = p->line;
        return err_set(r->err, r->arena, "bad list in %s: %s", p->name, why.msg);
    }
    return true;
}

/* ---- Named lists ---- */

/* clang-format off */
static const struct { const char *word, *what; enum list_kind kind; bool cache; } list_words[] = {
    { "addresslist",         "address",    LIST_ADDRESS,    false },
    { "addresslist_cache",   "address",    LIST_ADDRESS,    true },
    { "domainlist",          "domain",     LIST_DOMAIN,     false },
    { "domainlist_cache",    "domain",     LIST_DOMAIN,     true },
    { "hostlist",            "host",       LIST_HOST,       false },
    { "hostlist_cache",      "host",       LIST_HOST,       true },
    { "localpartlist",       "local part", LIST_LOCAL_PART, false },
    { "localpartlist_cache", "local part", LIST_LOCAL_PART, true },
};
/* clang-format on */

static const char *take_list_name(struct arena *a, const char *s, const char **name)
{
    const char *end = s;

    while (is_alnum(*end) || *end == '_')
        end++;
    *name = arena_strndup(a, s, (size_t)(end - s));
    return cstr_skip_space(end);
}

static bool named_list(struct reader *r, size_t word, const char *rest, bool hide)
{
    struct hash *lists = r->named_lists[list_words[word].kind];
    struct named_list *nl = arena_new_obj(r->arena, struct named_list);
    const char *text;

    rest = take_list_name(r->arena, rest, &nl->name);
    if (nl->name[0] == '\0')
        return err_set(r->err, r->arena, "a name is missing after %s",
                       list_words[word].word);
    if (*rest != '=')
        return err_set(r->err, r->arena, "missing '=' after \"%s\"", nl->name);
    if (hash_find(lists, nl->name) != NULL)
        return err_set(r->err, r->arena, "duplicate name \"%s\" for a named %s list",
                       nl->name, list_words[word].what);
    if (!option_value_string(r->arena, nl->name, cstr_skip_space(rest + 1), &text,
                             r->err))
        return false;
    nl->hide = hide;
    nl->cache = list_words[word].cache;
    nl->number = (unsigned)hash_count(lists);
    hash_put(lists, nl->name, nl);
    put_off(r, list_words[word].kind, nl->name, text, &nl->list);
    return true;
}

/* ---- Options ---- */

static bool is_main_option(void *arg, const char *name)
{
    (void)arg;
    return option_find(main_options_table, main_options_count, name) != NULL;
}

static bool unknown_option(struct reader *r, const struct option_line *l)
{
    const char *part = unbuilt_option(arena_printf(r->arena, "main/%s", l->name));

    if (part != NULL)
        return err_set(r->err, r->arena,
                       "option \"%s\" is not built into this binary yet: %s", l->name,
                       part);
    return err_set(r->err, r->arena, "main option \"%s\" unknown", l->as_written);
}

static bool read_option(struct reader *r, const struct option_set *set, const char *line)
{
    struct option_line l;

    option_split(r->arena, line, is_main_option, NULL, &l);
    if (l.name[0] == '\0' && !l.hide)
        return err_set(r->err, r->arena, "option setting expected: %s", line);
    for (size_t i = 0; i < ARRAY_LEN(list_words); i++)
        if (strcmp(l.name, list_words[i].word) == 0)
            return named_list(r, i, l.rest, l.hide);
    const struct option *o = option_find(main_options_table, main_options_count, l.name);

    if (o == NULL)
        return unknown_option(r, &l);
    if (l.hide)
        reader_hide(r, o);
    return option_read(set, o, &r->cfg->main, &l, r->err);
}

/* Set after the file is read, so that -bP and the "set twice" check see what the file
 * said. */
static bool apply_defaults(struct reader *r)
{
    const struct option_set set = {
        .arena = r->arena,
        .cfg = r->cfg,
        .hooks = r->hooks,
        .later = put_off_option,
        .later_arg = r,
    };

    return option_defaults(&set, main_options_table, main_options_count, &r->cfg->main,
                           r->err);
}

bool reader_main(struct reader *r)
{
    const struct option_set set = {
        .arena = r->arena,
        .cfg = r->cfg,
        .hooks = r->hooks,
        .set = r->option_set,
        .later = put_off_option,
        .later_arg = r,
    };
    const char *line;
    bool was;

    if (!apply_defaults(r))
        return false;
    while ((line = reader_next(r)) != NULL && reader_begin(line) == NULL) {
        if (!reader_macro(r, line, &was))
            return false;
        if (was)
            continue;
        if (is_upper(line[0]))
            return err_set(r->err, r->arena, "malformed macro definition");
        if (!read_option(r, &set, line))
            return false;
    }
    if (line == NULL && !reader_ended(r))
        return false;
    if (line != NULL)
        reader_again(r);
    return compile_pending(r);
}
