#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acl.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "cmd/bm_dsn.h"
#include "cmd/bm_error.h"
#include "cmd/cmd.h"
#include "cmd/local.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "parse.h"
#include "receive.h"
#include "session.h"
#include "smtp/lines.h"

enum { INPUT_MAX = 32 * 1024, OUT_SLACK = 4 };

struct input {
    struct lines lines;
    char bytes[INPUT_MAX];
    size_t at, len;
    bool ended;
    long timeout;
    const struct cmd_line *c;
};

static bool fill(struct input *in, struct err *err)
{
    int64_t deadline = in->timeout > 0 ? tod_monotonic_ms() + in->timeout * 1000 : -1;
    int ready = in->timeout > 0 ? fd_wait_read_signal(STDIN_FILENO, deadline) : 1;

    if (ready == 0 || (ready < 0 && proc_got_term)) {
        err->msg = ready == 0 ? "timeout" : "SIGTERM";
        return false;
    }
    ssize_t got = fd_read(STDIN_FILENO, in->bytes, sizeof(in->bytes));
    if (got < 0) {
        *err = (struct err){ .msg = "input error", .sys_errno = errno };
        return false;
    }
    in->at = 0;
    in->len = (size_t)got;
    in->ended = got == 0;
    if (in->ended && in->c->input_ended != NULL && !in->c->input_ended(in->c)) {
        err->msg = "the sending process has gone";
        return false;
    }
    return true;
}

static ssize_t read_input(void *arg, char *p, size_t n, struct err *err)
{
    struct input *in = arg;

    while (in->lines.state != LINES_DONE) {
        if (in->at == in->len && !in->ended && !fill(in, err))
            return -1;
        if (in->ended) {
            size_t held = lines_finish(&in->lines, p);

            return (ssize_t)held;
        }
        size_t used, take = in->len - in->at;
        if (take > (n - OUT_SLACK) / 2)
            take = (n - OUT_SLACK) / 2;
        size_t made = lines_feed(&in->lines, in->bytes + in->at, take, &used, p);
        in->at += used;
        if (made > 0)
            return (ssize_t)made;
    }
    return 0;
}

struct arguments {
    struct exim *e;
    const struct cmd_line *c;
    struct message *m;
    struct buf bad;
};

static bool take_argument(void *arg, const struct parsed_address *p, const char *raw)
{
    struct arguments *x = arg;
    const char *address = p->address;

    if (address == NULL || *address == '\0') {
        if (x->bad.len > 0)
            buf_add_char(&x->bad, '\n');
        buf_printf(&x->bad, "%s: %s", raw, p->err != NULL ? p->err : "empty address");
        return true;
    }
    if (p->domain == NULL && x->c->no_qualify) {
        buf_printf(&x->bad, "%s%s: unqualified recipient address not allowed",
                   x->bad.len > 0 ? "\n" : "", raw);
        return true;
    }
    if (p->domain == NULL)
        address =
            arena_printf(x->m->arena, "%s@%s", address, x->e->config->qualify_recipient);
    (void)message_add_recipient(x->m, address, -1);
    return true;
}

/* Each argument is an address, or several with commas between them. "" or what is wrong,
 * as lines. */
static const char *take_arguments(struct exim *e, const struct cmd_line *c,
                                  struct message *m)
{
    struct arguments x = {
        .e = e, .c = c, .m = m, .bad = buf_init(m->arena, BUF_DEFAULT_CEILING)
    };
    const struct main_options *o = &e->config->main;
    unsigned flags = (o->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0) |
                     (o->allow_utf8_domains ? PARSE_ALLOW_UTF8 : 0) |
                     (o->strip_trailing_dot ? PARSE_STRIP_DOT : 0) |
                     (o->strip_excess_angle_brackets ? PARSE_STRIP_BRACKETS : 0);

    for (int i = 0; i < c->nargs; i++)
        (void)parse_each_address(m->arena, c->args[i], flags, take_argument, &x);
    return buf_cstr(&x.bad);
}

static bool start_acl(struct exim *e, struct session *s, struct message *m)
{
    struct expand_ctx ctx;

    if (e->config->main.acl_not_smtp_start == NULL)
        return true;
    expand_ctx_init(&ctx, e, m->arena);
    ctx.session = s;
    ctx.message = m;
    /* Its verdict is ignored (manual 43.2). */
    (void)acl_check_option(&ctx, ACL_WHERE_NOTSMTP_START,
                           e->config->main.acl_not_smtp_start);
    return true;
}

static int take_in(struct exim *e, const struct cmd_line *c, struct session *s)
{
    struct message *m = s->message;
    struct input *in = arena_new_obj(m->arena, struct input);
    struct receive_source source = { .read = read_input, .arg = in };

    in->c = c;
    in->lines = lines_new(c->receive.dot_ends ? LINES_END_LOCAL : LINES_END_COUNT);
    in->timeout = c->receive.receive_timeout != 0 ? c->receive.receive_timeout
                                                  : e->config->main.receive_timeout;
    (void)start_acl(e, s, m);
    struct receive_result r = receive_message(s, m, &source, c->extract_recipients);
    if (r.bad_addresses != NULL || (r.rc != RECEIVE_OK && r.rc != RECEIVE_DISCARDED)) {
        int status = bm_error_report(s, c, &r);

        if (r.rc != RECEIVE_OK && r.rc != RECEIVE_DISCARDED)
            return status;
    }
    if (r.rc == RECEIVE_OK)
        receive_dispatch(s, m, &c->receive);
    return EXIT_SUCCESS;
}

static int usage(void)
{
    fprintf(
        stderr,
        "Exim is a Mail Transfer Agent. It is normally called by Mail User Agents,\n"
        "not directly from a shell command line. Options and/or arguments control\n"
        "what it does when called. For a list of options, see the Exim documentation.\n");
    return EXIT_FAILURE;
}

static int complain(struct exim *e, const struct cmd_line *c, const char *why)
{
    (void)e;
    (void)c;
    fprintf(stderr, "exim: %s\n", why);
    return EXIT_FAILURE;
}

static int submit(struct exim *e, const struct cmd_line *c, struct session *s)
{
    struct message *m = s->message;
    const char *sender = NULL, *why = NULL;

    if (!local_sender(e, m->arena, c, &sender, &why) || !bm_dsn_set(c, m, &why))
        return complain(e, c, why);
    m->sender_forced = sender != NULL;
    m->sender = sender != NULL ? sender : local_originator(e, m->arena);
    m->authenticated_sender = c->oMas != NULL && e->trusted ? c->oMas
                              : m->sender_forced            ? NULL
                                                 : local_originator(e, m->arena);
    if (m->sender_forced && c->oMai == NULL)
        s->authenticated_id = NULL;
    if (c->sender_name != NULL)
        e->originator_name = c->sender_name;
    else if (sender != NULL && *sender != '\0' && e->trusted)
        e->originator_name = "";
    m->dont_deliver = c->receive.no_delivery;
    m->no_fixups = c->suppress_fixups;
    const char *bad = take_arguments(e, c, m);
    if (*bad != '\0')
        return bm_error_bad_argument(s, c, bad);
    return take_in(e, c, s);
}

int cmd_bm(struct exim *e, const struct cmd_line *c)
{
    if (c->nargs == 0 && !c->extract_recipients)
        return usage();
    struct session *s = local_session(e, c);
    s->message = message_new("message");
    int status = submit(e, c, s);
    session_free(&s);
    return status;
}
