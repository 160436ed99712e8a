#include "base/format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* What was written so far, and what there would be had there been room. */
struct text {
    char *out;
    size_t room, len;
};

static void add(struct text *t, const char *s, size_t n)
{
    if (t->len < t->room) {
        size_t left = t->room - t->len;

        memcpy(t->out + t->len, s, n < left ? n : left);
    }
    t->len += n;
}

static void add_number(struct text *t, bool negative, uintmax_t n)
{
    char digits[3 * sizeof(n) + 1], *end = digits + sizeof(digits), *p = end;

    do
        *--p = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    if (negative)
        *--p = '-';
    add(t, p, (size_t)(end - p));
}

static void add_signed(struct text *t, intmax_t n)
{
    add_number(t, n < 0, n < 0 ? -(uintmax_t)n : (uintmax_t)n);
}

static void add_string(struct text *t, const char *s, int max)
{
    s = s != NULL ? s : "(null)";
    add(t, s, max < 0 ? strlen(s) : strnlen(s, (size_t)max));
}

/* The conversion behind a % at *fmt, which is left behind it. False: one that the C library has to do. */
static bool convert(struct text *t, const char **fmt, va_list *ap)
{
    const char *p = *fmt;
    char c;

    switch (*p) {
    case '%':
        add(t, "%", 1);
        break;
    case 'c':
        c = (char)va_arg(*ap, int);
        add(t, &c, 1);
        break;
    case 's':
        add_string(t, va_arg(*ap, const char *), -1);
        break;
    case '.':
        if (p[1] != '*' || p[2] != 's')
            return false;
        p += 2;
        int max = va_arg(*ap, int);
        const char *s = va_arg(*ap, const char *);
        if (s == NULL)
            return false;
        add_string(t, s, max);
        break;
    case 'd':
        add_signed(t, va_arg(*ap, int));
        break;
    case 'u':
        add_number(t, false, va_arg(*ap, unsigned));
        break;
    case 'l':
        if (*++p != 'd' && *p != 'u')
            return false;
        if (*p == 'd')
            add_signed(t, va_arg(*ap, long));
        else
            add_number(t, false, va_arg(*ap, unsigned long));
        break;
    case 'z':
        if (*++p != 'u')
            return false;
        add_number(t, false, va_arg(*ap, size_t));
        break;
    default:
        return false;
    }
    *fmt = p + 1;
    return true;
}

static bool format_all(struct text *t, const char *fmt, va_list *ap)
{
    for (;;) {
        const char *percent = strchrnul(fmt, '%');

        add(t, fmt, (size_t)(percent - fmt));
        if (*percent == '\0')
            return t->len <= INT_MAX;
        fmt = percent + 1;
        if (!convert(t, &fmt, ap))
            return false;
    }
}

int format_text(char *out, size_t room, const char *fmt, va_list ap)
{
    struct text t = { .out = out, .room = room };
    va_list ours;

    va_copy(ours, ap);
    bool done = format_all(&t, fmt, &ours);
    va_end(ours);
    if (!done)
        return vsnprintf(out, room, fmt, ap);
    if (room > 0)
        out[t.len < room ? t.len : room - 1] = '\0';
    return (int)t.len;
}

int format(char *out, size_t room, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int len = format_text(out, room, fmt, ap);
    va_end(ap);
    return len;
}
