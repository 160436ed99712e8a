#include "transports/command.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "expand.h"

enum { ARGS_MAX = 10000 };

struct args {
    struct arena *a;
    char **v;
    size_t n, cap;
};

static bool add(struct args *args, const char *arg)
{
    if (args->n >= ARGS_MAX)
        return false;
    if (args->n + 1 >= args->cap) {
        size_t cap = args->cap == 0 ? 16 : args->cap * 2;
        args->v = arena_realloc(args->a, args->v, args->cap * sizeof(char *), cap * sizeof(char *));
        args->cap = cap;
    }
    args->v[args->n++] = unconst(arg);
    args->v[args->n] = NULL;
    return true;
}

static char escape(const char **p)
{
    static const char names[] = "n\nr\rt\tb\bf\f";
    int value = 0;

    for (const char *n = names; *n != '\0'; n += 2)
        if (**p == n[0])
            return n[1];
    if (**p < '0' || **p > '7')
        return **p;
    for (int i = 0; i < 3 && **p >= '0' && **p <= '7'; i++)
        value = value * 8 + *(*p)++ - '0';
    (*p)--;
    return (char)value;
}

/* "..." with escapes; an unfinished one reaches to the end. */
static const char *double_quoted(struct arena *a, const char **s)
{
    char *out = arena_strdup(a, *s), *t = out;
    const char *p = *s + 1;

    for (; *p != '\0' && *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            p++;
            *t++ = escape(&p);
        } else {
            *t++ = *p;
        }
    }
    *t = '\0';
    *s = *p == '"' ? p + 1 : p;
    return out;
}

static const char *next_arg(struct arena *a, const char **s)
{
    const char *p = *s;

    if (*p == '"')
        return double_quoted(a, s);
    if (*p == '\'') {
        const char *end = strchr(p + 1, '\'');
        size_t n = end == NULL ? strlen(p + 1) : (size_t)(end - p - 1);
        *s = p + 1 + n + (end != NULL);
        return arena_strndup(a, p + 1, n);
    }
    while (*p != '\0' && !is_space(*p))
        p++;
    const char *arg = arena_strndup(a, *s, (size_t)(p - *s));
    *s = p;
    return arg;
}

bool command_split(struct arena *a, const char *text, char ***argv, struct err *err)
{
    struct args args = { .a = a };

    while (*(text = cstr_skip_space(text)) != '\0')
        if (!add(&args, next_arg(a, &text)))
            return err_set(err, a, "Too many arguments in command");
    if (args.n == 0)
        return err_set(err, a, "no command was given");
    *argv = args.v;
    return true;
}

static bool is_word(const char *arg, const char *name)
{
    size_t n = strlen(name);

    if (arg[0] != '$')
        return false;
    return strcmp(arg + 1, name) == 0 ||
           (arg[1] == '{' && strncmp(arg + 2, name, n) == 0 && strcmp(arg + 2 + n, "}") == 0);
}

static bool add_addresses(struct args *args, const struct address *addrs)
{
    for (; addrs != NULL; addrs = addrs->next)
        if (!add(args, addrs->address))
            return false;
    return true;
}

static bool add_words(struct args *args, const char *text, struct err *err)
{
    char **words;

    if (!command_split(args->a, text, &words, err))
        return false;
    for (; *words != NULL; words++)
        if (!add(args, *words))
            return false;
    return true;
}

static bool add_expanded(struct expand_ctx *ctx, const struct command_request *rq, struct args *args,
                         const char *word, struct err *err)
{
    const char *v;

    if (expand_text(ctx, word, &v) == EXPAND_OK)
        return add(args, v);
    return err_set(err, ctx->arena, "Expansion of \"%s\" from command \"%s\" in %s failed: %s", word, rq->text,
                   rq->owner, ctx->err.msg);
}

bool command_parse(struct expand_ctx *ctx, const struct command_request *rq, char ***argv, struct err *err)
{
    struct args args = { .a = ctx->arena };
    char **words;

    if (!command_split(ctx->arena, rq->text, &words, err))
        return false;
    for (; *words != NULL; words++) {
        bool ok;
        err->msg = NULL;
        if (rq->addrs != NULL && is_word(*words, "pipe_addresses"))
            ok = add_addresses(&args, rq->addrs);
        else if (rq->address_pipe != NULL && is_word(*words, "address_pipe"))
            ok = add_words(&args, rq->address_pipe, err);
        else
            ok = rq->expand ? add_expanded(ctx, rq, &args, *words, err) : add(&args, *words);
        if (!ok)
            return err->msg != NULL ? false : err_set(err, ctx->arena, "Too many arguments in command");
    }
    *argv = args.v;
    return args.n > 0 ? true : err_set(err, ctx->arena, "no command was given");
}
