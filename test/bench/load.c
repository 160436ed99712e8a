/* load - an SMTP load generator: many connections in one epoll loop.
 *
 *   load [-p port] [-c connections] [-n messages] [-m per-connection] [-s size] [-r recipients]
 *        [-d domain] [-C] [-T] [-P] [-H seconds]
 * Sends -n messages of -s bytes over -c connections at a time, -m messages each; -r recipients
 * u0@, u1@ ... of -d, in one go if there are more than one and the server offers PIPELINING. -C: only connect, banner, QUIT (n times). -T: STARTTLS, a full handshake,
 * then QUIT (n times). -P: a PROXY v2 header first. -H: hold -c idle connections after the banner. Prints: seconds, operations, and errors. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { GREETING, HELO, STARTTLS, HANDSHAKE, MAIL, RCPT, DATA, DOT, QUITTING, HOLDING };
/* UNGREETED: as many connections wait for their greeting at most. OpenSMTPD's listen queue has five places. */
enum { BUFFER = 4096, MAX_EVENTS = 256, UNGREETED = 5 };

struct settings {
    int port, connections, per_connection, recipients, hold;
    long messages, size;
    const char *domain;
    bool connect_only, tls, proxy;
};

struct connection {
    int fd;
    SSL *tls;
    enum state state;
    int sent_here, recipient;
    bool pipelining, watch_out;
    size_t in_len, out_len, out_at;
    const char *out; /* what is being written */
    char in[BUFFER], line[BUFFER];
};

static struct settings opt = { .port = 25, .connections = 10, .per_connection = 1, .recipients = 1,
                               .messages = 1000, .size = 4096, .domain = "bench.test" };
static char *body, *rcpts; /* rcpts: all RCPT commands */
static size_t body_len, rcpts_len;
static long started, finished, errors;
static int poller, open_now, ungreeted;
static struct connection *all;
static SSL_CTX *tls_ctx;
/* Version 2, PROXY, TCP4, 127.0.0.1:4444 to 192.0.2.8:25: a client whose name /etc/hosts knows. */
static const char proxy_header[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\xc0\0\2\x8\x11\x5c\0\x19";

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_body(void)
{
    char head[200];
    int n = snprintf(head, sizeof head, "From: <bench@%s>\r\nSubject: bench\r\n\r\n", opt.domain);

    body = malloc((size_t)opt.size + 1000);
    memcpy(body, head, (size_t)n);
    body_len = (size_t)n;
    while (body_len < (size_t)opt.size) {
        for (int i = 0; i < 70; i++)
            body[body_len++] = (char)('a' + i % 26);
        body[body_len++] = '\r';
        body[body_len++] = '\n';
    }
    memcpy(body + body_len, ".\r\n", 3);
    body_len += 3;
}

static void make_rcpts(void)
{
    size_t room = (size_t)opt.recipients * (strlen(opt.domain) + 32);

    rcpts = malloc(room + 1);
    for (int i = 0; i < opt.recipients; i++)
        rcpts_len += (size_t)snprintf(rcpts + rcpts_len, room - rcpts_len, "RCPT TO:<u%d@%s>\r\n", i, opt.domain);
}

static void watch(struct connection *c, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = c };

    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

/* Writes what it can of the present output; the rest when the socket takes more. */
static bool flush(struct connection *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                return false;
            watch(c, EPOLLIN | EPOLLOUT);
            c->watch_out = true;
            return true;
        }
        c->out_at += (size_t)n;
    }
    if (c->watch_out)
        watch(c, EPOLLIN);
    c->watch_out = false;
    return true;
}

static bool say(struct connection *c, const char *text, size_t len)
{
    c->out = text;
    c->out_len = len;
    c->out_at = 0;
    return flush(c);
}

static bool command(struct connection *c, const char *fmt, const char *a, int n)
{
    int len = n < 0 ? snprintf(c->line, sizeof c->line, fmt, a) : snprintf(c->line, sizeof c->line, fmt, n, a);

    return say(c, c->line, (size_t)len);
}

/* The server need not wait for us to close: Exim 4.96 gives a client 200 ms for that. */
static bool quit(struct connection *c)
{
    c->state = QUITTING;
    return command(c, "QUIT\r\n%s", "", -1) && shutdown(c->fd, SHUT_WR) == 0;
}

static bool open_connection(struct connection *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port) };
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(c->fd);
        c->fd = -1;
        return false;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
    if (opt.proxy)
        return say(c, proxy_header, sizeof proxy_header - 1);
    return true;
}

static bool next_message(struct connection *c)
{
    if (c->sent_here >= opt.per_connection || started >= opt.messages) {
        return quit(c);
    }
    started++;
    c->sent_here++;
    c->recipient = 0;
    c->state = MAIL;
    return command(c, "MAIL FROM:<bench@%s>\r\n", opt.domain, -1);
}

static bool greeted(struct connection *c)
{
    if (opt.hold > 0) {
        c->state = HOLDING;
        finished++;
        return true;
    }
    if (opt.connect_only) {
        return quit(c);
    }
    c->state = HELO;
    return command(c, "EHLO %s\r\n", opt.domain, -1);
}

/* The handshake goes on; then QUIT, encrypted. False ends the connection. */
static bool handshake(struct connection *c)
{
    int rc = SSL_do_handshake(c->tls);

    if (rc == 1) {
        finished++;
        c->state = QUITTING;
        return SSL_write(c->tls, "QUIT\r\n", 6) == 6;
    }
    int why = SSL_get_error(c->tls, rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        errors++;
        return false;
    }
    watch(c, why == SSL_ERROR_WANT_WRITE ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return true;
}

static bool begin_tls(struct connection *c)
{
    c->tls = SSL_new(tls_ctx);
    SSL_set_fd(c->tls, c->fd);
    SSL_set_connect_state(c->tls);
    c->state = HANDSHAKE;
    return handshake(c);
}

/* One complete reply arrived. False ends the connection. */
static bool on_reply(struct connection *c, int code)
{
    if (code >= 400) {
        errors++; /* 421 instead of a greeting, for one */
        return false;
    }
    switch (c->state) {
    case GREETING:
        ungreeted--;
        return greeted(c);
    case HELO:
        if (!opt.tls)
            return next_message(c);
        c->state = STARTTLS;
        return command(c, "STARTTLS\r\n%s", "", -1);
    case STARTTLS: return begin_tls(c);
    case MAIL:
        c->state = RCPT;
        if (opt.recipients > 1 && c->pipelining) {
            c->recipient = 1; /* replies to come, the one that ends this state among them */
            return say(c, rcpts, rcpts_len);
        }
        return command(c, "RCPT TO:<u%d@%s>\r\n", opt.domain, c->recipient++);
    case RCPT:
        if (c->recipient < opt.recipients && c->pipelining) {
            c->recipient++;
            return true;
        }
        if (c->recipient < opt.recipients)
            return command(c, "RCPT TO:<u%d@%s>\r\n", opt.domain, c->recipient++);
        c->state = DATA;
        return command(c, "DATA\r\n%s", "", -1);
    case DATA:
        c->state = DOT;
        return say(c, body, body_len);
    case DOT:
        finished++;
        return next_message(c);
    case QUITTING:
        finished += opt.connect_only;
        return false;
    default: return true;
    }
}

static bool on_input(struct connection *c)
{
    if (c->state == HANDSHAKE)
        return handshake(c);
    if (c->tls != NULL) { /* the answer to QUIT */
        int got = SSL_read(c->tls, c->in, sizeof c->in);
        return got <= 0 && SSL_get_error(c->tls, got) == SSL_ERROR_WANT_READ;
    }
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->in_len += (size_t)n;
    size_t at = 0;
    for (char *line, *nl; (nl = memchr(line = c->in + at, '\n', c->in_len - at)) != NULL;) {
        size_t len = (size_t)(nl - line);
        bool last = len < 3 || line[3] != '-';
        at += len + 1;
        c->pipelining = c->pipelining || (c->state == HELO && len >= 14 && memcmp(line + 4, "PIPELINING", 10) == 0);
        if (last && !on_reply(c, (line[0] - '0') * 100))
            return false;
    }
    memmove(c->in, c->in + at, c->in_len -= at);
    return c->in_len < sizeof c->in;
}

static bool more_to_start(void)
{
    return opt.hold > 0 ? finished + ungreeted < opt.connections : started < opt.messages;
}

/* Opens connections where there is room. */
static void fill(void)
{
    for (int i = 0; i < opt.connections && ungreeted < UNGREETED && more_to_start(); i++) {
        if (all[i].fd >= 0)
            continue;
        started += opt.connect_only || opt.tls;
        if (open_connection(&all[i])) {
            open_now++;
            ungreeted++;
        } else {
            errors++;
            return;
        }
    }
}

static void shut(struct connection *c)
{
    ungreeted -= c->state == GREETING;
    SSL_free(c->tls);
    close(c->fd);
    c->tls = NULL;
    c->fd = -1;
    open_now--;
}

static void options(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "p:c:n:m:s:r:d:CTPH:")) != -1;)
        switch (c) {
        case 'p': opt.port = (int)strtol(optarg, NULL, 10); break;
        case 'c': opt.connections = (int)strtol(optarg, NULL, 10); break;
        case 'n': opt.messages = strtol(optarg, NULL, 10); break;
        case 'm': opt.per_connection = (int)strtol(optarg, NULL, 10); break;
        case 's': opt.size = strtol(optarg, NULL, 10); break;
        case 'r': opt.recipients = (int)strtol(optarg, NULL, 10); break;
        case 'd': opt.domain = optarg; break;
        case 'C': opt.connect_only = true; break;
        case 'T': opt.tls = true; break;
        case 'P': opt.proxy = true; break;
        case 'H': opt.hold = (int)strtol(optarg, NULL, 10); break;
        default: fprintf(stderr, "load: unknown option\n"); exit(2);
        }
}

int main(int argc, char **argv)
{
    struct epoll_event events[MAX_EVENTS];

    options(argc, argv);
    struct rlimit files = { 65536, 65536 };
    setrlimit(RLIMIT_NOFILE, &files);
    make_body();
    make_rcpts();
    poller = epoll_create1(0);
    if (opt.tls) /* it takes OpenSSL longer to set itself up than some works take */
        tls_ctx = SSL_CTX_new(TLS_client_method());
    all = calloc((size_t)opt.connections, sizeof *all);
    for (int i = 0; i < opt.connections; i++)
        all[i].fd = -1;
    double start = now();
    fill();
    double held_since = 0;
    while (open_now > 0) {
        int n = epoll_wait(poller, events, MAX_EVENTS, opt.hold > 0 ? 200 : 30000);
        if (n == 0 && opt.hold == 0) {
            errors += open_now;
            break;
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            bool ok = !(events[i].events & EPOLLOUT) || flush(c);
            if (ok && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                ok = on_input(c);
            if (!ok)
                shut(c);
        }
        fill();
        if (opt.hold > 0 && finished == opt.connections && held_since == 0) {
            held_since = now();
            printf("held %ld\n", finished);
            fflush(stdout);
        }
        if (held_since != 0 && now() - held_since > opt.hold)
            break;
    }
    printf("%.4f %ld %ld\n", now() - start, finished, errors);
    return errors > 0;
}
