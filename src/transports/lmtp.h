/* lmtp.h - LMTP (RFC 2033) over a unix socket or to a command (manual chapter 28). */
#ifndef EXIM_TRANSPORT_LMTP_H
#define EXIM_TRANSPORT_LMTP_H

#include "transports/transport.h"

extern const struct transport_driver transport_lmtp;

#endif
