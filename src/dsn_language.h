/* dsn_language.h - texts of reports in the language of the original message, from the files of
 * dsn_message_directory. A file is named for a language tag and has sections "[failure intro]" ...; what it
 * lacks, and every language without a file, is English. */
#ifndef EXIM_DSN_LANGUAGE_H
#define EXIM_DSN_LANGUAGE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct arena;
struct dsn_language;
struct dsn_report;
struct dsn_template;
struct exim;
struct expand_ctx;

/* Every file of the directory is read, and every text compiled: for the start of the daemon and -bV. */
bool dsn_language_check(struct exim *e, struct err *err) MUST_USE;

/* The language to report in; NULL: English. Faults are logged. */
const struct dsn_language *dsn_language_choose(struct expand_ctx *ctx, const struct dsn_report *r);
const char *dsn_language_tag(const struct dsn_language *l);
/* Puts its texts for this kind of report over those in t. */
void dsn_language_apply(struct expand_ctx *ctx, const struct dsn_language *l, const struct dsn_report *r,
                        struct dsn_template *t);
/* What to tell of a status such as "5.1.1": its own text, or that of "5.1", or of "5"; NULL: none. */
const char *dsn_language_status(struct expand_ctx *ctx, const struct dsn_language *l, const char *status);

/* ---- pure, for the fuzzer ---- */
struct dsn_language *dsn_language_parse(struct arena *a, const char *tag, struct str text, struct err *err);
/* The nth best tag of an Accept-Language or Content-Language line, in lower case; NULL beyond the last. */
const char *dsn_language_wanted(struct arena *a, const char *line, size_t n);

#endif
