/* autoreply.h - answers a message with a new one (manual chapter 27). */
#ifndef EXIM_TRANSPORT_AUTOREPLY_H
#define EXIM_TRANSPORT_AUTOREPLY_H

#include "transports/transport.h"

extern const struct transport_driver transport_autoreply;

#endif
