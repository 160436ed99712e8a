/* sink - an SMTP server that takes everything and keeps nothing: where relayed messages go.
 *
 *   sink port [--dsn] [counter]
 * One epoll loop; prints the number of messages taken when it gets SIGTERM. The file `counter` holds
 * the numbers of messages and recipients so far, two longs. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 65536, MAX_EVENTS = 256 };

struct client {
    int fd;
    bool data;
    size_t len;
    char in[BUFFER];
};

static long own_counts[2];
static long *taken = own_counts, *recipients = own_counts + 1;
static int poller;
static volatile sig_atomic_t stop;
static const char *ehlo = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n";

static void on_term(int sig)
{
    (void)sig;
    stop = 1;
}

struct out { char p[BUFFER]; size_t len; };

static void add(struct out *o, const char *text)
{
    size_t n = strlen(text);

    if (o->len + n < sizeof o->p)
        memcpy(o->p + o->len, text, n), o->len += n;
}

static bool command(struct client *c, const char *line, struct out *o)
{
    if (strncasecmp(line, "EHLO", 4) == 0)
        add(o, ehlo);
    else if (strncasecmp(line, "DATA", 4) == 0) {
        add(o, "354 go\r\n");
        c->data = true;
    } else if (strncasecmp(line, "QUIT", 4) == 0) {
        add(o, "221 bye\r\n");
        return false;
    } else {
        *recipients += strncasecmp(line, "RCPT", 4) == 0;
        add(o, "250 ok\r\n");
    }
    return true;
}

/* Looks for CRLF.CRLF; keeps the last four bytes for the next time. */
static size_t skip_data(struct client *c, size_t at, struct out *o)
{
    char *end = memmem(c->in + at, c->len - at, "\r\n.\r\n", 5);

    if (c->len - at >= 3 && memcmp(c->in + at, ".\r\n", 3) == 0)
        end = c->in + at - 2;
    if (end == NULL)
        return c->len - at > 4 ? c->len - 4 : at;
    c->data = false;
    ++*taken;
    add(o, "250 ok\r\n");
    return (size_t)(end + 5 - c->in);
}

static bool work(struct client *c)
{
    struct out o = { .len = 0 };
    size_t at = 0;
    bool open = true;

    while (open && at < c->len) {
        if (c->data) {
            size_t next = skip_data(c, at, &o);
            if (c->data) {
                at = next;
                break;
            }
            at = next;
            continue;
        }
        char *nl = memchr(c->in + at, '\n', c->len - at);
        if (nl == NULL)
            break;
        *nl = '\0';
        open = command(c, c->in + at, &o);
        at = (size_t)(nl - c->in) + 1;
    }
    memmove(c->in, c->in + at, c->len -= at);
    return (o.len == 0 || send(c->fd, o.p, o.len, MSG_NOSIGNAL) == (ssize_t)o.len) && open;
}

static void take_client(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;

    if (fd < 0)
        return;
    struct client *c = calloc(1, sizeof *c);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    if (send(fd, "220 sink ESMTP\r\n", 16, MSG_NOSIGNAL) < 0)
        errno = 0;
}

static void serve(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        c->len += (size_t)n;
        if (work(c))
            return;
    }
    close(c->fd);
    free(c);
}

static void share_counts(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);

    if (fd < 0 || ftruncate(fd, sizeof own_counts) != 0)
        exit(1);
    taken = mmap(NULL, sizeof own_counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (taken == MAP_FAILED)
        exit(1);
    recipients = taken + 1;
    close(fd);
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    struct epoll_event events[MAX_EVENTS];
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (argc < 2)
        return 2;
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--dsn") != 0)
            share_counts(argv[i]);
        else
            ehlo = "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE\r\n";
    at.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 1024) != 0) {
        perror("sink");
        return 1;
    }
    struct sigaction act = { .sa_handler = on_term };
    sigaction(SIGTERM, &act, NULL);
    poller = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    while (!stop) {
        int n = epoll_wait(poller, events, MAX_EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                take_client(listener);
            else
                serve(events[i].data.ptr);
        }
    }
    printf("%ld\n", *taken);
    return 0;
}
