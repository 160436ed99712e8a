/* format.h - text made of a format and its arguments. */
#ifndef EXIM_FORMAT_H
#define EXIM_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

#include "base/attr.h"

/* As vsnprintf, in every respect. The formats that are used all the time (text with %s, %.*s, %c, and numbers without a
 * width) take a tenth of what the C library takes for them. */
int format_text(char *out, size_t room, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
int format(char *out, size_t room, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
