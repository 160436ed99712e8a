/* json.h - just enough JSON to take one value out of an array or an object. Pure but for the arena.
 *
 * NULL without err: not there. NULL with err: the text is not of the kind that is needed. */
#ifndef EXIM_EXPAND_JSON_H
#define EXIM_EXPAND_JSON_H

#include "base/err.h"

struct arena;

const char *json_element(struct arena *a, const char *array, long number, struct err *err);
const char *json_member(struct arena *a, const char *object, const char *key, struct err *err);
/* Walks an array: *at is its text at first; set to NULL by the call that gives the last element. */
const char *json_next(struct arena *a, const char **at, struct err *err);
/* The text between the quotes, as it is. */
const char *json_unquote(struct arena *a, const char *value, struct err *err);

#endif
