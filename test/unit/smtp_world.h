/* smtp_world.h - a process context with a configuration from text and a spool of its own, and sessions in it
 * without a network: each piece of input is one read of the server. */
#ifndef TEST_SMTP_WORLD_H
#define TEST_SMTP_WORLD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "drtables.h"
#include "exim.h"
#include "dns.h"
#include "readconf.h"
#include "receive.h"
#include "search.h"
#include "smtp_in.h"
#include "spool.h"

struct smtp_world {
    struct exim e;
    char dir[64];
};

/* text: options and sections; spool and log are set here. */
static inline void smtp_world_open(struct smtp_world *w, const char *text)
{
    struct arena *a = arena_new("world");
    struct err err = { 0 };
    struct log_config *l = arena_new_obj(a, struct log_config);

    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/smtp-world-XXXXXX");
    if (mkdtemp(w->dir) == NULL)
        abort();
    w->e = (struct exim){ .arena = a, .hooks = &drtables_hooks, .queue_fd = -1, .real_uid = getuid(),
                          .real_gid = getgid(), .originator_login = "tester", .originator_name = "",
                          .exim_path = "/bin/false", .initial_cwd = "/" };
    const struct readconf_request rq = {
        .hooks = &drtables_hooks,
        .text = arena_printf(a, "spool_directory = %s\nlog_file_path = %s/%%slog\nkeep_environment =\n"
                                "primary_hostname = my.host\nqualify_domain = my.dom\n%s", w->dir, w->dir, text),
    };
    w->e.config = readconf(a, &rq, &err);
    if (w->e.config == NULL) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    *l = readconf_log_config(w->e.config);
    w->e.log = log_open(a, l);
    w->e.resolver = dns_open(a, w->e.config, "127.0.0.1:9");
    w->e.search = search_new(&w->e);
    if (!spool_prepare(&w->e, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static inline void smtp_world_close(struct smtp_world *w)
{
    char command[96];

    arena_destroy(&w->e.arena);
    (void)snprintf(command, sizeof(command), "rm -rf %s", w->dir);
    if (system(command) != 0)
        abort();
}

enum { FIRST_READ = 512 }; /* the rest of a packet that is larger than the first buffer would be lost */

/* The server's output for these pieces, and an end of input; in a. */
static inline char *smtp_world_talk(struct smtp_world *w, struct arena *a, const struct str *pieces, size_t n)
{
    static const struct receive_options queued = { .queue_only = true };
    struct smtp_peer peer = { .client_port = 1000, .local_port = 25, .connection_count = 1 };
    int ends[2], big = 4 * 1024 * 1024;
    char *out = arena_alloc(a, 1, 256 * 1024);
    size_t len = 0;

    if (!ip_parse("10.0.0.1", &peer.client) || !ip_parse("10.0.0.2", &peer.local) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
        abort();
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
    peer.in_fd = peer.out_fd = ends[1];
    for (size_t i = 0; i < n; i++) {
        size_t first = i == 0 && pieces[i].len > FIRST_READ ? FIRST_READ : pieces[i].len;

        if ((first > 0 && write(ends[0], pieces[i].p, first) < 0) ||
            (first < pieces[i].len && write(ends[0], pieces[i].p + first, pieces[i].len - first) < 0))
            abort();
    }
    (void)shutdown(ends[0], SHUT_WR);
    (void)smtp_serve(&w->e, &peer, &queued);
    while (recv(ends[1], out, 256 * 1024, MSG_DONTWAIT) > 0) /* else the close would discard the replies */
        continue;
    (void)close(ends[1]);
    for (ssize_t got; (got = read(ends[0], out + len, 256 * 1024 - 1 - len)) > 0;)
        len += (size_t)got;
    (void)close(ends[0]);
    out[len] = '\0';
    return out;
}

#endif
