/* dynlib.h - a shared library that is loaded when it is first called. */
#ifndef EXIM_DYNLIB_H
#define EXIM_DYNLIB_H

#include <stdbool.h>

struct err;

/* Loads the file and fills in `functions`, a struct of nothing but function pointers, in the order
 * of `names`: each ends with a NUL, an empty one ends them. The text of an error is static. */
bool dynlib_load(const char *file, const char *names, void *functions, struct err *err);

#endif
