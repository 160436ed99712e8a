/* reader.h - what the parts of the configuration reader share (readconf.c and config/). */
#ifndef EXIM_CONFIG_READER_H
#define EXIM_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/config.h"
#include "config/option_read.h"

struct arena;
struct driver_family;
struct hash;
struct hooks;
struct source;
struct macros;
struct readconf_request;

/* A list of the main section, compiled when all named lists are known. */
struct pending_list {
    struct pending_list *next;
    enum list_kind kind;
    const char *name, *text;
    const struct match_list **where;
    const char *file;
    int line;
};

struct reader {
    struct arena *arena;
    struct config *cfg;
    const struct readconf_request *rq;
    const struct hooks *hooks;
    struct source *source;
    struct macros *macros;
    struct err *err;    /* worded without the place */
    const char *place;  /* " in line 5 of ..." unless set: "" or " for x router" */
    const char *file;   /* where the trouble was, if not where the lines are */
    int line;
    struct pending_list *pending, **pending_end;
    struct hash **set_of[3]; /* what the routers, transports, authenticators set */
    struct hash *option_set, *acls, *named_lists[4]; /* those of cfg, while they grow */
    size_t hidden_cap, text_cap;
};

/* The next line, kept for "-bP config"; NULL: end or error. */
const char *reader_next(struct reader *r);
/* The last line is to be read once more, by the next section. */
void reader_again(struct reader *r);
/* After NULL: was it the end? */
bool reader_ended(const struct reader *r);
/* Handles a macro definition; *was: it was one. */
bool reader_macro(struct reader *r, const char *line, bool *was) MUST_USE;
void reader_hide(struct reader *r, const struct option *o);
/* "begin name": the name, else NULL. */
const char *reader_begin(const char *line);

/* The sections. Each stops at the next "begin" line, which is read again. */
bool reader_main(struct reader *r) MUST_USE;
bool reader_drivers(struct reader *r, const struct driver_family *family) MUST_USE;
bool reader_acls(struct reader *r) MUST_USE;
bool reader_retry(struct reader *r) MUST_USE;
bool reader_rewrite(struct reader *r) MUST_USE;
/* What follows from the main options (before the other sections), and from everything. */
bool reader_derive(struct reader *r) MUST_USE;
bool reader_check_drivers(struct reader *r) MUST_USE;

#endif
