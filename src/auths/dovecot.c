#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "auths/auth.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/tod.h"
#include "config/config.h"
#include "expand.h"
#include "session.h"

/* Dovecot's authentication protocol 1.x, as its documentation describes it for clients.
 */
struct dovecot {
    struct authenticator base;
    const struct expr *server_socket;
};

enum { WAIT_MS = 10 * 1000, LINE_MAX_BYTES = 8192 };

/* clang-format off */
static const struct option options[] = {
    OPTION_EXPAND(struct dovecot, server_socket, NULL),
};
/* clang-format on */

/* One request on one connection. */
struct dialogue {
    struct auth_server_call *call;
    const struct authenticator *au;
    int fd;
    int64_t deadline;
    struct buf in;
    size_t used; /* of in: lines that were taken */
};

static bool dovecot_check(struct authenticator *au, const struct config *cfg,
                          struct err *err)
{
    const struct dovecot *d = (const struct dovecot *)(const void *)au;

    (void)cfg;
    (void)err;
    au->server = d->server_socket != NULL;
    return true;
}

static enum auth_rc broken(struct dialogue *d, const char *why)
{
    d->call->err.msg = why;
    return AUTH_DEFER;
}

static bool open_socket(struct dialogue *d, const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(sa.sun_path))
        return false;
    memcpy(sa.sun_path, path, strlen(path));
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return d->fd >= 0 && connect(d->fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
}

/* The next line, its fields cut at tabs: fields[0] is the command. NULL: no line came. */
static char **next_line(struct dialogue *d, size_t *count)
{
    struct arena *a = d->call->ctx->arena;

    buf_consume(&d->in, d->used);
    d->used = 0;
    char *lf;
    while ((lf = memchr(buf_cstr(&d->in), '\n', d->in.len)) == NULL) {
        char *to = buf_reserve(&d->in, 1024);

        if (to == NULL || fd_wait_read(d->fd, d->deadline) <= 0)
            return NULL;
        ssize_t got = fd_read(d->fd, to, 1024);
        if (got <= 0)
            return NULL;
        buf_commit(&d->in, (size_t)got);
    }
    d->used = (size_t)(lf + 1 - d->in.p);
    char *line = arena_strndup(a, d->in.p, (size_t)(lf - d->in.p));
    char **fields = arena_new_array(a, char *, LINE_MAX_BYTES / 64);
    *count = 0;
    for (char *p = line; p != NULL && *count < LINE_MAX_BYTES / 64;) {
        char *tab = strchr(p, '\t');

        fields[(*count)++] = p;
        if (tab != NULL)
            *tab++ = '\0';
        p = tab;
    }
    return fields;
}

/* VERSION and MECH lines up to DONE. */
static const char *greeting_fault(struct dialogue *d)
{
    bool version = false, mechanism = false;
    size_t n;

    for (char **f; (f = next_line(d, &n)) != NULL;) {
        if (strcmp(f[0], "VERSION") == 0) {
            if (n < 2 || strcmp(f[1], "1") != 0)
                return "authentication socket protocol version mismatch";
            version = true;
        } else if (strcmp(f[0], "MECH") == 0) {
            mechanism = mechanism || (n > 1 && cstr_ieq(f[1], d->au->public_name));
        } else if (strcmp(f[0], "DONE") == 0) {
            if (!version)
                return "authentication socket did not say its version";
            return mechanism ? NULL
                             : "mechanism is not supported by the authentication socket";
        }
    }
    return "authentication socket read error or premature eof";
}

static bool send_text(struct dialogue *d, const char *text)
{
    return fd_write_all(d->fd, text, strlen(text));
}

static bool send_request(struct dialogue *d)
{
    const struct session *s = d->call->ctx->session;
    struct buf b = buf_init(d->call->ctx->arena, LINE_MAX_BYTES * 2);
    bool local = s->host_address != NULL && s->interface_address != NULL &&
                 strcmp(s->host_address, s->interface_address) == 0;

    buf_printf(&b, "VERSION\t1\t0\nCPID\t%ld\nAUTH\t1\t%s\tservice=smtp", (long)getpid(),
               d->au->public_name);
    if (s->tls_in.active || local)
        buf_add_cstr(&b, "\tsecured");
    if (s->tls_in.active && s->tls_in.certificate_verified)
        buf_add_cstr(&b, "\tvalid-client-cert");
    if (s->host_address != NULL)
        buf_printf(&b, "\trip=%s", s->host_address);
    if (s->interface_address != NULL)
        buf_printf(&b, "\tlip=%s", s->interface_address);
    buf_add_cstr(&b, "\tnologin");
    if (d->call->initial != NULL) /* "resp" must be the last */
        buf_printf(&b, "\tresp=%s",
                   strcmp(d->call->initial, "=") == 0 ? "" : d->call->initial);
    buf_add_char(&b, '\n');
    return !b.full && send_text(d, buf_cstr(&b));
}

/* CONT: the server wants more from the client. */
static enum auth_rc more(struct dialogue *d, const char *data)
{
    struct arena *a = d->call->ctx->arena;
    struct str text, response;

    if (!base64_decode(a, str_from(data), &text))
        return broken(d, "authentication socket protocol error: bad challenge");
    enum auth_rc rc = d->call->challenge(d->call->arg, text, &response);
    if (rc != AUTH_OK)
        return rc;
    d->deadline = tod_monotonic_ms() + WAIT_MS;
    const char *line =
        arena_printf(a, "CONT\t1\t%s\n", base64_encode(a, response.p, response.len));
    return send_text(d, line) ? AUTH_OK : broken(d, "authentication socket write error");
}

static void take_user(struct dialogue *d, char **f, size_t n)
{
    for (size_t i = 2; i < n; i++)
        if (cstr_starts(f[i], "user="))
            auth_set_value(d->call->ctx, 1, str_from(f[i] + 5));
}

static enum auth_rc failure(struct dialogue *d, char **f, size_t n)
{
    enum auth_rc rc = AUTH_FAIL;

    take_user(d, f, n);
    for (size_t i = 2; i < n; i++)
        if (strcmp(f[i], "temp") == 0)
            rc = broken(d, "temporary internal failure");
    return rc;
}

static enum auth_rc converse(struct dialogue *d)
{
    size_t n;

    for (char **f; (f = next_line(d, &n)) != NULL;) {
        if (n < 2 || strcmp(f[1], "1") != 0)
            return broken(d, "authentication socket protocol error: unknown request id");
        if (strcmp(f[0], "OK") == 0) {
            take_user(d, f, n);
            const struct expr *condition = d->au->server_condition;
            return condition == NULL
                       ? AUTH_OK
                       : auth_check_condition(d->call->ctx, condition, &d->call->err);
        }
        if (strcmp(f[0], "FAIL") == 0)
            return failure(d, f, n);
        if (strcmp(f[0], "CONT") != 0)
            return broken(d, "authentication socket protocol error: unknown reply");
        enum auth_rc rc = more(d, n > 2 ? f[2] : "");
        if (rc != AUTH_OK)
            return rc;
    }
    return broken(d, "authentication socket read error or premature eof");
}

static enum auth_rc run(struct dialogue *d, const char *path)
{
    struct arena *a = d->call->ctx->arena;

    if (!open_socket(d, path))
        return broken(
            d, arena_printf(a, "failed to connect to %s: %s", path, strerror(errno)));
    d->deadline = tod_monotonic_ms() + WAIT_MS;
    const char *fault = greeting_fault(d);
    if (fault != NULL)
        return broken(d, fault);
    if (!send_request(d))
        return broken(d, "authentication socket write error");
    return converse(d);
}

static enum auth_rc dovecot_server(const struct authenticator *au,
                                   struct auth_server_call *call)
{
    const struct dovecot *dc = (const struct dovecot *)(const void *)au;
    struct dialogue d = {
        .call = call, .au = au, .fd = -1, .in = buf_init(call->ctx->arena, LINE_MAX_BYTES)
    };
    const char *path;
    struct str checked;

    /* It goes into a line of ours: nothing but base64 may be in it. */
    if (call->initial != NULL && strcmp(call->initial, "=") != 0 &&
        (strpbrk(call->initial, " \t") != NULL ||
         !base64_decode(call->ctx->arena, str_from(call->initial), &checked)))
        return AUTH_BAD64;
    if (expand(call->ctx, dc->server_socket, &path) != EXPAND_OK) {
        call->err = call->ctx->err;
        return AUTH_DEFER;
    }
    enum auth_rc rc = run(&d, path);
    if (d.fd >= 0)
        (void)fd_close(d.fd);
    return rc;
}

const struct auth_driver auth_dovecot = {
    .name = "dovecot",
    .instance_size = sizeof(struct dovecot),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = dovecot_check,
    .server = dovecot_server,
};
