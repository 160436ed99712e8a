/* option_read.h - reads one setting into a struct by its table, and prints it for -bP. */
#ifndef EXIM_CONFIG_OPTION_READ_H
#define EXIM_CONFIG_OPTION_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/option.h"

struct arena;
struct buf;
struct config;
struct hash;
struct hooks;

enum { OPTION_NAME_MAX = 64 };

/* "hide no_name" or "name = value", taken apart. */
struct option_line {
    char name[OPTION_NAME_MAX]; /* without prefixes; "" when there is none */
    const char *as_written;     /* the name with its prefix, for messages */
    const char *rest;           /* after the name and white space */
    bool hide, negated;
};

/* One set of rows and the struct they describe. */
struct option_set {
    struct arena *arena;
    const struct config *cfg;
    const struct hooks *hooks;
    struct hash *set;  /* names of the options that were set; option_read adds to it */
    /* Lists of the main section wait until all named lists are known. NULL: compile at once. */
    bool (*later)(void *arg, const struct option *o, const char *text, void *member);
    void *later_arg;
};

/* Negation is tried only where a name is not itself a row: is(arg, name) says what is one. */
void option_split(struct arena *a, const char *line, bool (*is)(void *arg, const char *name),
                  void *arg, struct option_line *out);
const struct option *option_find(const struct option *table, size_t count, const char *name);
bool option_read(const struct option_set *s, const struct option *o, void *target,
                 const struct option_line *line, struct err *err) MUST_USE;
/* Gives every member of target its default. */
bool option_defaults(const struct option_set *s, const struct option *table, size_t count,
                     void *target, struct err *err) MUST_USE;
/* "name = value" or "no_name" as -bP shows it, without newline; nothing for rows that have no
 * value to show. labels: with the name. */
bool option_print(struct arena *a, const struct option *o, const void *target, bool labels,
                  struct buf *out);

#endif
