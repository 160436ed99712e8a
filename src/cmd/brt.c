#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "retry.h"

static void print_rule(struct arena *a, const struct retry_rule *r)
{
    printf("Retry rule: %s  ", r->text);
    for (size_t i = 0; i < r->step_count; i++) {
        const struct retry_step *s = &r->steps[i];
        printf("%c,%s,%s", s->rule, tod_interval_print(a, s->timeout), tod_interval_print(a, s->interval));
        if (s->rule != 'F')
            printf(",%g", s->multiplier);
        printf("; ");
    }
    printf("\n");
}

/* -brt address-or-domain [second domain] [error name] */
int cmd_brt(struct exim *e, const struct cmd_line *c)
{
    struct expand_ctx ctx;
    struct retry_rule error = { 0 };
    const char *second = NULL;
    int n = 1;

    if (c->nargs == 0) {
        fprintf(stderr, "-brt needs a domain or address argument\n");
        return EXIT_FAILURE;
    }
    if (n < c->nargs && strchr(c->args[n], '.') != NULL)
        second = c->args[n++];
    if (n < c->nargs && !retry_error_parse(c->args[n], &error)) {
        printf("unknown or malformed retry error \"%s\"\n", c->args[n]);
        return EXIT_FAILURE;
    }
    expand_ctx_init(&ctx, e, e->arena);
    if (c->sender != NULL) {
        ctx.message = message_new("retry test");
        ctx.message->sender = c->sender;
    }
    const struct retry_rule *r = retry_rule_find(&ctx, c->args[0], second, error.basic_errno,
                                                 error.more_errno | (error.connecting ? RETRY_CONNECTING : 0));
    if (r == NULL)
        printf("No retry information found\n");
    else
        print_rule(e->arena, r);
    message_free(&ctx.message);
    return EXIT_SUCCESS;
}
