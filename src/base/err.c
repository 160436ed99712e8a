#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/format.h"

/* Set once, before anything can fail. */
static void (*on_death)(const char *text);

bool err_set(struct err *e, struct arena *a, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return false;
    va_start(ap, fmt);
    *e = (struct err){ .msg = arena_vprintf(a, fmt, ap) };
    va_end(ap);
    return false;
}

bool err_sys(struct err *e, struct arena *a, int sys_errno, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return false;
    va_start(ap, fmt);
    const char *what = arena_vprintf(a, fmt, ap);
    va_end(ap);
    *e = (struct err){
        .msg = arena_printf(a, "%s: %s", what, strerror(sys_errno)),
        .sys_errno = sys_errno,
    };
    return false;
}

void err_on_death(void (*fn)(const char *text))
{
    on_death = fn;
}

static PRINTF_LIKE(2, 0) void last_words(const char *kind, const char *fmt, va_list ap)
{
    void (*fn)(const char *) = on_death;
    char text[2048];

    format_text(text, sizeof(text), fmt, ap);
    fprintf(stderr, "exim: %s%s\n", kind, text);
    on_death = NULL; /* it may fail itself */
    if (fn != NULL)
        fn(text);
}

void bug(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    last_words("internal error: ", fmt, ap);
    va_end(ap);
    abort();
}

void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    last_words("", fmt, ap);
    va_end(ap);
    exit(EXIT_FAILURE);
}
