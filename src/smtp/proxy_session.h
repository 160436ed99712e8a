/* proxy_session.h - what a finished PROXY negotiation makes of a session (features.txt,
 * checklist S8-S18).
 *
 * Everything is set at once, before any host is tested; a failure sets nothing but the
 * refusal. */
#ifndef EXIM_SMTP_PROXY_SESSION_H
#define EXIM_SMTP_PROXY_SESSION_H

struct session;
struct smtp_peer;

#ifdef EXPERIMENTAL_PROXY
void smtp_proxy_adopt(struct session *s, const struct smtp_peer *peer);
/* The balancer's TLS becomes the session's, if it is in proxy_tls_hosts. */
void smtp_proxy_believe_tls(struct session *s);
/* The client's name, whatever host_lookup says; and the one line of +proxy_fail. */
void smtp_proxy_begin(struct session *s);
/* A command line after a failure: is it the header? Said once, for +proxy_fail. */
void smtp_proxy_refused(struct session *s, const char *line);
#else
static inline void smtp_proxy_adopt(struct session *s, const struct smtp_peer *peer)
{
    (void)s;
    (void)peer;
}
static inline void smtp_proxy_begin(struct session *s)
{
    (void)s;
}
static inline void smtp_proxy_refused(struct session *s, const char *line)
{
    (void)s;
    (void)line;
}
#endif

#endif
