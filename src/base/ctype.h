/* ctype.h - ASCII classes without locale; arguments are unsigned bytes (-funsigned-char). */
#ifndef EXIM_CTYPE_H
#define EXIM_CTYPE_H

#include <stdbool.h>

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static inline bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static inline bool is_alpha(char c) { return is_upper(c) || is_lower(c); }
static inline bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
static inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline bool is_blank(char c) { return c == ' ' || c == '\t'; }
static inline bool is_print(char c) { return c >= ' ' && c < 127; }
static inline bool is_cntrl(char c) { return c < ' ' || c == 127; }
static inline bool is_punct(char c) { return is_print(c) && c != ' ' && !is_alnum(c); }
static inline bool is_xdigit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static inline int hex_value(char c) /* -1 when not a hex digit */
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
static inline char to_lower(char c) { return is_upper(c) ? (char)(c + 32) : c; }
static inline char to_upper(char c) { return is_lower(c) ? (char)(c - 32) : c; }

#endif
