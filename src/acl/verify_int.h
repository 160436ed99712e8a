/* verify_int.h - the parts of "verify = item[=address]/options" (manual 43.26): verify.c has the items,
 * verify_options.c the options. */
#ifndef EXIM_ACL_VERIFY_INT_H
#define EXIM_ACL_VERIFY_INT_H

#include "acl/acl_int.h"

/* A parsed "verify = item[=address]/options". */
struct verify {
    const struct verify_row *row;
    const char *text;    /* as given, for messages */
    const char *address; /* sender=, csa/ */
    struct verify_options o;
    bool no_details, case_insensitive;
};

struct verify_row {
    const char *name;
    enum {
        OPTIONS_NONE,
        OPTIONS_ADDRESS,
        OPTIONS_DEFER_OK,
        OPTIONS_BLIND,
        OPTIONS_DOMAIN
    } options;
    unsigned forbidden;
    enum acl_result (*run)(struct acl_run *r, const struct verify *v);
};

/* Takes one option, in the way that v->row->options says; strings are borrowed. False with err. */
bool acl_verify_option(struct arena *a, struct verify *v, const char *s, struct err *err) MUST_USE;

#endif
