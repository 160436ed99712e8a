/* proxy_int.h - shared by the decoder and the encoder. */
#ifndef EXIM_PROXY_INT_H
#define EXIM_PROXY_INT_H

#include "proxy.h"

/* The value of a PP_SSL TLV; false: malformed. */
bool proxy_ssl_value(struct str value, struct proxy_ssl *out) MUST_USE;

#endif
