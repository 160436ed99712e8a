#include "base/base64.h"

#include <stdint.h>

#include "base/arena.h"
#include "base/ctype.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(struct arena *a, const void *p, size_t n)
{
    const unsigned char *s = p;
    char *out = arena_new_array(a, char, (n / 3 + 1) * 4 + 1), *q = out;

    for (; n >= 3; s += 3, n -= 3) {
        *q++ = digits[s[0] >> 2];
        *q++ = digits[(s[0] & 3) << 4 | s[1] >> 4];
        *q++ = digits[(s[1] & 15) << 2 | s[2] >> 6];
        *q++ = digits[s[2] & 63];
    }
    if (n > 0) {
        unsigned char second = n == 2 ? s[1] : 0;

        *q++ = digits[s[0] >> 2];
        *q++ = digits[(s[0] & 3) << 4 | second >> 4];
        *q++ = n == 2 ? digits[(second & 15) << 2] : '=';
        *q++ = '=';
    }
    *q = '\0';
    return out;
}

static int digit_value(char c)
{
    return is_upper(c)   ? c - 'A'
           : is_lower(c) ? c - 'a' + 26
           : is_digit(c) ? c - '0' + 52
           : c == '+'    ? 62
           : c == '/'    ? 63
                         : -1;
}

bool base64_decode(struct arena *a, struct str in, struct str *out)
{
    char *text = arena_new_array(a, char, in.len / 4 * 3 + 4);
    uint32_t bits = 0;
    size_t n = 0, count = 0, pads = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];

        if (is_space(c))
            continue;
        if (c == '=') {
            pads++;
            continue;
        }
        int v = digit_value(c);
        if (v < 0 || pads > 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        if (++count % 4 != 0)
            continue;
        text[n++] = (char)(bits >> 16 & 255);
        text[n++] = (char)(bits >> 8 & 255);
        text[n++] = (char)(bits & 255);
    }
    if (pads > 2 || (count + pads) % 4 != 0)
        return false;
    if (count % 4 == 3) {
        text[n++] = (char)(bits >> 10 & 255);
        text[n++] = (char)(bits >> 2 & 255);
    } else if (count % 4 == 2) {
        text[n++] = (char)(bits >> 4 & 255);
    }
    *out = (struct str){ text, n };
    return true;
}

char *hex_encode(struct arena *a, const void *p, size_t n, bool upper)
{
    const char *hex = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    const unsigned char *s = p;
    char *out = arena_new_array(a, char, n * 2 + 1);

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[s[i] >> 4];
        out[2 * i + 1] = hex[s[i] & 15];
    }
    return out;
}

bool hex_decode(struct arena *a, struct str in, struct str *out)
{
    char *text = arena_new_array(a, char, in.len / 2 + 1);

    if (in.len % 2 != 0)
        return false;
    for (size_t i = 0; i < in.len; i += 2) {
        int high = hex_value(in.p[i]), low = hex_value(in.p[i + 1]);

        if (high < 0 || low < 0)
            return false;
        text[i / 2] = (char)(high << 4 | low);
    }
    *out = (struct str){ text, in.len / 2 };
    return true;
}
