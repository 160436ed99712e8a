#include "parse.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"

static bool is_atext(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static void add_quoted(struct buf *out, const char *s)
{
    buf_add_char(out, '"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            buf_add_char(out, '\\');
        if (!is_cntrl(*s) || *s == '\t')
            buf_add_char(out, *s);
    }
    buf_add_char(out, '"');
}

const char *parse_quote_local_part(struct arena *a, const char *lp)
{
    size_t len = strlen(lp);
    bool plain = len > 0 && lp[0] != '.' && lp[len - 1] != '.';

    for (const char *s = lp; *s != '\0' && plain; s++)
        plain = is_atext(*s) || *s == '.';
    if (plain)
        return lp;
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    add_quoted(&b, lp);
    return buf_cstr(&b);
}

/* The end of a quoted string or a comment that starts at s; NULL when it does not end. */
static const char *unit_end(const char *s)
{
    int depth = 0;
    bool quoted = *s == '"';

    for (const char *p = s; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (quoted && *p == '"' && p > s)
            return p + 1;
        else if (!quoted && *p == '(')
            depth++;
        else if (!quoted && *p == ')' && --depth == 0)
            return p + 1;
    }
    return NULL;
}

/* Words, quoted strings and comments, each as RFC 5322 has them. */
static bool is_phrase(const char *s)
{
    while (*s != '\0') {
        if (*s == '"' || *s == '(') {
            s = unit_end(s);
            if (s == NULL)
                return false;
        } else if (is_atext(*s) || is_blank(*s) || (unsigned char)*s > 127) {
            s++;
        } else {
            return false;
        }
    }
    return true;
}

const char *parse_fix_phrase(struct arena *a, const char *phrase)
{
    struct str trimmed = str_trim(str_from(phrase));
    const char *s = arena_strndup(a, trimmed.p, trimmed.len);

    if (is_phrase(s))
        return s;
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    add_quoted(&b, s);
    return buf_cstr(&b);
}

const char *parse_message_id(struct arena *a, const char *s, const char **rest)
{
    for (; *s != '\0' && *s != '<'; s++) {
        const char *end = *s == '"' || *s == '(' ? unit_end(s) : NULL;

        if (end != NULL)
            s = end - 1;
    }
    const char *close = *s == '<' ? strchr(s, '>') : NULL;
    if (close == NULL)
        return NULL;
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    for (const char *p = s; p <= close; p++) /* folding is no part of an id */
        if (!is_space(*p) && !is_cntrl(*p))
            buf_add_char(&b, *p);
    *rest = close + 1;
    return buf_cstr(&b);
}

const char *parse_xtext_decode(struct arena *a, const char *s)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

    for (; *s != '\0'; s++) {
        char c = *s;

        if (c <= ' ' || c > 126 || c == '=')
            return NULL;
        if (c == '+') {
            int hi = hex_value(s[1]), lo = hi < 0 ? -1 : hex_value(s[2]);

            if (lo < 0 || is_lower(s[1]) || is_lower(s[2]))
                return NULL;
            c = (char)(hi * 16 + lo);
            if (!is_print(c))
                return NULL;
            s += 2;
        }
        buf_add_char(&b, c);
    }
    return buf_cstr(&b);
}

const char *parse_xtext_encode(struct arena *a, const char *s)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

    for (; *s != '\0'; s++) {
        if (*s > ' ' && *s < 127 && *s != '+' && *s != '=')
            buf_add_char(&b, *s);
        else
            buf_printf(&b, "+%02X", (unsigned)(unsigned char)*s);
    }
    return buf_cstr(&b);
}
