/* smtp_proxy.h - the PROXY header in front of an outgoing connection (hosts_send_proxy).
 */
#ifndef EXIM_TRANSPORTS_SMTP_PROXY_H
#define EXIM_TRANSPORTS_SMTP_PROXY_H

#include <stdbool.h>

#include "base/str.h"

struct smtp_attempt;

#ifdef EXPERIMENTAL_PROXY
/* Does the host want a header? False with the attempt's fault set. */
bool smtp_proxy_read(struct smtp_attempt *at);
/* What a connection is for: equal for messages that may share it. Empty: no header. */
struct str smtp_proxy_key(struct smtp_attempt *at);
/* Right after connecting, before TLS. */
bool smtp_proxy_send(struct smtp_attempt *at);
#else
static inline bool smtp_proxy_read(struct smtp_attempt *at)
{
    (void)at;
    return true;
}
static inline struct str smtp_proxy_key(struct smtp_attempt *at)
{
    (void)at;
    return (struct str){ "", 0 };
}
static inline bool smtp_proxy_send(struct smtp_attempt *at)
{
    (void)at;
    return true;
}
#endif

#endif
