/* files.h - text read from files and sockets. */
#ifndef EXIM_EXPAND_FILES_H
#define EXIM_EXPAND_FILES_H

#include "expand.h"

struct str;

/* text with its newlines replaced by eol; NULL: kept. */
enum expand_rc files_newlines(struct expand_ctx *ctx, struct str text, const char *eol,
                              const char **out);

#endif
