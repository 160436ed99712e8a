#include "dsn_language.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "config/config.h"
#include "dsn_int.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "hooks.h"
#include "message.h"
#include "parse.h"

enum { FILE_MAX = 256 * 1024, TAG_MAX = 35, TAGS_MAX = 32 };

struct section {
    struct section *next;
    const char *name, *text;
};
struct dsn_language {
    const char *tag;
    struct section *sections;
};

/* ---- tags ---- */

static bool is_tag(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > TAG_MAX || !is_alnum(s[0]))
        return false;
    for (; *s != '\0'; s++)
        if (!is_alnum(*s) && *s != '-')
            return false;
    return true;
}

struct wish { const char *tag; long q; size_t at; };

static int by_q(const void *a, const void *b)
{
    const struct wish *x = a, *y = b;

    return x->q != y->q ? (x->q < y->q ? 1 : -1) : x->at < y->at ? -1 : x->at > y->at;
}

/* ";q=0.8" in thousandths; nothing is 1, nonsense 0. */
static long quality(const char *p)
{
    p = cstr_skip_space(p);
    if (*p != ';')
        return 1000;
    p = cstr_skip_space(p + 1);
    if ((*p != 'q' && *p != 'Q') || p[1] != '=')
        return 0;
    char *end;
    double q = strtod(p + 2, &end);
    return end == p + 2 || !(q >= 0) || q > 1 ? 0 : (long)(q * 1000);
}

const char *dsn_language_wanted(struct arena *a, const char *line, size_t n)
{
    struct wish wishes[TAGS_MAX];
    size_t count = 0;

    for (const char *p = line; *p != '\0' && count < TAGS_MAX;) {
        size_t len = strcspn(p, ",");
        const char *one = str_dup(a, str_trim((struct str){ p, len }));
        const char *tag = cstr_lower(a, arena_strndup(a, one, strcspn(one, "; \t\r\n")));
        long q = quality(one + strlen(tag));
        if (is_tag(tag) && q > 0) {
            wishes[count] = (struct wish){ tag, q, count };
            count++;
        }
        p += len + (p[len] == ',');
    }
    qsort(wishes, count, sizeof(wishes[0]), by_q);
    return n < count ? wishes[n].tag : NULL;
}

/* ---- files ---- */

static bool is_section(const char *name)
{
    static const char *const names[] = { "failure subject", "failure intro", "failure output", "delay subject",
                                         "delay intro", "delay end", "success subject", "success intro" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    if (!cstr_starts(name, "status ") || name[7] == '\0')
        return false;
    return strspn(name + 7, "0123456789.") == strlen(name + 7);
}

static bool is_utf8(const char *s)
{
    unsigned long code;

    for (size_t n; *s != '\0'; s += n)
        if ((n = parse_utf8_char(s, &code)) == 0)
            return false;
    return true;
}

/* Blank lines at both ends are the file's, not the report's. */
static void end_section(struct arena *a, struct section *s, struct str text)
{
    if (s != NULL)
        s->text = str_dup(a, str_trim(text));
}

struct dsn_language *dsn_language_parse(struct arena *a, const char *tag, struct str text, struct err *err)
{
    struct dsn_language *l = arena_new_obj(a, struct dsn_language);
    struct section **tail = &l->sections, *last = NULL;
    const char *p = str_dup(a, text), *start = p;
    unsigned line = 1;

    l->tag = tag;
    if (strlen(p) != text.len || !is_utf8(p))
        return err_set(err, a, "the file is not in UTF-8"), NULL;
    for (size_t n; *p != '\0'; p += n + (p[n] == '\n'), line++) {
        n = strcspn(p, "\n");
        bool head = *p == '[';
        if (!head && last != NULL)
            continue;
        struct str words = str_trim((struct str){ p, n });
        if (!head && (words.len == 0 || *p == '#'))
            continue;
        if (!head)
            return err_set(err, a, "line %u: text before the first section", line), NULL;
        const char *name = arena_strndup(a, words.p + 1, words.len - 1);
        size_t len = strlen(name);
        end_section(a, last, (struct str){ start, (size_t)(p - start) });
        last = arena_new_obj(a, struct section);
        last->name = len > 0 && name[len - 1] == ']' ? arena_strndup(a, name, len - 1) : "";
        last->text = "";
        if (!is_section(last->name))
            return err_set(err, a, "line %u: unknown section [%s", line, name), NULL;
        *tail = last;
        tail = &last->next;
        start = p + n + (p[n] == '\n');
    }
    end_section(a, last, (struct str){ start, (size_t)(p - start) });
    return l;
}

static const char *path_of(struct arena *a, const struct exim *e, const char *tag)
{
    return arena_printf(a, "%s/%s", e->config->main.dsn_message_directory, tag);
}

/* NULL without err->msg: there is no such file. */
static struct dsn_language *load(struct arena *a, const struct exim *e, const char *tag, struct err *err)
{
    struct str text;

    if (file_slurp(a, path_of(a, e, tag), FILE_MAX, &text))
        return dsn_language_parse(a, tag, text, err);
    if (errno != ENOENT)
        (void)err_sys(err, a, errno, "cannot be read");
    return NULL;
}

static bool compiles(struct exim *e, struct arena *a, const struct dsn_language *l, struct err *err)
{
    struct err why = { 0 };

    for (const struct section *s = l->sections; s != NULL; s = s->next)
        if (e->hooks->expr_compile(a, s->text, &why) == NULL)
            return err_set(err, a, "[%s]: %s", s->name, why.msg);
    return true;
}

static bool check_file(struct exim *e, struct arena *a, const char *name, struct err *err)
{
    struct err why = { 0 };
    const struct dsn_language *l = load(a, e, name, &why);

    if (why.msg == NULL && (l == NULL || compiles(e, a, l, &why)))
        return true;
    return err_set(err, e->arena, "dsn_message_directory: %s: %s", path_of(a, e, name), why.msg);
}

bool dsn_language_check(struct exim *e, struct err *err)
{
    const char *directory = e->config->main.dsn_message_directory;
    struct arena *a = arena_new("languages");
    bool ok = true;

    if (directory == NULL || *directory == '\0') {
        arena_destroy(&a);
        return true;
    }
    DIR *d = opendir(directory);
    if (d == NULL)
        ok = err_sys(err, e->arena, errno, "dsn_message_directory: %s", directory);
    for (struct dirent *at; d != NULL && ok && (at = readdir(d)) != NULL;)
        if (is_tag(at->d_name)) /* backup files and the like are nobody's language */
            ok = check_file(e, a, at->d_name, err);
    if (d != NULL)
        (void)closedir(d);
    arena_destroy(&a);
    return ok;
}

/* ---- choosing ---- */

static void complain(struct expand_ctx *ctx, const char *tag, const char *why)
{
    log_write(ctx->exim->log, LOG_MAIN | LOG_PANIC, ctx->message == NULL ? NULL : ctx->message->id,
              "dsn_message_directory: %s: %s", path_of(ctx->arena, ctx->exim, tag), why);
}

/* "de-at", then "de" (RFC 4647, lookup). */
static const struct dsn_language *find(struct expand_ctx *ctx, const char *tag)
{
    for (char *t = arena_strdup(ctx->arena, tag);;) {
        struct err err = { 0 };
        const struct dsn_language *l = load(ctx->arena, ctx->exim, t, &err);
        if (l != NULL)
            return l;
        if (err.msg != NULL)
            complain(ctx, t, err.msg);
        char *dash = strrchr(t, '-');
        if (dash == NULL)
            return NULL;
        *dash = '\0';
    }
}

const struct dsn_language *dsn_language_choose(struct expand_ctx *ctx, const struct dsn_report *r)
{
    static const char *const fields[] = { "accept-language", "content-language" };
    const char *directory = ctx->exim->config->main.dsn_message_directory, *tag;

    if (directory == NULL || *directory == '\0')
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const char *line = header_value(ctx->arena, &r->original->headers, fields[i], HEADER_RAW, NULL);
        for (size_t n = 0; (tag = dsn_language_wanted(ctx->arena, line, n)) != NULL; n++) {
            const struct dsn_language *l = find(ctx, tag);
            if (l != NULL || strcmp(tag, "en") == 0 || cstr_starts(tag, "en-"))
                return l;
        }
    }
    return NULL;
}

const char *dsn_language_tag(const struct dsn_language *l)
{
    return l->tag;
}

/* ---- using ---- */

/* The section's text, expanded; NULL if it has none, or a faulty one. */
static const char *text_of(struct expand_ctx *ctx, const struct dsn_language *l, const char *name)
{
    const char *out;

    for (const struct section *s = l->sections; s != NULL; s = s->next) {
        if (strcmp(s->name, name) != 0 || *s->text == '\0')
            continue;
        if (expand_text(ctx, s->text, &out) == EXPAND_OK)
            return out;
        complain(ctx, l->tag, arena_printf(ctx->arena, "[%s]: %s", name, ctx->err.msg));
    }
    return NULL;
}

static const char *subject(struct expand_ctx *ctx, const char *text)
{
    const char *line = cstr_printable(ctx->arena, text, true);

    return arena_printf(ctx->arena, "Subject: %s\n", parse_rfc2047_encode(ctx->arena, line, "utf-8", true));
}

void dsn_language_apply(struct expand_ctx *ctx, const struct dsn_language *l, const struct dsn_report *r,
                        struct dsn_template *t)
{
    static const char *const kinds[] = { [DSN_REPORT_SUCCESS] = "success", [DSN_REPORT_FAILURE] = "failure",
                                         [DSN_REPORT_DELAY] = "delay" };
    const char *kind = kinds[r->kind], *text;

    if ((text = text_of(ctx, l, arena_printf(ctx->arena, "%s subject", kind))) != NULL)
        t->part[0] = subject(ctx, text);
    if ((text = text_of(ctx, l, arena_printf(ctx->arena, "%s intro", kind))) != NULL)
        t->part[1] = arena_printf(ctx->arena, "%s\n\n", text);
    text = r->kind == DSN_REPORT_FAILURE ? text_of(ctx, l, "failure output")
         : r->kind == DSN_REPORT_DELAY   ? text_of(ctx, l, "delay end")
                                         : NULL;
    if (text != NULL)
        t->part[2] = arena_printf(ctx->arena, "%s\n\n", text);
}

const char *dsn_language_status(struct expand_ctx *ctx, const struct dsn_language *l, const char *status)
{
    char *s = arena_strdup(ctx->arena, status);

    for (;;) {
        const char *text = text_of(ctx, l, arena_printf(ctx->arena, "status %s", s));
        char *dot = strrchr(s, '.');
        if (text != NULL || dot == NULL)
            return text;
        *dot = '\0';
    }
}
