#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/ctype.h"

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool bytes_ieq(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i]))
            return false;
    return true;
}

bool str_ieq(struct str a, struct str b)
{
    return a.len == b.len && bytes_ieq(a.p, b.p, a.len);
}

static bool is_trimmed(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_trimmed(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && is_trimmed(s.p[s.len - 1]))
        s.len--;
    return s;
}

char *str_dup(struct arena *a, struct str s)
{
    return arena_strndup(a, s.p, s.len);
}

bool cstr_ieq(const char *a, const char *b)
{
    while (*a != '\0' && to_lower(*a) == to_lower(*b)) {
        a++;
        b++;
    }
    return to_lower(*a) == to_lower(*b);
}

bool cstr_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool cstr_istarts(const char *s, const char *prefix)
{
    while (*prefix != '\0' && to_lower(*s) == to_lower(*prefix)) {
        s++;
        prefix++;
    }
    return *prefix == '\0';
}

bool cstr_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool cstr_iends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && bytes_ieq(s + n - m, suffix, m);
}

char *cstr_lower(struct arena *a, const char *s)
{
    char *copy = arena_strdup(a, s);

    for (char *p = copy; *p != '\0'; p++)
        *p = to_lower(*p);
    return copy;
}

char *cstr_upper(struct arena *a, const char *s)
{
    char *copy = arena_strdup(a, s);

    for (char *p = copy; *p != '\0'; p++)
        *p = to_upper(*p);
    return copy;
}

const char *cstr_skip_space(const char *s)
{
    while (is_space(*s))
        s++;
    return s;
}

static bool shows_as_is(char c, bool keep8)
{
    return is_print(c) || (keep8 && (unsigned char)c >= 128);
}

static char *escape_one(char *q, char c)
{
    static const char letters[] = "\bb\tt\nn\vv\ff\rr";

    *q++ = '\\';
    for (size_t i = 0; i + 1 < sizeof(letters); i += 2)
        if (c == letters[i]) {
            *q++ = letters[i + 1];
            return q;
        }
    *q++ = (char)('0' + ((unsigned char)c >> 6));
    *q++ = (char)('0' + (((unsigned char)c >> 3) & 7));
    *q++ = (char)('0' + ((unsigned char)c & 7));
    return q;
}

char *cstr_printable_len(struct arena *a, const char *s, size_t len, bool keep8)
{
    size_t odd = 0;

    for (size_t i = 0; i < len; i++)
        odd += !shows_as_is(s[i], keep8);
    if (odd == 0)
        return arena_strndup(a, s, len);

    char *out = arena_new_array(a, char, len + 3 * odd + 1), *q = out;
    for (size_t i = 0; i < len; i++)
        if (shows_as_is(s[i], keep8))
            *q++ = s[i];
        else
            q = escape_one(q, s[i]);
    *q = '\0';
    return out;
}

const char *cstr_printable(struct arena *a, const char *s, bool keep8)
{
    const char *p = s;

    while (*p != '\0' && shows_as_is(*p, keep8))
        p++;
    return *p == '\0' ? s : cstr_printable_len(a, s, strlen(s), keep8);
}

bool cstr_to_ulong(const char *s, unsigned long *out)
{
    unsigned long v = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++)
        if (!is_digit(*s) || __builtin_mul_overflow(v, 10UL, &v) ||
            __builtin_add_overflow(v, (unsigned long)(*s - '0'), &v))
            return false;
    *out = v;
    return true;
}

bool cstr_to_long(const char *s, long *out)
{
    bool negative = *s == '-', overflow;
    unsigned long v;
    long value;

    if (!cstr_to_ulong(s + negative, &v))
        return false;
    overflow = negative ? __builtin_sub_overflow(0L, v, &value) : __builtin_add_overflow(0L, v, &value);
    if (!overflow)
        *out = value;
    return !overflow;
}
