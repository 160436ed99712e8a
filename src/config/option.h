/* option.h - tables that say which options exist, their types and where they go.
 *
 * The same rows feed the reader, -bP and the generated reference. */
#ifndef EXIM_CONFIG_OPTION_H
#define EXIM_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/value.h"

enum option_kind {
    KIND_BOOL,      /* bool; name, no_name, not_name, = yes|no|true|false */
    KIND_INT,       /* long; K M G suffixes, 0x, octal with leading 0 */
    KIND_SIZE,      /* the same, printed with K or M where that is exact */
    KIND_KILO,      /* long, bytes; held and printed in units of K, which a bare number means */
    KIND_OCTAL,     /* long, read in octal (modes) */
    KIND_FIXED,     /* int, thousandths */
    KIND_TIME,      /* long, seconds */
    KIND_TIME_LIST, /* struct time_list * */
    KIND_STRING,    /* const char *, never expanded */
    KIND_EXPAND,    /* const struct expr * */
    KIND_EXPAND_BOOL, /* const struct expr *: yes/no constant or an expansion; bare name means yes */
    KIND_DOMAIN_LIST, KIND_HOST_LIST, KIND_ADDRESS_LIST, KIND_LOCAL_PART_LIST, /* match_list * */
    KIND_UID, KIND_GID, /* const struct expr *: name or number, expanded; looked up early if constant */
    KIND_USER, KIND_GROUP, /* const char *: name or number, not expanded, must exist */
    KIND_UID_LIST, KIND_GID_LIST, /* const struct expr *: list of names or numbers, expanded */
    /* const struct router_text *, cumulative; they differ in how -bP joins them. */
    KIND_CONDITION, KIND_HEADERS_ADD, KIND_HEADERS_REMOVE, KIND_SET,
    KIND_DRIVER,    /* the driver= row of the generic tables */
    KIND_CUSTOM,    /* custom->read() */
};

enum {
    OPTION_HIDE = 1 << 0 /* hidden by -bP unless admin */,
    OPTION_ALIAS = 1 << 1 /* another name of a row: not printed */,
    OPTION_REPEAT = 1 << 2 /* may be set again */,
};

struct option_value;  /* config/custom.h */
struct option_custom; /* config/custom.h */

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset; /* of the value in the struct */
    unsigned flags;
    const void *deflt; /* value of the member's type, copied into a new instance; NULL: zero */
    const struct option_custom *custom; /* KIND_CUSTOM */
};

/* clang-format off */
#define OPTION_(n, k, T, s, m, d) { n, k, _Generic(((s *)0)->m, T : offsetof(s, m)), 0, d, NULL }
#define OPTION_BOOL(s, m, d)       OPTION_(#m, KIND_BOOL, bool, s, m, &(const bool){ d })
#define OPTION_INT(s, m, d)        OPTION_(#m, KIND_INT, long, s, m, &(const long){ d })
#define OPTION_SIZE(s, m, d)       OPTION_(#m, KIND_SIZE, long, s, m, &(const long){ d })
#define OPTION_KILO(s, m, d)       OPTION_(#m, KIND_KILO, long, s, m, &(const long){ d })
#define OPTION_OCTAL(s, m, d)      OPTION_(#m, KIND_OCTAL, long, s, m, &(const long){ d })
#define OPTION_FIXED(s, m, d)      OPTION_(#m, KIND_FIXED, int, s, m, &(const int){ d })
#define OPTION_TIME(s, m, d)       OPTION_(#m, KIND_TIME, long, s, m, &(const long){ d })
/* Defaults of the kinds below are text, read as if the file had said so; NULL: unset. */
#define OPTION_TIME_LIST(s, m, d)  OPTION_(#m, KIND_TIME_LIST, struct time_list *, s, m, d)
#define OPTION_STRING(s, m, d)     OPTION_(#m, KIND_STRING, const char *, s, m, d)
#define OPTION_EXPAND(s, m, d)     OPTION_(#m, KIND_EXPAND, const struct expr *, s, m, d)
#define OPTION_EXPAND_BOOL(s, m, d) OPTION_(#m, KIND_EXPAND_BOOL, const struct expr *, s, m, d)
#define OPTION_LIST(k, s, m, d)    OPTION_(#m, k, const struct match_list *, s, m, d)
#define OPTION_DOMAIN_LIST(s, m, d) OPTION_LIST(KIND_DOMAIN_LIST, s, m, d)
#define OPTION_HOST_LIST(s, m, d)  OPTION_LIST(KIND_HOST_LIST, s, m, d)
#define OPTION_ADDRESS_LIST(s, m, d) OPTION_LIST(KIND_ADDRESS_LIST, s, m, d)
#define OPTION_LOCAL_PART_LIST(s, m, d) OPTION_LIST(KIND_LOCAL_PART_LIST, s, m, d)
#define OPTION_UID(s, m, d)        OPTION_(#m, KIND_UID, const struct expr *, s, m, d)
#define OPTION_GID(s, m, d)        OPTION_(#m, KIND_GID, const struct expr *, s, m, d)
#define OPTION_UID_LIST(s, m, d)   OPTION_(#m, KIND_UID_LIST, const struct expr *, s, m, d)
#define OPTION_GID_LIST(s, m, d)   OPTION_(#m, KIND_GID_LIST, const struct expr *, s, m, d)
#define OPTION_USER(s, m, d)       OPTION_(#m, KIND_USER, const char *, s, m, d)
#define OPTION_GROUP(s, m, d)      OPTION_(#m, KIND_GROUP, const char *, s, m, d)
#define OPTION_TEXTS(k, s, m)      OPTION_(#m, k, const struct router_text *, s, m, NULL)
/* A row whose reader is c (struct option_custom); n: its name. */
#define OPTION_CUSTOM(n, c, f)     { n, KIND_CUSTOM, 0, f, NULL, c }
/* Another name n of member m. */
#define OPTION_OTHER(n, k, T, s, m) \
    { n, k, _Generic(((s *)0)->m, T : offsetof(s, m)), OPTION_ALIAS, NULL, NULL }
/* clang-format on */

#endif
