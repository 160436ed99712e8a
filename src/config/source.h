/* source.h - the configuration file as logical lines (manual chapter 6, sections 2 to 10).
 *
 * Resolves inclusions, conditionals, macros, comments and continuations. What it returns is
 * trimmed, never empty, and lives in the arena given to source_open. */
#ifndef EXIM_CONFIG_SOURCE_H
#define EXIM_CONFIG_SOURCE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct source;
struct macros;

/* check: the rules for owner and mode apply to the file and to those it includes. */
struct source *source_open(struct arena *a, const char *filename, bool check, struct macros *m,
                         struct err *err) MUST_USE;
/* The text in place of a file; name is for messages. */
struct source *source_open_text(struct arena *a, const char *name, const char *text, struct macros *m)
    NONNULL_RET;
/* The next line, or NULL: at the end (err->msg is NULL) or on an error. */
const char *source_next(struct source *l, struct err *err) MUST_USE;
/* The next call of source_next returns the same line once more. */
void source_again(struct source *l);
/* Where the last line ended. */
int source_number(const struct source *l);
const char *source_filename(const struct source *l);
/* Where the reader came into a file, or back to one, since the last call, as "-bP config" shows it:
 * # line "file". NULL when there is no more. */
const char *source_marker(struct source *l);

#endif
