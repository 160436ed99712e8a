/* list.h - Exim's separated lists: manual, "List construction".
 *
 * The separator is a colon unless the list begins with "<x" (x punctuation) or "<\n" and the
 * like; a doubled separator stands for one; white space around items is dropped; an empty
 * item between two separators is returned as empty, a trailing empty item is not an item.
 * A control character as separator cannot stand for itself: two of them enclose an empty
 * item. Pure. */
#ifndef EXIM_LIST_H
#define EXIM_LIST_H

#include <stdbool.h>

struct arena;
struct buf;

struct list_iter {
    const char *at;
    char sep;
};

/* default_sep: ':' for most lists, 0 means ':'. */
struct list_iter list_begin(const char *list, char default_sep);
/* The next item, copied into a; NULL at the end. */
const char *list_next(struct list_iter *it, struct arena *a);
int list_count(const char *list, char default_sep, struct arena *a);
/* Appends item to out, doubling sep inside it; writes the separator before all but the first. */
void list_append(struct buf *out, const char *item, char sep, bool *first);

#endif
