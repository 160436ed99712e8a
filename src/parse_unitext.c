#include "parse.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"

enum { CODE_MAX = 0x10ffff, HEX_DIGITS_MAX = 6 };

static bool is_scalar(unsigned long code)
{
    return code <= CODE_MAX && !(code >= 0xd800 && code <= 0xdfff);
}

size_t parse_utf8_char(const char *s, unsigned long *code)
{
    unsigned char c = (unsigned char)*s;
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned long cp = n == 1 ? c : c & (0xffu >> (n + 1));

    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80) /* the NUL at the end too */
            return 0;
        cp = cp << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (n == 0 || cp < least[n] || !is_scalar(cp))
        return 0;
    *code = cp;
    return n;
}

static void add_utf8(struct buf *b, unsigned long c)
{
    if (c < 0x80)
        buf_add_char(b, (char)c);
    else if (c < 0x800)
        buf_printf(b, "%c%c", (int)(0xc0 | c >> 6), (int)(0x80 | (c & 0x3f)));
    else if (c < 0x10000)
        buf_printf(b, "%c%c%c", (int)(0xe0 | c >> 12), (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
    else
        buf_printf(b, "%c%c%c%c", (int)(0xf0 | c >> 18), (int)(0x80 | (c >> 12 & 0x3f)),
                   (int)(0x80 | (c >> 6 & 0x3f)), (int)(0x80 | (c & 0x3f)));
}

/* "\x{E4}" after its backslash; what it takes of s, 0 when it is malformed. */
static size_t embedded(const char *s, unsigned long *code)
{
    size_t n = 2;

    *code = 0;
    if (s[0] != 'x' || s[1] != '{')
        return 0;
    for (; hex_value(s[n]) >= 0 && n < 2 + HEX_DIGITS_MAX; n++)
        *code = *code << 4 | (unsigned)hex_value(s[n]);
    return n > 2 && s[n] == '}' && *code >= 0x20 && *code != 0x7f && is_scalar(*code) ? n + 1 : 0;
}

/* "+2B" after its plus sign. */
static size_t encoded(const char *s, unsigned long *code)
{
    int hi = hex_value(s[0]), lo = hi < 0 ? -1 : hex_value(s[1]);

    if (lo < 0 || is_lower(s[0]) || is_lower(s[1]))
        return 0;
    *code = (unsigned)(hi * 16 + lo);
    return is_print((char)*code) ? 2 : 0;
}

const char *parse_unitext_decode(struct arena *a, const char *s, bool raw)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    const char *start = s;

    while (*s != '\0') {
        unsigned long code = 0;
        size_t n;
        if (*s == '\\')
            n = embedded(s + 1, &code), s++;
        else if (*s == '+')
            n = encoded(s + 1, &code), s++;
        else {
            n = parse_utf8_char(s, &code);
            if (code <= ' ' || code == 0x7f || code == '=' || (code >= 0x80 && !raw))
                n = 0;
        }
        if (n == 0)
            return NULL;
        add_utf8(&b, code);
        s += n;
    }
    return s == start ? NULL : buf_cstr(&b);
}

const char *parse_unitext_encode(struct arena *a, const char *s)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

    while (*s != '\0') {
        unsigned long code;
        size_t n = parse_utf8_char(s, &code);
        if (n == 0 || code < 0x20 || code == 0x7f)
            buf_add_char(&b, '?');
        else if (code > ' ' && code < 0x7f && strchr("\\+=", (int)code) == NULL)
            buf_add_char(&b, (char)code);
        else
            buf_printf(&b, "\\x{%lX}", code);
        s += n == 0 ? 1 : n;
    }
    return buf_cstr(&b);
}
