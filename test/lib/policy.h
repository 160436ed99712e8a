/* policy.h - a process context for tests of lists, lookups, ACLs and rewriting: a configuration from
 * text, a scratch directory for spool, logs and lookup files, a session and a message. */
#ifndef TEST_POLICY_H
#define TEST_POLICY_H

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "drtables.h"
#include "exim.h"
#include "expand.h"
#include "hooks.h"
#include "message.h"
#include "readconf.h"
#include "search.h"
#include "session.h"
#include "../unit/unit.h"

struct policy {
    struct arena *a;
    const char *dir;
    struct exim x;
    struct expand_ctx ctx;
};

static inline const char *policy_path(struct policy *p, const char *name)
{
    return arena_printf(p->a, "%s/%s", p->dir, name);
}

static inline void policy_write(struct policy *p, const char *name, const char *text)
{
    int fd = open(policy_path(p, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_true(fd_write_all(fd, text, strlen(text)));
    close(fd);
}

/* All lines of a log without their time stamps; "" when there is none. */
static inline const char *policy_log(struct policy *p, const char *name)
{
    struct str text;
    struct buf b = buf_init(p->a, 1 << 20);

    if (!file_slurp(p->a, policy_path(p, name), 1 << 20, &text))
        return "";
    for (const char *s = text.p, *end = text.p + text.len; s < end;) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t n = (nl == NULL ? (size_t)(end - s) : (size_t)(nl - s) + 1);

        buf_add(&b, s + (n > 20 ? 20 : 0), n - (n > 20 ? 20 : 0));
        s += n;
    }
    return buf_cstr(&b);
}

/* "%D" in conf stands for the scratch directory. */
static inline const char *policy_fill(struct policy *p, const char *conf)
{
    struct buf b = buf_init(p->a, 1 << 20);

    for (; *conf != '\0'; conf++) {
        if (conf[0] == '%' && conf[1] == 'D') {
            buf_add_cstr(&b, p->dir);
            conf++;
        } else {
            buf_add_char(&b, *conf);
        }
    }
    return buf_cstr(&b);
}

static inline void policy_open(struct policy *p, struct arena *a, const char *conf)
{
    char *dir = arena_strdup(a, "/tmp/t_policy.XXXXXX");
    struct err err = { 0 };

    memset(p, 0, sizeof(*p));
    p->a = a;
    assert_non_null(mkdtemp(dir));
    p->dir = dir;
    const char *text = arena_printf(a, "exim_user = root\nexim_group = root\nprimary_hostname = host.test\n"
                                       "spool_directory = %s\n%s", dir, policy_fill(p, conf));
    const struct readconf_request rq = { .text = text, .filenames = "test", .hooks = &drtables_hooks };
    const struct config *cfg = readconf(a, &rq, &err);
    if (cfg == NULL)
        fail_msg("%s", err.msg);
    struct log_config *lc = arena_new_obj(a, struct log_config);
    lc->spool_directory = dir;
    lc->log_file_path = arena_printf(a, "%s/%%slog", dir);
    lc->write_rejectlog = true;
    lc->file_mode = 0600;
    lc->selector = cfg->log_selector;
    p->x = (struct exim){ .arena = a, .config = cfg, .hooks = &drtables_hooks, .log = log_open(a, lc),
                          .queue_fd = -1 };
    p->x.search = search_new(&p->x);
    expand_ctx_init(&p->ctx, &p->x, a);
    p->ctx.session = session_new(&p->x);
    p->ctx.session->smtp_input = true;
}

/* A client, so that host lists and log lines have one. */
static inline void policy_client(struct policy *p, const char *address)
{
    p->ctx.session->host_address = address;
    p->ctx.session->host_port = 1234;
    session_set_fullhost(p->ctx.session);
}

static inline void policy_message(struct policy *p, const char *sender)
{
    p->ctx.message = message_new("test message");
    p->ctx.message->sender = sender;
    p->ctx.session->message = p->ctx.message;
}

static inline void policy_recipient(struct policy *p, const char *address)
{
    struct address *addr = address_new(p->a, address);

    assert_true(address_split(p->a, addr));
    p->ctx.addr = addr;
    p->ctx.domain = addr->domain;
    p->ctx.local_part = cstr_lower(p->a, addr->local_part);
}

static inline void policy_close(struct policy *p)
{
    search_tidy(p->x.search);
    session_free(&p->ctx.session);
    char *cmd = arena_printf(p->a, "rm -rf '%s'", p->dir);
    assert_int_equal(system(cmd), 0);
}

#endif
