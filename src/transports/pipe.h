/* pipe.h - hands the message to a command (manual chapter 29). */
#ifndef EXIM_TRANSPORT_PIPE_H
#define EXIM_TRANSPORT_PIPE_H

#include "transports/transport.h"

extern const struct transport_driver transport_pipe;

#endif
