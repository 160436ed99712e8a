/* macros.h - macros of the configuration file: defined by it, by -D, and built in. */
#ifndef EXIM_CONFIG_MACROS_H
#define EXIM_CONFIG_MACROS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct hooks;
struct macros;
struct readconf_macro;

/* command_line: from -D; no definition in the file changes those. */
struct macros *macros_new(struct arena *a, const struct hooks *hooks,
                          const struct readconf_macro *command_line) NONNULL_RET;
/* "NAME = text" or "NAME == text". */
bool macros_define(struct macros *m, const char *line, struct err *err) MUST_USE;
/* Length of the name if the line is such a definition, else 0. */
size_t macros_name_length(const char *line);
/* The line with all macros replaced, each in turn in the order of definition, but for its first
 * `keep` bytes. *out is line itself when nothing was replaced; else it is valid until the next
 * call. False when the result is too long. */
bool macros_replace(struct macros *m, const char *line, size_t keep, const char **out) MUST_USE;
const struct readconf_macro *macros_list(const struct macros *m);
/* The built-in ones, sorted by name; their value is "y". */
const char *const *macros_builtin(const struct hooks *hooks, struct arena *a, size_t *count)
    NONNULL_RET;

#endif
