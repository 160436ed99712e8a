/* smtp_in.h - the SMTP server: one session from greeting to QUIT (RFC 5321; manual
 * chapters 13, 48). */
#ifndef EXIM_SMTP_IN_H
#define EXIM_SMTP_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/ip.h"
#include "base/str.h"

struct exim;
struct proxy_state;
struct receive_options;
struct session;

struct smtp_peer { /* what accept() or the caller knows */
    struct ip client, local;
    uint16_t client_port, local_port;
    int in_fd, out_fd; /* same for a socket */
    bool tls_on_connect;
    bool batched;       /* -bS */
    bool host_checking; /* -bh */
    const struct proxy_state
        *proxy;                /* NULL: not a PROXY host; else the finished negotiation */
    bool proxy_session;        /* the host must speak PROXY */
    struct str early;          /* the client's bytes that are read already */
    uint32_t connection_count; /* $smtp_count_at_connection_start */
    /* -oMai -oMt -oMs -oMaa -oMas -oMr of trusted callers; sender_ident also: the login
     * of a local one */
    const char *authenticated_id, *sender_ident, *host_name, *host_authenticated,
        *authenticated_sender, *protocol;
};
/* Runs the whole conversation. Exit status of -bs/-bS modes. The session's arenas are
 * gone on return, so that the process can serve the next connection. */
int smtp_serve(struct exim *e, const struct smtp_peer *peer,
               const struct receive_options *o);

#endif
