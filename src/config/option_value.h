/* option_value.h - the texts of option values: quoted strings and numbers. Pure but for the arena. */
#ifndef EXIM_CONFIG_OPTION_VALUE_H
#define EXIM_CONFIG_OPTION_VALUE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct time_list;

/* All of these word what is wrong with the name of the option in it. */
bool option_value_string(struct arena *a, const char *name, const char *text, const char **out,
                         struct err *err) MUST_USE;
bool option_value_integer(struct arena *a, const char *name, const char *text, long *out,
                          struct err *err) MUST_USE;
/* A bare number means that many K; the result is in bytes. */
bool option_value_kilo(struct arena *a, const char *name, const char *text, long *out,
                       struct err *err) MUST_USE;
bool option_value_octal(struct arena *a, const char *name, const char *text, long *out,
                        struct err *err) MUST_USE;
bool option_value_fixed(struct arena *a, const char *name, const char *text, int *out,
                        struct err *err) MUST_USE;
bool option_value_time(struct arena *a, const char *name, const char *text, long *out,
                       struct err *err) MUST_USE;
bool option_value_time_list(struct arena *a, const char *name, const char *text,
                            struct time_list **out, struct err *err) MUST_USE;
bool option_value_bool(const char *text, bool *out) MUST_USE; /* yes no true false */

#endif
