#include "parse.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"

enum { WORD_MAX = 75 }; /* RFC 2047 section 2 */

/* "=?charset?Q?text?=" as found at a place. */
struct word {
    struct str charset, text;
    char encoding;
    const char *end;
};

static bool find_word(const char *s, bool check_length, struct word *w)
{
    if (s[0] != '=' || s[1] != '?')
        return false;
    const char *charset = s + 2, *q1 = strchr(charset, '?');
    if (q1 == NULL || q1 == charset || q1[1] == '\0' || q1[2] != '?')
        return false;
    const char *text = q1 + 3, *end = strstr(text, "?=");
    if (end == NULL || (check_length && end + 2 - s > WORD_MAX))
        return false;
    for (const char *p = charset; p < end; p++)
        if (*p <= ' ' || *p > 126)
            return false;
    w->charset = (struct str){ charset, (size_t)(q1 - charset) };
    const char *star = memchr(charset, '*', w->charset.len); /* RFC 2231 language */
    if (star != NULL)
        w->charset.len = (size_t)(star - charset);
    w->encoding = to_lower(q1[1]);
    w->text = (struct str){ text, (size_t)(end - text) };
    w->end = end + 2;
    return w->charset.len > 0 && (w->encoding == 'q' || w->encoding == 'b');
}

static bool decode_q(struct buf *out, struct str in)
{
    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];

        if (c == '=') {
            int hi = i + 2 < in.len ? hex_value(in.p[i + 1]) : -1;
            int lo = hi < 0 ? -1 : hex_value(in.p[i + 2]);

            if (lo < 0)
                return false;
            c = (char)(hi * 16 + lo);
            i += 2;
        } else if (c == '_') {
            c = ' ';
        }
        buf_add_char(out, c);
    }
    return true;
}

/* NUL never gets through: it would end the string. */
static void mask_nul(struct str s, char *p)
{
    for (size_t i = 0; i < s.len; i++)
        if (p[i] == '\0')
            p[i] = '?';
}

static bool decode_text(struct arena *a, const struct word *w, struct str *out)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

    if (w->encoding == 'q') {
        if (!decode_q(&b, w->text))
            return false;
    } else {
        struct str raw;

        if (!base64_decode(a, w->text, &raw))
            return false;
        buf_add_str(&b, raw);
    }
    char *p = buf_cstr(&b);
    *out = (struct str){ p, b.len };
    mask_nul(*out, p);
    return true;
}

/* Converts to `charset` and appends; a byte that cannot be converted stands for itself,
 * as mail with wrongly labelled words is common. */
static bool add_converted(struct buf *out, struct str text, struct str from, const char *charset,
                          const char **err)
{
    struct arena *a = out->arena;
    const char *source = str_dup(a, from);
    iconv_t cd = iconv_open(charset, source);

    if (cd == (iconv_t)-1) {
        *err = arena_printf(a, "iconv_open(\"%s\", \"%s\") failed: %s%s", charset, source,
                            strerror(errno),
                            errno == EINVAL ? " (maybe unsupported conversion)" : "");
        return false;
    }
    char *in = str_dup(a, text);
    size_t left = text.len;
    while (left > 0) {
        char chunk[256], *to = chunk;
        size_t room = sizeof(chunk);
        size_t rc = iconv(cd, &in, &left, &to, &room);
        int why = errno;

        buf_add(out, chunk, sizeof(chunk) - room);
        if (rc != (size_t)-1 || (why == E2BIG && room < sizeof(chunk)))
            continue;
        buf_add_char(out, *in++);
        left--;
    }
    iconv_close(cd);
    return true;
}

const char *parse_rfc2047_decode(struct arena *a, const char *s, bool check_length,
                                 const char *charset, const char **err)
{
    struct buf out = buf_init(a, BUF_DEFAULT_CEILING);
    const char *word = strstr(s, "=?");
    bool after_word = false;
    size_t word_end = 0;

    *err = NULL;
    if (word == NULL)
        return s;
    while (*s != '\0') {
        struct word w;
        struct str text;

        if (*s != '=' || !find_word(s, check_length, &w) || !decode_text(a, &w, &text)) {
            after_word = false;
            buf_add_char(&out, *s++);
            continue;
        }
        if (after_word) /* white space between two words is not shown */
            buf_truncate(&out, word_end);
        if (charset == NULL)
            buf_add_str(&out, text);
        else if (!add_converted(&out, text, w.charset, charset, err))
            return NULL;
        s = w.end;
        word_end = out.len;
        const char *next = cstr_skip_space(s);
        after_word = next > s && next[0] == '=' && next[1] == '?';
        while (after_word && s < next)
            buf_add_char(&out, *s++);
    }
    return buf_cstr(&out);
}

static bool is_literal(char c)
{
    return c > ' ' && c < 127 && strchr("?=()<>@,;:\\\".[]_", c) == NULL;
}

/* Bytes of the character at s that must stay in one word: UTF-8 sequences. */
static size_t char_len(const char *s, bool utf8)
{
    size_t n = 1;

    if (utf8 && (unsigned char)*s >= 0xc0)
        while (n < 4 && ((unsigned char)s[n] & 0xc0) == 0x80)
            n++;
    return n;
}

const char *parse_rfc2047_encode(struct arena *a, const char *s, const char *charset,
                                 bool fold)
{
    bool plain = true;

    for (const char *p = s; *p != '\0' && plain; p++)
        plain = is_literal(*p) || *p == ' ';
    if (plain)
        return s;
    struct buf out = buf_init(a, BUF_DEFAULT_CEILING);
    size_t word = 0, head = strlen(charset) + 5;
    bool utf8 = cstr_ieq(charset, "UTF-8");
    buf_printf(&out, "=?%s?Q?", charset);
    while (*s != '\0') {
        size_t n = char_len(s, utf8),
               need = n == 1 && (is_literal(*s) || *s == ' ') ? 1 : 3 * n;

        if (out.len - word + need + 2 > WORD_MAX && out.len - word > head) {
            buf_printf(&out, "?=%s =?%s?Q?", fold ? "\n" : "", charset);
            word = out.len - head;
        }
        for (; n > 0; n--, s++) {
            if (*s == ' ')
                buf_add_char(&out, '_');
            else if (is_literal(*s))
                buf_add_char(&out, *s);
            else
                buf_printf(&out, "=%02X", (unsigned)(unsigned char)*s);
        }
    }
    buf_add_cstr(&out, "?=");
    return buf_cstr(&out);
}
