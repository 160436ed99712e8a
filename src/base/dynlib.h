/* dynlib.h - a shared library that is loaded when it is first called. */
#ifndef EXIM_DYNLIB_H
#define EXIM_DYNLIB_H

#include "base/attr.h"

struct err;

/* Loads the file. The result is a struct of nothing but function pointers, in the order of `names`: each
 * ends with a NUL, an empty one ends them. It is never freed. NULL with err, whose text is static. */
const void *dynlib_load(const char *file, const char *names, struct err *err);
/* The same for what nothing works without: the process ends with a message. */
const void *dynlib_need(const char *file, const char *names) NONNULL_RET;

#endif
