#include "rewrite.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"
#include "expand.h"
#include "match.h"

/* A word that ends at white space, or a quoted string with its escapes undone
 * (manual 6.17). */
static const char *take_word(struct arena *a, const char **s)
{
    const char *start = cstr_skip_space(*s), *p = start;
    struct buf b = buf_init(a, 1024 * 1024);

    if (*p != '"') {
        while (*p != '\0' && !is_space(*p))
            p++;
        *s = p;
        return arena_strndup(a, start, (size_t)(p - start));
    }
    for (p++; *p != '\0' && *p != '"'; p++) {
        if (*p != '\\' || p[1] == '\0') {
            buf_add_char(&b, *p);
            continue;
        }
        static const char from[] = "nrtbfv", to[] = "\n\r\t\b\f\v";
        const char *at = strchr(from, *++p);
        buf_add_char(&b, at == NULL ? *p : to[at - from]);
    }
    *s = *p == '"' ? p + 1 : p;
    return buf_cstr(&b);
}

static unsigned flag_of(char c)
{
    switch (c) {
    case 'E':
        return REWRITE_ENV_FROM | REWRITE_ENV_TO;
    case 'F':
        return REWRITE_ENV_FROM;
    case 'T':
        return REWRITE_ENV_TO;
    case 'b':
        return REWRITE_BCC;
    case 'c':
        return REWRITE_CC;
    case 'f':
        return REWRITE_FROM;
    case 'h':
        return REWRITE_ALL_HEADERS;
    case 'r':
        return REWRITE_REPLY_TO;
    case 's':
        return REWRITE_SENDER_HDR;
    case 't':
        return REWRITE_TO;
    case 'S':
        return REWRITE_SMTP;
    case 'Q':
        return REWRITE_QUALIFY;
    case 'q':
        return REWRITE_QUIT;
    case 'R':
        return REWRITE_REPEAT;
    case 'w':
        return REWRITE_WHOLE;
    default:
        return 0;
    }
}

static bool parse_flags(struct arena *a, const char *s, unsigned *flags, struct err *err)
{
    for (; *s != '\0'; s++) {
        if (is_blank(*s))
            continue;
        if (flag_of(*s) == 0)
            return err_set(
                err, a,
                "unknown rewrite flag character '%c' (could be missing quotes round "
                "replacement item)",
                *s);
        *flags |= flag_of(*s);
    }
    if ((*flags & REWRITE_ALL_PLACES) == 0)
        *flags |= REWRITE_ALL_PLACES & ~(unsigned)REWRITE_SMTP;
    return true;
}

/* A pattern is one item, whatever colons it has: the separator is one that cannot be in
 * it. */
static const struct match_list *compile_pattern(struct arena *a, enum list_kind kind,
                                                const char *pattern,
                                                const struct config *cfg, struct err *err)
{
    return match_compile(a, kind, arena_printf(a, "<\x01 %s", pattern), cfg, err);
}

static bool is_regex(const char *pattern)
{
    return *pattern == '^' || cstr_starts(pattern, "\\N^");
}

struct rewrite_rule *rewrite_rule_parse(struct arena *a, const char *line,
                                        const struct config *cfg, struct err *err)
{
    struct rewrite_rule *r = arena_new_obj(a, struct rewrite_rule);

    r->text = take_word(a, &line);
    line = cstr_skip_space(line);
    if (*line == '\0') {
        err_set(err, a, "missing rewrite replacement string");
        return NULL;
    }
    const char *replacement = take_word(a, &line);
    if (!parse_flags(a, line, &r->flags, err))
        return NULL;
    if ((r->flags & REWRITE_SMTP) != 0 && !is_regex(r->text)) {
        err_set(err, a, "rewrite rule has the S flag but is not a regular expression");
        return NULL;
    }
    /* What the S flag sees need not be an address: its pattern is tried on the whole
     * text. */
    enum list_kind kind = (r->flags & REWRITE_SMTP) != 0 ? LIST_LOCAL_PART : LIST_ADDRESS;
    r->pattern = compile_pattern(a, kind, r->text, cfg, err);
    r->replacement = expr_compile(a, replacement, err);
    return r->pattern == NULL || r->replacement == NULL ? NULL : r;
}
