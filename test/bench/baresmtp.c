/* baresmtp - the least server that takes messages and delivers them durably: what the machine asks for by itself.
 *
 *   baresmtp port folder [sink]
 * One process talks to one client after another and understands as much of SMTP as `load` speaks. It syncs each message
 * at the end of a file that was written before, then answers. Another process delivers: to the Maildir that the folder
 * is, or over one connection to the SMTP server at port `sink`; what has come meanwhile, together. Not said: who is
 * talking, where mail may go, what was done. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT_MAX = 64 * 1024, TOGETHER = 32, LOG_MB = 64 };

struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtol(port, NULL, 10)) };

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static bool ends_with(const struct text *t, const char *end)
{
    size_t n = strlen(end);

    return t->len >= n && memcmp(t->bytes + t->len - n, end, n) == 0;
}

/* Until what has come ends like this; false: the peer is gone or says too much. */
static bool hear(int fd, struct text *t, const char *end)
{
    for (t->len = 0; !ends_with(t, end);) {
        ssize_t got = t->len < sizeof t->bytes ? read(fd, t->bytes + t->len, sizeof t->bytes - t->len) : 0;
        if (got <= 0)
            return false;
        t->len += (size_t)got;
    }
    return true;
}

static bool say(int fd, const char *text)
{
    size_t len = strlen(text);

    return write(fd, text, len) == (ssize_t)len;
}

/* ---- the process that delivers ---- */

static void make_file(const struct text *t, int fds[], size_t i)
{
    static unsigned long number;
    char name[64], link_name[64];

    snprintf(name, sizeof name, "new/%lu.bare", number++);
    fds[i] = open("new", O_TMPFILE | O_WRONLY, 0600);
    check(fds[i] >= 0 && write(fds[i], t->bytes, t->len) == (ssize_t)t->len, "write");
    sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fds[i]);
    check(linkat(AT_FDCWD, link_name, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0, name);
}

static void relay(int sink, const struct text *t)
{
    static struct text replies;

    check(say(sink, "MAIL FROM:<a@bench.test>\r\nRCPT TO:<u0@remote.test>\r\nDATA\r\n") &&
              hear(sink, &replies, "354 go\r\n") && write(sink, t->bytes, t->len) == (ssize_t)t->len &&
              hear(sink, &replies, "\r\n"),
          "relay");
}

static int connect_to(const char *port)
{
    static struct text greeting;
    struct sockaddr_in at = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    check(connect(fd, (struct sockaddr *)&at, sizeof at) == 0 && hear(fd, &greeting, "\r\n") &&
              say(fd, "HELO bare\r\n") && hear(fd, &greeting, "\r\n"),
          "sink");
    return fd;
}

static void deliver(int messages, const char *sink_port)
{
    static struct text t;
    int sink = sink_port == NULL ? -1 : connect_to(sink_port), fds[TOGETHER];

    for (;;) {
        size_t n = 0;
        ssize_t got;
        while (n < TOGETHER && (got = recv(messages, t.bytes, sizeof t.bytes, n == 0 ? 0 : MSG_DONTWAIT)) > 0) {
            t.len = (size_t)got;
            if (sink >= 0)
                relay(sink, &t);
            else
                make_file(&t, fds, n);
            n++;
        }
        for (size_t i = 0; sink < 0 && i < n; i++) {
            check(fsync(fds[i]) == 0, "fsync");
            close(fds[i]);
        }
        if (n == 0)
            exit(0);
    }
}

/* ---- the process that talks to clients ---- */

static bool keep(int log, const struct text *t)
{
    static off_t end;

    if (end + TEXT_MAX > (off_t)LOG_MB << 20)
        end = 0;
    bool ok = pwrite(log, t->bytes, t->len, end) == (ssize_t)t->len && fdatasync(log) == 0;
    end += (off_t)t->len;
    return ok;
}

static bool take_message(int fd, int log, int messages, struct text *t)
{
    return say(fd, "354 go\r\n") && hear(fd, t, "\r\n.\r\n") && keep(log, t) &&
           send(messages, t->bytes, t->len, 0) == (ssize_t)t->len && say(fd, "250 kept\r\n");
}

static void serve(int fd, int log, int messages)
{
    static struct text t;
    bool ok = say(fd, "220 bare ESMTP\r\n");

    while (ok && hear(fd, &t, "\r\n")) {
        if (memcmp(t.bytes, "QUIT", 4) == 0) {
            (void)say(fd, "221 bye\r\n");
            return;
        }
        if (memcmp(t.bytes, "DATA", 4) == 0)
            ok = take_message(fd, log, messages, &t);
        else
            ok = say(fd, memcmp(t.bytes, "EHLO", 4) == 0 ? "250-bare\r\n250 8BITMIME\r\n" : "250 OK\r\n");
    }
}

static int open_log(void)
{
    static const char zeros[1 << 20];
    int log = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600);

    for (int i = 0; i < LOG_MB; i++)
        check(pwrite(log, zeros, sizeof zeros, (off_t)i << 20) == (ssize_t)sizeof zeros, "log");
    check(fsync(log) == 0, "log");
    return log;
}

int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, pair[2];

    if (argc < 3)
        return 2;
    struct sockaddr_in at = loopback(argv[1]);
    check(chdir(argv[2]) == 0, argv[2]);
    int log = open_log();
    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0, "socketpair");
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        close(pair[0]);
        deliver(pair[1], argv[3]);
    }
    close(pair[1]);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 128) == 0, "listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            serve(fd, log, pair[0]);
            close(fd);
        }
    }
}
