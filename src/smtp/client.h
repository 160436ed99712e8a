/* client.h - the client's side of an SMTP or LMTP connection: bytes, commands, replies,
 * capabilities.
 *
 * Used by the smtp transport, callouts and cutthrough delivery. Knows nothing of
 * messages, hosts or policy: those decide what to say. Commands are collected and sent by
 * one write before a reply is read. Everything lives in the arena given to client_init.
 */
#ifndef EXIM_SMTP_CLIENT_H
#define EXIM_SMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "session.h"

struct arena;
struct tls_session;

enum client_cap {
    CLIENT_STARTTLS = 1 << 0,
    CLIENT_AUTH = 1 << 1,
    CLIENT_PIPELINING = 1 << 2,
    CLIENT_SIZE = 1 << 3,
    CLIENT_8BITMIME = 1 << 4,
    CLIENT_DSN = 1 << 5,
    CLIENT_CHUNKING = 1 << 6,
    CLIENT_PRDR = 1 << 7,
    CLIENT_SMTPUTF8 = 1 << 8,
    CLIENT_IGNOREQUOTA = 1 << 9,
};
struct client_caps {
    unsigned set;
    int64_t size;     /* of SIZE; 0: none given */
    const char *auth; /* mechanisms, separated by spaces; "" none */
};
/* Reads an EHLO or LHLO reply (lines joined by "\n", codes in front). */
void client_caps_parse(struct arena *a, const char *reply, struct client_caps *out);
bool client_caps_has_auth(const struct client_caps *c, const char *mechanism);

/* ---- Replies, line by line (pure) ---- */
enum client_line { CLIENT_LINE_MORE, CLIENT_LINE_LAST, CLIENT_LINE_BAD };
/* One line without its line end. The code of the first line stands. */
enum client_line client_reply_line(struct str line, int *code);
/* Adds a line as struct client's reply holds it. */
void client_reply_add(struct buf *text, struct str line);
/* A whole reply at the start of p: bytes used, 0 when more are needed, -1 when malformed.
 * text: as in struct client. */
ptrdiff_t client_reply_parse(const char *p, size_t len, int *code, struct buf *text);
/* The RFC 3463 code that a reply text begins with ("550 5.1.1 ..."), or NULL. */
const char *client_reply_status(struct arena *a, const char *text);

/* ---- A connection ---- */
enum client_fault {
    CLIENT_OK,
    CLIENT_CLOSED,
    CLIENT_TIMEOUT,
    CLIENT_MALFORMED,
    CLIENT_IO
};

enum {
    CLIENT_IN_SIZE = 8 * 1024,
    CLIENT_REPLY_MAX = 64 * 1024,
    CLIENT_OUT_BLOCK = 64 * 1024
};
struct client {
    struct arena *arena;
    int fd;                  /* owned; -1: not connected */
    struct tls_session *tls; /* NULL in clear */
    struct tls_info tls_info;
    struct client_caps caps;
    bool lmtp, esmtp;
    bool secret; /* what is said now are credentials */
    bool waits;  /* by client_used_again */
    const char *local_address;
    int local_port;

    enum client_fault fault; /* why the connection is of no more use */
    int sys_errno;
    int code;         /* of the last reply; 0: none */
    struct buf reply; /* its lines joined by "\n", codes in front */
    int64_t written;  /* bytes of the message, for "N bytes written" */

    struct buf out;
    size_t in_at, in_len;
    char in[CLIENT_IN_SIZE];
};
void client_init(struct client *c, struct arena *a);
/* A connection in clear that carries more than one message: replies are waited for by the read itself, one system call
 * for each instead of two. */
void client_used_again(struct client *c);
/* Closes the socket without a word. */
void client_close(struct client *c);

struct client_target {
    const char *address; /* IP address */
    int port;
    const char *interface; /* local address, or NULL */
    int64_t deadline_ms;   /* -1: the system's */
    int dscp;              /* -1: unset */
    bool keepalive, fastopen;
    const char *socks; /* SOCKS5 proxies to go through (manual 59.2), or NULL */
};
/* False with c->sys_errno (ETIMEDOUT after the deadline), and err worded if there is more
 * to say. */
bool client_connect(struct client *c, const struct client_target *t,
                    struct err *err) MUST_USE;
bool client_socks(struct client *c, const struct client_target *t,
                  struct err *err) MUST_USE;
/* DSCP by name or number; -1 when there is none such. */
int client_dscp_parse(const char *name);
const char *const *client_dscp_names(size_t *count);

/* Adds a command; CRLF is added. */
void client_put(struct client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Sends what was added. False: c->fault. */
bool client_flush(struct client *c, int64_t deadline_ms) MUST_USE;
/* Message bytes: collected to blocks. */
bool client_write(struct client *c, const void *p, size_t n,
                  int64_t deadline_ms) MUST_USE;
/* Sends what was added and reads one reply: its code, or 0 with c->fault. */
int client_read(struct client *c, int64_t deadline_ms) MUST_USE;
/* put, flush and read. */
int client_command(struct client *c, int64_t deadline_ms, const char *fmt, ...) MUST_USE
    PRINTF_LIKE(3, 4);
/* Is the idle connection still of use? False when the server closed it or said something.
 */
bool client_is_quiet(const struct client *c);
/* Bytes came that no command has asked for (before STARTTLS: an injection). */
bool client_has_input(const struct client *c);

#endif
