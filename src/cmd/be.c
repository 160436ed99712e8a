#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "cmd/be_message.h"
#include "config/config.h"
#include "config/macros.h"
#include "daemon.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "priv.h"
#include "queue.h"
#include "session.h"
#include "spool.h"

enum { LINE_LEN_MAX = 16 * 1024 * 1024 };

struct test {
    struct expand_ctx ctx;
    struct macros *macros;
};

/* A macro definition, or a string to be expanded once macros are replaced in it. */
static void test_line(struct test *t, const char *line)
{
    size_t name = macros_name_length(line);
    const char *text, *value;
    struct err err = { 0 };

    if (name > 0) {
        if (macros_define(t->macros, line, &err))
            printf("Defined macro '%.*s'\n", (int)name, line);
        else
            printf("Failed: %s\n", err.msg);
        return;
    }
    if (!macros_replace(t->macros, line, 0, &text)) {
        printf("Failed: the line is too long\n");
        return;
    }
    text = arena_strdup(t->ctx.arena, text);
    if (expand_text(&t->ctx, text, &value) == EXPAND_OK)
        printf("%s\n", value);
    else
        printf("Failed: %s\n", t->ctx.err.msg == NULL ? "" : t->ctx.err.msg);
}

/* One line without white space at its end; a backslash there joins it with the next,
 * whose leading white space goes. False at the end of the input. */
static bool read_line(struct buf *b)
{
    char part[4096];
    bool joined = false;

    buf_clear(b);
    for (;;) {
        if (fgets(part, sizeof(part), stdin) == NULL)
            return b->len > 0;
        bool whole = strchr(part, '\n') != NULL;
        buf_add_cstr(b, joined ? cstr_skip_space(part) : part);
        joined = false;
        if (!whole && !feof(stdin))
            continue;
        while (b->len > 0 && strchr(" \t\r\n", b->p[b->len - 1]) != NULL)
            buf_truncate(b, b->len - 1);
        if (b->len == 0 || b->p[b->len - 1] != '\\')
            return true;
        buf_truncate(b, b->len - 1);
        joined = true;
    }
}

static void test_input(struct test *t)
{
    struct arena *lines = arena_new("lines");
    struct buf b = buf_init(lines, LINE_LEN_MAX);

    for (;;) {
        printf("> ");
        (void)fflush(stdout);
        if (!read_line(&b))
            break;
        test_line(t, buf_cstr(&b));
    }
    printf("\n");
    arena_destroy(&lines);
}

/* -oMa and so on describe a host for the variables. */
static struct session *test_session(struct exim *e, const struct cmd_line *c)
{
    struct session *s = session_new(e);

    s->ident = c->oMt != NULL ? c->oMt : e->originator_login;
    s->received_protocol = c->oMr;
    s->helo_name = c->oMs;
    s->authenticated_id = c->oMas;
    s->host_authenticated = c->oMaa;
    be_split_address(s->arena, c->oMa, &s->host_address, &s->host_port);
    be_split_address(s->arena, c->oMi, &s->interface_address, &s->interface_port);
    return s;
}

/* -Mset; the spool is read before its rights are given up. Exim: a message that is not there leaves the
 * variables unset. */
static struct message *spooled_message(struct exim *e, const char *id)
{
    struct message *m = NULL;
    struct err err = { 0 };

    e->queue_fd = daemon_queue_connect(e);
    if (!queue_settle(e, id)) {
        printf("Message %s is locked\n", id);
    } else if (spool_load(e, id, 0, &m, &err) == SPOOL_OK) {
        spool_unlock(m);
        return m;
    }
    if (err.msg != NULL)
        fprintf(stderr, "%s\n", err.msg);
    printf("Failed to load message %s\n", id);
    return be_no_message(e);
}

static struct message *test_message(struct exim *e, const struct cmd_line *c, struct err *err)
{
    if (c->be_id == NULL)
        return c->be_message != NULL ? be_read_message(e, c->be_message, err) : be_no_message(e);
    struct message *m = spooled_message(e, c->be_id);

    if (!priv_drop_to_caller(e, err))
        message_free(&m);
    return m;
}

int cmd_be(struct exim *e, const struct cmd_line *c)
{
    struct arena *a = arena_new("expansion test");
    struct test t;
    struct err err = { 0 };
    struct session *s = test_session(e, c);

    expand_ctx_init(&t.ctx, e, a);
    t.ctx.session = s;
    t.ctx.recipients_visible = true;
    t.macros = macros_new(a, e->hooks, e->config->macros);
    t.ctx.message = test_message(e, c, &err);
    if (t.ctx.message == NULL) {
        fprintf(stderr, "exim: %s\n", err.msg);
        return EXIT_FAILURE;
    }
    if (c->sender != NULL)
        t.ctx.message->sender = c->sender;
    for (int i = 0; i < c->nargs; i++)
        test_line(&t, c->args[i]);
    if (c->nargs == 0)
        test_input(&t);
    message_free(&t.ctx.message);
    session_free(&s);
    arena_destroy(&a);
    return EXIT_SUCCESS;
}
