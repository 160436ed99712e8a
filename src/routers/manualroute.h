/* manualroute.h - hosts as the administrator lists them (manual chapter 20). */
#ifndef EXIM_ROUTER_MANUALROUTE_H
#define EXIM_ROUTER_MANUALROUTE_H

#include <stddef.h>

#include "base/attr.h"
#include "routers/router.h"

struct arena;

extern const struct router_driver router_manualroute;

/* "pattern hosts options" or "hosts options", where the first two may be quoted. Missing parts are
 * "". Visible for tests and the fuzzer. */
struct manualroute_rule {
    const char *pattern, *hosts, *options;
};
void manualroute_parse_rule(struct arena *a, const char *text, bool with_pattern,
                            struct manualroute_rule *out);
/* The options of a rule. false: *bad is the word that is neither one nor a transport. */
struct manualroute_options {
    bool randomize, by_name, by_dns, ipv4_only, ipv4_prefer;
    const struct transport *transport;
};
bool manualroute_parse_options(struct arena *a, const struct config *cfg, const char *text,
                               struct manualroute_options *o, const char **bad) MUST_USE;

#endif
