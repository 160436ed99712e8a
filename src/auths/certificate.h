/* certificate.h - server_param1..3 of the external and tls authenticators. */
#ifndef EXIM_AUTHS_CERTIFICATE_H
#define EXIM_AUTHS_CERTIFICATE_H

#include "auths/auth.h"

/* Expands up to three options into $auth(first).. ; AUTH_OK, or what the caller returns.
 */
enum auth_rc certificate_params(struct auth_server_call *call,
                                const struct expr *const params[3], int first);

#endif
