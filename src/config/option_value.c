#include "config/option_value.h"

#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/value.h"

/* At most `digits` digits of the base, from s on; *used counts them. */
static int numeric_escape(const char *s, int base, int digits, size_t *used)
{
    int value = 0;

    for (*used = 0; *used < (size_t)digits; ++*used) {
        int v = hex_value(s[*used]);

        if (v < 0 || v >= base)
            break;
        value = value * base + v;
    }
    return value & 0xff;
}

/* The character that the escape after a backslash stands for; s is moved past it. */
static char escape(const char **s)
{
    const char *p = *s;
    size_t used;
    int value;

    if (p[0] == 'x') {
        value = numeric_escape(p + 1, 16, 2, &used);
        *s = p + 1 + used;
        return (char)value;
    }
    if (p[0] >= '0' && p[0] <= '7') {
        value = numeric_escape(p, 8, 3, &used);
        *s = p + used;
        return (char)value;
    }
    *s = p + 1;
    return *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == 't' ? '\t' : *p;
}

bool option_value_string(struct arena *a, const char *name, const char *text,
                         const char **out, struct err *err)
{
    if (text[0] != '"') {
        *out = arena_strdup(a, text);
        return true;
    }
    char *value = arena_alloc(a, strlen(text), 1);
    char *to = value;
    const char *s = text + 1;

    while (*s != '\0' && *s != '"') {
        char c = *s++;

        *to = c != '\\' || *s == '\0' ? c : escape(&s);
        if (*to++ == '\0')
            return err_set(err, a, "a NUL character is not possible in %s", name);
    }
    if (*s == '\0')
        return err_set(err, a, "missing quote at end of string value for %s", name);
    if (*cstr_skip_space(s + 1) != '\0')
        return err_set(err, a, "extra characters follow string value for %s", name);
    *out = value;
    return true;
}

/* Digits with an optional sign and 0x; *end is where they stop. False: overflow. */
static bool digits(const char *s, int base, long *out, const char **end)
{
    bool negative = *s == '-';
    long value = 0;

    if (*s == '-' || *s == '+')
        s++;
    if (base == 0) {
        bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && is_xdigit(s[2]);

        base = hex ? 16 : s[0] == '0' ? 8 : 10;
        s += hex ? 2 : 0;
    }
    for (int v; (v = hex_value(*s)) >= 0 && v < base; s++)
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, v, &value))
            return false;
    *out = negative ? -value : value;
    *end = s;
    return true;
}

static bool begins_number(const char *s)
{
    return is_digit(s[*s == '-' || *s == '+' ? 1 : 0]);
}

static long unit(char c)
{
    return c == 'k' ? 1L << 10 : c == 'm' ? 1L << 20 : c == 'g' ? 1L << 30 : 0;
}

/* *has_unit: the number was followed by K, M or G, which counts in *out already. */
static bool scaled(const char *text, long *out, bool *has_unit, const char **end)
{
    bool fits = digits(text, 0, out, end);
    long factor = fits ? unit(to_lower(**end)) : 0;

    *has_unit = factor != 0;
    *end += *has_unit;
    return fits && !__builtin_mul_overflow(*out, *has_unit ? factor : 1, out);
}

bool option_value_integer(struct arena *a, const char *name, const char *text, long *out,
                          struct err *err)
{
    const char *end = text;
    bool has_unit;

    if (!begins_number(text))
        return err_set(err, a, "integer expected for %s", name);
    if (!scaled(text, out, &has_unit, &end))
        return err_set(err, a, "absolute value of integer \"%s\" is too large (overflow)",
                       text);
    if (*cstr_skip_space(end) != '\0')
        return err_set(err, a, "extra characters follow integer value for %s", name);
    return true;
}

bool option_value_kilo(struct arena *a, const char *name, const char *text, long *out,
                       struct err *err)
{
    const char *end = text;
    bool has_unit = false;

    if (!option_value_integer(a, name, text, out, err))
        return false;
    if (!scaled(text, out, &has_unit, &end) ||
        (!has_unit && __builtin_mul_overflow(*out, 1024L, out)))
        return err_set(err, a, "absolute value of integer \"%s\" is too large (overflow)",
                       text);
    return true;
}

bool option_value_octal(struct arena *a, const char *name, const char *text, long *out,
                        struct err *err)
{
    const char *end;

    if (!is_digit(text[0]) || text[0] > '7')
        return err_set(err, a, "octal integer expected for %s", name);
    if (!digits(text, 8, out, &end))
        return err_set(err, a, "integer \"%s\" is too large (overflow)", text);
    if (*cstr_skip_space(end) != '\0')
        return err_set(err, a, "extra characters follow integer value for %s", name);
    return true;
}

bool option_value_fixed(struct arena *a, const char *name, const char *text, int *out,
                        struct err *err)
{
    const char *s;
    long value;

    if (!begins_number(text))
        return err_set(err, a, "fixed-point number expected for %s", name);
    if (text[0] == '-' || !digits(text, 10, &value, &s) || value > INT_MAX / 1000 - 1)
        return err_set(err, a, "integer \"%s\" is too large (overflow)", text);
    value *= 1000;
    if (*s == '.')
        for (long place = 100; is_digit(*++s); place /= 10)
            value += (*s - '0') * place; /* further digits do not count */
    if (*cstr_skip_space(s) != '\0')
        return err_set(err, a, "extra characters follow fixed-point value for %s", name);
    *out = (int)value;
    return true;
}

bool option_value_time(struct arena *a, const char *name, const char *text, long *out,
                       struct err *err)
{
    *out = tod_interval_parse(text);
    return *out >= 0 || err_set(err, a, "invalid time value for %s", name);
}

bool option_value_time_list(struct arena *a, const char *name, const char *text,
                            struct time_list **out, struct err *err)
{
    int n = list_count(text, ':', a);
    struct time_list *t = arena_new_obj(a, struct time_list);
    long *seconds = arena_new_array(a, long, n > 0 ? (size_t)n : 1);
    struct list_iter it = list_begin(text, ':');

    for (const char *item; (item = list_next(&it, a)) != NULL; t->count++) {
        if (!option_value_time(a, name, item, &seconds[t->count], err))
            return false;
        if (t->count > 0 && seconds[t->count] <= seconds[t->count - 1])
            return err_set(err, a, "time value out of order for %s", name);
    }
    t->seconds = seconds;
    *out = t;
    return true;
}

bool option_value_bool(const char *text, bool *out)
{
    *out = cstr_ieq(text, "yes") || cstr_ieq(text, "true");
    return *out || cstr_ieq(text, "no") || cstr_ieq(text, "false");
}
