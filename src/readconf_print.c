#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "readconf.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/config.h"
#include "config/driver.h"
#include "config/macros.h"
#include "config/main_options.h"
#include "config/option_read.h"
#include "hooks.h"
#include "version.h"

#define HIDDEN "<value not displayable>"

/* One "-bP" and who may see what. */
struct printer {
    const struct config *cfg;
    struct arena *arena;
    bool admin, no_labels;
};

/* ---- Options ---- */

static bool is_hidden(const struct printer *p, const struct option *o)
{
    if (p->admin)
        return false;
    for (size_t i = 0; i < p->cfg->hidden_count; i++)
        if (p->cfg->hidden[i] == o)
            return true;
    return (o->flags & OPTION_HIDE) != 0;
}

static void print_option(const struct printer *p, const struct option *o,
                         const void *target)
{
    struct buf b = buf_init(p->arena, BUF_DEFAULT_CEILING);

    if (!option_print(p->arena, o, target, !p->no_labels, &b))
        return;
    if (is_hidden(p, o) && o->kind != KIND_BOOL)
        printf("%s%s" HIDDEN "\n", p->no_labels ? "" : o->name,
               p->no_labels ? "" : " = ");
    else
        printf("%s\n", buf_cstr(&b));
}

static void print_main(const struct printer *p)
{
    for (size_t i = 0; i < main_options_count; i++)
        print_option(p, &main_options_table[i], &p->cfg->main);
}

/* ---- Named lists ---- */

static int print_named_list(const struct printer *p, const char *name)
{
    static const enum list_kind order[] = { LIST_ADDRESS, LIST_DOMAIN, LIST_HOST,
                                            LIST_LOCAL_PART };
    static const char *const words[] = { "addresslist", "domainlist", "hostlist",
                                         "localpartlist" };
    int status = EXIT_FAILURE;

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        const struct named_list *nl = hash_find(p->cfg->named_lists[order[i]], name);

        if (nl == NULL)
            continue;
        if (!p->no_labels)
            printf("%s %s = ", words[i], nl->name);
        printf("%s\n", nl->hide && !p->admin ? HIDDEN : nl->list->text);
        status = EXIT_SUCCESS;
    }
    if (status != EXIT_SUCCESS)
        printf("no address, domain, host, or local part list called \"%s\" exists\n",
               name);
    return status;
}

/* ---- Drivers ---- */

struct instances {
    const struct driver_family *family;
    const struct driver_instance *const *v;
    size_t count;
};

static bool find_family(const struct config *c, const char *noun, size_t len,
                        struct instances *out)
{
    const struct instances all[] = {
        { c->hooks->routers, (const void *)c->routers, c->router_count },
        { c->hooks->transports, (const void *)c->transports, c->transport_count },
        { c->hooks->authenticators, (const void *)c->authenticators,
          c->authenticator_count },
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strlen(all[i].family->noun) == len &&
            memcmp(all[i].family->noun, noun, len) == 0) {
            *out = all[i];
            return true;
        }
    return false;
}

static void print_options(const struct printer *p, const struct option *o, size_t count,
                          const struct driver_instance *instance)
{
    for (size_t i = 0; i < count; i++)
        if (o[i].kind == KIND_DRIVER)
            printf("%s%s\n", p->no_labels ? "" : "driver = ", instance->driver->name);
        else
            print_option(p, &o[i], instance);
}

static void print_instance(const struct printer *p, const struct driver_family *f,
                           const struct driver_instance *instance)
{
    const struct driver_info *d = instance->driver;

    print_options(p, f->options, *f->option_count, instance);
    print_options(p, d->options, d->option_count, instance);
}

static int print_driver(const struct printer *p, const char *noun, const char *name)
{
    struct instances in;

    if (find_family(p->cfg, noun, strlen(noun), &in))
        for (size_t i = 0; i < in.count; i++)
            if (strcmp(in.v[i]->name, name) == 0) {
                print_instance(p, in.family, in.v[i]);
                return EXIT_SUCCESS;
            }
    printf("%s %s not found\n", noun, name);
    return EXIT_FAILURE;
}

/* "routers", "router_list" and the like; false: it is none of these. */
static bool print_drivers(const struct printer *p, const char *what)
{
    struct instances in;
    size_t n = strlen(what);
    bool list = cstr_ends(what, "_list");

    n -= list ? strlen("_list") : cstr_ends(what, "s") ? 1 : n;
    if (n == 0 || !find_family(p->cfg, what, n, &in))
        return false;
    for (size_t i = 0; i < in.count; i++) {
        if (list) {
            printf("%s\n", in.v[i]->name);
            continue;
        }
        printf("\n%s %s:\n", in.v[i]->name, in.family->noun);
        print_instance(p, in.family, in.v[i]);
    }
    return true;
}

/* ---- Macros ---- */

static void print_macro(const struct printer *p, const char *name, const char *value,
                        bool list)
{
    if (list)
        printf("%s\n", name);
    else if (p->no_labels)
        printf("%s\n", value);
    else
        printf("%s=%s\n", name, value);
}

/* name NULL: all of them. */
static int print_macros(const struct printer *p, const char *name, bool list)
{
    size_t count;
    const char *const *builtin = macros_builtin(p->cfg->hooks, p->arena, &count);
    bool found = name == NULL;

    if (!p->admin) {
        fprintf(stderr, "exim: permission denied\n");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < count; i++)
        if (name == NULL || strcmp(builtin[i], name) == 0) {
            print_macro(p, builtin[i], "y", list);
            found = true;
        }
    for (const struct readconf_macro *m = p->cfg->macros; m != NULL; m = m->next)
        if (name == NULL || strcmp(m->name, name) == 0) {
            print_macro(p, m->name, m->value, list);
            found = true;
        }
    if (!found)
        printf("macro %s not found\n", name);
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The text ---- */

/* White space outside quotes becomes one space; secrets are left out. */
static const char *tidy_line(const struct printer *p, const char *line, bool is_macro)
{
    const char *equals = strchr(line, '=');
    bool quoted = false;
    struct buf b = buf_init(p->arena, BUF_DEFAULT_CEILING);

    if (!p->admin && equals != NULL && (is_macro || cstr_starts(line, "hide ")))
        return arena_printf(p->arena, "%.*s= " HIDDEN, (int)(equals - line), line);
    for (const char *s = line; *s != '\0'; s++) {
        if (*s == '"')
            quoted = !quoted;
        if (quoted || !is_space(*s))
            buf_add_char(&b, *s);
        else if (!is_space(s[1]))
            buf_add_char(&b, ' ');
    }
    return buf_cstr(&b);
}

static bool is_name_line(const char *line)
{
    size_t n = 0;

    while (is_alnum(line[n]) || line[n] == '_')
        n++;
    line = cstr_skip_space(line + n);
    return n > 0 && line[0] == ':' && line[1] == '\0';
}

static void print_text(const struct printer *p)
{
    const struct config *c = p->cfg;
    bool plain = p->no_labels, rules = false;
    int indent = 0;

    printf("# Exim Configuration (%s)\n", EXIM_VERSION);
    for (size_t i = 0; i < c->text_count; i++) {
        const char *line = c->text[i];

        if (line[0] == '#') {
            puts(line);
            continue;
        }
        bool begin = cstr_starts(line, "begin ") || cstr_starts(line, "begin\t");
        bool name = !begin && indent > 0 && !rules && is_name_line(line);

        if (begin) {
            const char *section = cstr_skip_space(line + 6);

            rules = strcmp(section, "retry") == 0 || strcmp(section, "rewrite") == 0;
        }
        if (name || begin)
            indent = begin ? 0 : 2;
        printf("%s%*s%s\n", !plain && (begin || name) ? "\n" : "", plain ? 0 : indent, "",
               tidy_line(p, line, macros_name_length(line) != 0));
        if (name || begin)
            indent += 2;
    }
}

static void print_environment(const struct printer *p)
{
    size_t n = 0;

    while (environ[n] != NULL)
        n++;
    const char **sorted = arena_new_array(p->arena, const char *, n + 1);

    memcpy(sorted, environ, n * sizeof(*sorted));
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && strcmp(sorted[j - 1], sorted[j]) > 0; j--) {
            const char *t = sorted[j];

            sorted[j] = sorted[j - 1];
            sorted[j - 1] = t;
        }
    for (size_t i = 0; i < n; i++)
        printf("%.*s\n",
               p->no_labels ? (int)strcspn(sorted[i], "=") : (int)strlen(sorted[i]),
               sorted[i]);
}

/* ---- One thing ---- */

static int print_one(const struct printer *p, const char *what)
{
    const struct option *o;

    if (what[0] == '+')
        return print_named_list(p, what + 1);
    if (strcmp(what, "all") == 0)
        print_main(p);
    else if (strcmp(what, "config") == 0)
        print_text(p);
    else if (strcmp(what, "config_file") == 0 || strcmp(what, "configure_file") == 0)
        printf("%s\n", p->cfg->filename);
    else if (strcmp(what, "environment") == 0)
        print_environment(p);
    else if (strcmp(what, "macros") == 0 || strcmp(what, "macro_list") == 0)
        return print_macros(p, NULL, cstr_ends(what, "_list"));
    else if (strcmp(what, "local_scan") == 0) {
        printf("local_scan() options are not supported\n");
        return EXIT_FAILURE;
    } else if ((o = option_find(main_options_table, main_options_count, what)) != NULL)
        print_option(p, o, &p->cfg->main);
    else if (!print_drivers(p, what)) {
        printf("%s is not a known option\n", what);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int readconf_print(const struct config *c, const char *what, const char *kind, bool admin,
                   bool no_labels)
{
    struct printer p = {
        .cfg = c, .arena = arena_new("-bP"), .admin = admin, .no_labels = no_labels
    };
    int status;

    if (kind == NULL)
        status = print_one(&p, what);
    else if (strcmp(kind, "macro") == 0)
        status = print_macros(&p, what, false);
    else
        status = print_driver(&p, kind, what);
    arena_destroy(&p.arena);
    return status;
}
