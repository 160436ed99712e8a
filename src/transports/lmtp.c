#include "transports/lmtp.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "message.h"
#include "smtp/client.h"
#include "transports/bsmtp.h"
#include "transports/command.h"
#include "transports/envelope.h"

enum { QUIT_MS = 2000, COMMAND_MAX = 4096 };

struct lmtp {
    struct transport base;
    const struct expr *command;
    bool ignore_quota;
    const struct expr *socket;
    long timeout;
};

/* clang-format off */
#define T struct lmtp
static const struct option options[] = {
    OPTION_("batch_id", KIND_EXPAND, const struct expr *, T, base.batch_id, NULL),
    OPTION_("batch_max", KIND_INT, long, T, base.batch_max, &(const long){ 1 }),
    OPTION_EXPAND(T, command, NULL),
    OPTION_BOOL(T, ignore_quota, false),
    OPTION_EXPAND(T, socket, NULL),
    OPTION_TIME(T, timeout, 300),
};
/* clang-format on */

/* One conversation. */
struct lmtp_run {
    const struct lmtp *t;
    struct transport_call *call;
    struct arena *arena;
    struct client client;
    pid_t pid; /* of the command; 0: none */
    bool dsn, utf8, downconvert;
};

static bool lmtp_check(struct transport *base, const struct config *cfg, struct arena *a, struct err *err)
{
    const struct lmtp *t = (const struct lmtp *)base;

    (void)cfg;
    base->retry_use_local_part = true;
    if ((t->command == NULL) == (t->socket == NULL))
        return err_set(err, a, "one (and only one) of command or socket must be set for the %s transport", base->name);
    if (base->body_only && base->headers_only)
        return err_set(err, a, "headers_only and body_only are mutually exclusive");
    return true;
}

static bool fail(struct lmtp_run *run, enum rc rc, int basic_errno, const char *status, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

static bool fail(struct lmtp_run *run, enum rc rc, int basic_errno, const char *status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(run->arena, fmt, ap);
    va_end(ap);
    transport_set_all(run->call, rc, basic_errno, status, text);
    return false;
}

/* ---- connecting ---- */

static bool connect_socket(struct lmtp_run *run)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    const char *path;

    if (expand(run->call->ctx, run->t->socket, &path) != EXPAND_OK)
        return fail(run, RC_DEFER, ERR_EXPANDFAIL, "4.3.5", "Expansion of \"%s\" (socket setting for %s transport) failed: %s",
                    run->t->socket->text, run->t->base.name, run->call->ctx->err.msg);
    if (strlen(path) >= sizeof(sun.sun_path))
        return fail(run, RC_DEFER, ENAMETOOLONG, "4.3.5", "socket name %s for %s transport is too long", path,
                    run->t->base.name);
    memcpy(sun.sun_path, path, strlen(path));
    run->client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (run->client.fd >= 0 && connect(run->client.fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
        return true;
    return fail(run, RC_DEFER, errno, "4.4.1", "Failed to connect to socket %s for %s transport: %s", path,
                run->t->base.name, strerror(errno));
}

static bool start_command(struct lmtp_run *run)
{
    static char *const no_env[] = { NULL };
    const struct command_request rq = { .text = run->t->command->text, .expand = true,
                                        .owner = arena_printf(run->arena, "%s transport", run->t->base.name),
                                        .addrs = run->call->addrs };
    struct proc_spawn spawn = { .envp = no_env, .umask = 022 };
    struct err err = { 0 };
    char **argv;
    int pair[2];

    if (!command_parse(run->call->ctx, &rq, &argv, &err))
        return fail(run, RC_DEFER, ERR_EXPANDFAIL, "4.3.5", "%s", err.msg);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fail(run, RC_DEFER, errno, "4.3.0", "Failed to create child process for %s transport: %s",
                    run->t->base.name, strerror(errno));
    spawn.argv = argv;
    spawn.stdio = pair[1];
    run->pid = proc_spawn(&spawn, NULL, NULL);
    int why = errno;
    fd_close(pair[1]);
    run->client.fd = pair[0];
    if (run->pid > 0)
        return true;
    run->pid = 0;
    return fail(run, RC_DEFER, why, "4.3.5", "Failed to run %s for %s transport: %s", argv[0], run->t->base.name,
                strerror(why));
}

static void finish(struct lmtp_run *run)
{
    client_close(&run->client);
    if (run->pid > 0)
        (void)proc_wait(run->pid, tod_monotonic_ms() + run->t->timeout * 1000);
}

/* ---- replies ---- */

static int64_t deadline(const struct lmtp_run *run)
{
    return run->t->timeout > 0 ? tod_monotonic_ms() + run->t->timeout * 1000 : -1;
}

static const char *reply_text(struct lmtp_run *run)
{
    return arena_strdup(run->arena, buf_cstr(&run->client.reply));
}

static int errno_of(const char *after)
{
    if (cstr_starts(after, "MAIL"))
        return ERR_MAIL4XX;
    return cstr_starts(after, "RCPT") ? ERR_RCPT4XX : cstr_starts(after, "DATA") || cstr_starts(after, "end") ? ERR_DATA4XX : 0;
}

/* What the server said about one address, or all of them, other than yes. */
static struct addr_result refusal(struct lmtp_run *run, int code, const char *after)
{
    const char *text = reply_text(run), *status = client_reply_status(run->arena, text);
    bool permanent = code / 100 == 5;
    struct addr_result r = { .rc = permanent ? RC_FAIL : RC_DEFER };

    r.basic_errno = permanent ? 0 : errno_of(after);
    r.message = arena_printf(run->arena, "LMTP error after %s: %s", after, cstr_printable(run->arena, text, true));
    r.diagnostic = text;
    r.status = status != NULL ? status : permanent ? "5.0.0" : "4.0.0";
    r.remote_mta = run->call->ctx->exim->config->primary_hostname; /* the other end of a local socket */
    r.pass_message = true;
    return r;
}

/* No reply at all: the conversation is over. False. */
static bool lost(struct lmtp_run *run, const char *after)
{
    switch (run->client.fault) {
    case CLIENT_TIMEOUT:
        return fail(run, RC_DEFER, ETIMEDOUT, "4.4.2", "LMTP timeout after %s", after);
    case CLIENT_MALFORMED:
        return fail(run, RC_DEFER, ERR_SMTPFORMAT, "4.5.0", "Malformed LMTP response after %s: %s", after,
                    cstr_printable(run->arena, reply_text(run), true));
    default:
        return fail(run, RC_DEFER, ERR_UNKNOWNERROR, "4.4.2", "LMTP connection closed after %s", after);
    }
}

/* A server may take it ill when its last answer is not read. */
static void say_quit(struct lmtp_run *run)
{
    int code = client_command(&run->client, tod_monotonic_ms() + QUIT_MS, "QUIT");

    (void)code;
}

/* True on a reply of that class; all addresses have their result otherwise. */
static bool expect(struct lmtp_run *run, int class, const char *after)
{
    int code = client_read(&run->client, deadline(run));

    if (code == 0)
        return lost(run, after);
    if (code / 100 == class)
        return true;
    struct addr_result r = refusal(run, code, after);
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next)
        addr->result = r;
    say_quit(run);
    return false;
}

/* ---- the envelope ---- */

/* Nothing that is not ASCII goes where SMTPUTF8 is not offered (RFC 6531); domains may be made ASCII if
 * control = utf8_downconvert says so. */
static bool choose_utf8(struct lmtp_run *run)
{
    if (!envelope_needs_utf8(run->call))
        return true;
    run->utf8 = (run->client.caps.set & CLIENT_SMTPUTF8) != 0;
    run->downconvert = !run->utf8 && run->call->message->utf8_downconvert;
    if (run->utf8 || run->downconvert)
        return true;
    (void)fail(run, RC_FAIL, ERR_UTF8FWD, "5.6.7", "utf8 support required but not offered for forwarding");
    say_quit(run);
    return false;
}

static const char *wire_address(const struct lmtp_run *run, const char *address)
{
    return run->downconvert ? envelope_to_ascii(run->arena, address) : address;
}

/* NULL: all addresses have their result. */
static const char *mail_command(struct lmtp_run *run)
{
    const char *sender = wire_address(run, run->call->return_path);
    struct buf b = buf_init(run->arena, COMMAND_MAX);

    if (sender == NULL) {
        (void)fail(run, RC_FAIL, ERR_UTF8FWD, "5.6.7", "the sender address cannot be converted to ASCII");
        say_quit(run);
        return NULL;
    }
    buf_printf(&b, "MAIL FROM:<%s>%s", sender, run->utf8 ? " SMTPUTF8" : "");
    if (run->dsn && envelope_passes_dsn(run->call->addrs))
        envelope_add_mail_dsn(&b, run->call->message);
    return buf_cstr(&b);
}

static const char *rcpt_parameters(struct lmtp_run *run, const struct address *addr)
{
    struct buf b = buf_init(run->arena, COMMAND_MAX);

    if (run->t->ignore_quota && (run->client.caps.set & CLIENT_IGNOREQUOTA))
        buf_add_cstr(&b, " IGNOREQUOTA");
    if (run->dsn && envelope_passes_dsn(addr))
        envelope_add_rcpt_dsn(run->arena, &b, addr, run->utf8);
    return buf_cstr(&b);
}

/* ---- the conversation ---- */

static bool say_hello(struct lmtp_run *run)
{
    const char *hello = arena_printf(run->arena, "LHLO %s", run->call->ctx->exim->config->primary_hostname);

    if (!expect(run, 2, "initial connection"))
        return false;
    client_put(&run->client, "%s", hello);
    if (!expect(run, 2, hello))
        return false;
    client_caps_parse(run->arena, buf_cstr(&run->client.reply), &run->client.caps);
    run->dsn = (run->client.caps.set & CLIENT_DSN) != 0;
    return true;
}

/* Accepted recipients are left pending; false: the conversation is over. */
static bool say_recipients(struct lmtp_run *run, size_t *accepted)
{
    *accepted = 0;
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next) {
        const char *wire =
            wire_address(run, bsmtp_recipient(run->arena, addr, run->t->base.rcpt_include_affixes));
        if (wire == NULL) {
            addr->result = (struct addr_result){ .rc = RC_FAIL, .basic_errno = ERR_UTF8FWD, .status = "5.6.7",
                                                 .message = "the recipient address cannot be converted to ASCII" };
            continue;
        }
        const char *rcpt = arena_printf(run->arena, "RCPT TO:<%s>", wire);
        client_put(&run->client, "%s%s", rcpt, rcpt_parameters(run, addr));
        int code = client_read(&run->client, deadline(run));
        if (code == 0)
            return lost(run, rcpt);
        addr->outcome = OUTCOME_PENDING;
        addr->result = (struct addr_result){ 0 };
        if (code / 100 == 2)
            (*accepted)++;
        else
            addr->result = refusal(run, code, rcpt);
    }
    return true;
}

static bool to_client(void *arg, const void *p, size_t n)
{
    struct lmtp_run *run = arg;

    if (client_write(&run->client, p, n, deadline(run)))
        return true;
    errno = run->client.fault == CLIENT_TIMEOUT ? ETIMEDOUT : EPIPE;
    return false;
}

/* Addresses refused at RCPT keep what was said to them. */
static bool say_data(struct lmtp_run *run)
{
    int code = client_command(&run->client, deadline(run), "DATA");

    if (code / 100 == 3)
        return true;
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next) {
        struct addr_result before = addr->result;
        if (code == 0)
            (void)lost(run, "DATA");
        addr->result = before.rc != RC_OK ? before : code != 0 ? refusal(run, code, "DATA") : addr->result;
    }
    say_quit(run);
    return false;
}

static void defer_pending(struct lmtp_run *run, const struct addr_result *r)
{
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next)
        if (addr->result.rc == RC_OK && addr->outcome == OUTCOME_PENDING)
            addr->result = *r;
}

static bool say_message(struct lmtp_run *run)
{
    const struct transport *t = &run->t->base;
    struct transport_output out = { .crlf = true, .dot_stuff = true, .add_return_path = t->return_path_add,
                                    .add_delivery_date = t->delivery_date_add,
                                    .add_envelope_to = t->envelope_to_add, .write = to_client, .arg = run };
    struct err err = { 0 };

    if (!transport_write_message(t, run->call, &out, &err)) {
        const struct addr_result r = { .rc = RC_DEFER, .basic_errno = err.sys_errno, .status = "4.4.2",
                                       .message = arena_printf(run->arena, "LMTP: error while sending the message: %s",
                                                               err.msg) };
        defer_pending(run, &r);
        return false;
    }
    return to_client(run, ".\r\n", 3);
}

static void delivered(struct lmtp_run *run, struct address *addr)
{
    addr->confirmation = cstr_printable(run->arena, reply_text(run), true);
    addr->result = (struct addr_result){ .rc = RC_OK, .status = "2.0.0", .diagnostic = addr->confirmation };
    addr->remote_dsn = run->dsn;
    addr->outcome = run->dsn && envelope_passes_dsn(addr) ? OUTCOME_PASSED_ON : OUTCOME_DELIVERED;
}

/* RFC 2033: one reply for each recipient that was accepted, in order. */
static void read_verdicts(struct lmtp_run *run)
{
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next) {
        if (addr->result.rc != RC_OK)
            continue;
        int code = client_read(&run->client, deadline(run));
        if (code == 0) {
            const struct addr_result r = { .rc = RC_DEFER, .basic_errno = ERR_UNKNOWNERROR, .status = "4.4.2",
                                           .message = run->client.fault == CLIENT_TIMEOUT
                                                          ? "LMTP timeout after end of data"
                                                          : "LMTP connection closed after end of data" };
            defer_pending(run, &r);
            return;
        }
        if (code / 100 == 2)
            delivered(run, addr);
        else
            addr->result = refusal(run, code, "end of data");
    }
    say_quit(run);
}

static void talk(struct lmtp_run *run)
{
    size_t accepted;

    if (!say_hello(run) || !choose_utf8(run))
        return;
    const char *mail = mail_command(run);
    if (mail == NULL)
        return;
    client_put(&run->client, "%s", mail);
    if (!expect(run, 2, mail) || !say_recipients(run, &accepted))
        return;
    if (accepted == 0) {
        say_quit(run);
        return;
    }
    if (say_data(run) && say_message(run))
        read_verdicts(run);
}

static void lmtp_deliver(const struct transport *base, struct transport_call *call)
{
    struct lmtp_run *run = arena_new_obj(call->ctx->arena, struct lmtp_run);

    run->t = (const struct lmtp *)base;
    run->call = call;
    run->arena = call->ctx->arena;
    call->ctx->return_path = call->return_path;
    proc_ignore(SIGPIPE);
    client_init(&run->client, run->arena);
    run->client.lmtp = run->client.esmtp = true;
    if (run->t->socket != NULL ? connect_socket(run) : start_command(run))
        talk(run);
    finish(run);
}

const struct transport_driver transport_lmtp = {
    .name = "lmtp",
    .instance_size = sizeof(struct lmtp),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = TRANSPORT_LOCAL | TRANSPORT_DSN,
    .check = lmtp_check,
    .deliver = lmtp_deliver,
};
