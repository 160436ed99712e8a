#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "message.h"
#include "parse.h"
#include "rewrite.h"

/* clang-format off */
static const struct { const char *label, *header; unsigned which; } rows[] = {
    { "  sender", "Sender",   REWRITE_SENDER_HDR },
    { "    from", "From",     REWRITE_FROM },
    { "      to", "To",       REWRITE_TO },
    { "      cc", "Cc",       REWRITE_CC },
    { "     bcc", "Bcc",      REWRITE_BCC },
    { "reply-to", "Reply-To", REWRITE_REPLY_TO },
    { "env-from", NULL,       REWRITE_ENV_FROM },
    { "  env-to", NULL,       REWRITE_ENV_TO },
};
/* clang-format on */

static bool has_rules(const struct rewrite_rule *r, bool smtp)
{
    for (; r != NULL; r = r->next)
        if (((r->flags & ~(unsigned)REWRITE_SMTP & (REWRITE_WHOLE - 1)) != 0 && !smtp) ||
            ((r->flags & REWRITE_SMTP) != 0 && smtp))
            return true;
    return false;
}

/* As a header of a local message: phrase and comments stay. */
static const char *in_header(struct expand_ctx *ctx, const struct rewrite_rule *rules,
                             const char *name, const char *text)
{
    struct message *m = message_new("brw");
    const char *value = text;

    m->local = true;
    const char *line = arena_printf(m->arena, "%s: %s\n", name, text);
    header_append(&m->headers, m->arena, header_type_of(line), line);
    rewrite_headers(ctx, rules, m);
    for (struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            value = str_dup(ctx->arena, str_trim(str_from(header_body(h))));
    message_free(&m);
    return value;
}

static int show(struct expand_ctx *ctx, const struct rewrite_rule *rules,
                const char *text)
{
    struct parsed_address p;
    const struct config *cfg = ctx->exim->config;

    if (!parse_address(ctx->arena, text, PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8,
                       &p)) {
        fprintf(stderr, "Syntax error in %s\n%c%s\n", text, to_upper(*p.err),
                p.err + (*p.err != '\0'));
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool sender = rows[i].which == REWRITE_ENV_FROM;
        const char *address = p.address, *out;

        if (p.domain == NULL)
            address = arena_printf(ctx->arena, "%s@%s", p.address,
                                   sender ? cfg->qualify_domain : cfg->qualify_recipient);
        out = rows[i].header == NULL
                  ? rewrite_address(ctx, rules, address, rows[i].which, NULL)
                  : in_header(ctx, rules, rows[i].header, text);
        printf("%s: %s\n", rows[i].label, out);
    }
    return EXIT_SUCCESS;
}

int cmd_brw(struct exim *e, const struct cmd_line *c)
{
    const struct rewrite_rule *rules = e->config->rewrite_rules;
    const char *text = c->mode_arg != NULL && *c->mode_arg != '\0' ? c->mode_arg
                       : c->nargs > 0                              ? c->args[0]
                                                                   : NULL;
    struct expand_ctx ctx;

    if (text == NULL) {
        fprintf(stderr, "exim: -brw needs an address argument\n");
        return EXIT_FAILURE;
    }
    if (rules == NULL) {
        printf("No rewrite rules are defined\n");
        return EXIT_SUCCESS;
    }
    expand_ctx_init(&ctx, e, e->arena);
    if (has_rules(rules, true)) {
        const char *out = rewrite_address(&ctx, rules, text, REWRITE_SMTP, NULL);

        if (out != text) {
            struct parsed_address p;

            printf("    SMTP: %s\n",
                   parse_address(e->arena, out, PARSE_ALLOW_DOMAIN_LITERAL, &p)
                       ? p.address
                       : out);
            text = out;
        }
    }
    return has_rules(rules, false) ? show(&ctx, rules, text) : EXIT_SUCCESS;
}
