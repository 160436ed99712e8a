/* attr.h - compiler attributes and tiny macros used everywhere. */
#ifndef EXIM_ATTR_H
#define EXIM_ATTR_H

#include <stdint.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define NORETURN          __attribute__((noreturn))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NONNULL_RET       __attribute__((returns_nonnull))
#define UNUSED            __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of type T whose member m is at p. */
#define CONTAINER_OF(p, T, m) ((T *)(void *)((char *)(p)-offsetof(T, m)))

/* For whoever takes what he does not change without saying so in his types: execve, struct iovec, OpenSSL, a table of
 * void *. */
static inline void *unconst(const void *p)
{
    return (void *)(uintptr_t)p;
}

#endif
