#include "cmd/bt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/local.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "parse.h"
#include "session.h"
#include "verify.h"

enum { LINE_MAX_BYTES = 64 * 1024 };

struct tester {
    struct expand_ctx ctx;
    const struct verify_options *o;
    const struct verify_print *how;
    int status;
};

static void set_status(struct tester *t, int status)
{
    if (status > t->status)
        t->status = status;
}

static unsigned parse_flags(const struct exim *e)
{
    const struct main_options *o = &e->config->main;

    return (o->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0) | (o->allow_utf8_domains ? PARSE_ALLOW_UTF8 : 0) |
           (o->strip_excess_angle_brackets ? PARSE_STRIP_BRACKETS : 0) | (o->strip_trailing_dot ? PARSE_STRIP_DOT : 0);
}

static void test_one(struct tester *t, const char *text)
{
    struct parsed_address p;

    if (!parse_address(t->ctx.arena, text, parse_flags(t->ctx.exim), &p)) {
        printf("syntax error: %s\n", p.err);
        set_status(t, 2);
        return;
    }
    set_status(t, verify_print(&t->ctx, p.address, t->o, t->how));
}

/* An argument may hold several addresses, separated by commas. */
static void test_argument(struct tester *t, const char *s)
{
    for (;;) {
        while (is_space(*s) || *s == ',')
            s++;
        if (*s == '\0')
            return;
        const char *end = parse_find_address_end(s, false);
        test_one(t, arena_strndup(t->ctx.arena, s, (size_t)(end - s)));
        s = end > s ? end : s + 1;
    }
}

static void test_input(struct tester *t)
{
    char *line = arena_new_array(t->ctx.arena, char, LINE_MAX_BYTES);

    for (;;) {
        printf("> ");
        (void)fflush(stdout);
        if (fgets(line, LINE_MAX_BYTES, stdin) == NULL)
            break;
        test_one(t, str_dup(t->ctx.arena, str_trim(str_from(line))));
    }
    printf("\n");
}

static struct message *test_message(struct exim *e, const struct cmd_line *c, const char **why)
{
    struct message *m = message_new("address test");
    const char *sender = NULL;

    if (!local_sender(e, m->arena, c, &sender, why)) {
        message_free(&m);
        return NULL;
    }
    m->sender = sender != NULL ? sender : local_originator(e, m->arena);
    m->allow_unqualified_sender = m->allow_unqualified_recipient = true;
    return m;
}

int bt_run(struct exim *e, const struct cmd_line *c, const struct verify_options *o, struct verify_print *how)
{
    struct tester t = { .o = o, .how = how };
    const char *why = NULL;
    struct message *m = test_message(e, c, &why);

    if (m == NULL) {
        fprintf(stderr, "exim: bad -f address \"%s\": %s\n", c->sender, why);
        return EXIT_FAILURE;
    }
    e->address_test = true;
    how->details = e->admin;
    how->seen = hash_new(m->arena, false);
    expand_ctx_init(&t.ctx, e, m->arena);
    t.ctx.message = m;
    t.ctx.session = local_session(e, c);
    for (int i = 0; i < c->nargs; i++)
        test_argument(&t, c->args[i]);
    if (c->nargs == 0)
        test_input(&t);
    message_free(&m);
    return t.status;
}

int cmd_bt(struct exim *e, const struct cmd_line *c)
{
    const struct verify_options o = { .flags = VERIFY_ADDRESS_TEST | VERIFY_QUALIFY };
    struct verify_print how = { .full = true };

    return bt_run(e, c, &o, &how);
}
