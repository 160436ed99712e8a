/* proxy_negotiate.h - reads a PROXY header from standard input or a socket of inetd (-bs,
 * -bh).
 *
 * The daemon's connections have theirs read by the acceptor; here one process waits for
 * one client. */
#ifndef EXIM_SMTP_PROXY_NEGOTIATE_H
#define EXIM_SMTP_PROXY_NEGOTIATE_H

struct arena;
struct exim;
struct smtp_peer;

#ifdef EXPERIMENTAL_PROXY
/* When peer->client is in proxy_required_hosts: fills peer->proxy and proxy_session, in
 * a. */
void smtp_proxy_negotiate(struct exim *e, struct arena *a, struct smtp_peer *peer);
#else
static inline void smtp_proxy_negotiate(struct exim *e, struct arena *a,
                                        struct smtp_peer *peer)
{
    (void)e;
    (void)a;
    (void)peer;
}
#endif

#endif
