/* idn2.h - libidn2, loaded when a domain first needs it. */
#ifndef EXIM_BASE_IDN2_H
#define EXIM_BASE_IDN2_H

#include <idn2.h>

struct idn2 {
    __typeof__(idn2_free) *free;
    __typeof__(idn2_lookup_u8) *lookup_u8;
    __typeof__(idn2_strerror) *strerror;
    __typeof__(idn2_to_ascii_8z) *to_ascii_8z;
    __typeof__(idn2_to_unicode_8z8z) *to_unicode_8z8z;
};

/* The functions; the process ends with a message when the library cannot be loaded. */
const struct idn2 *idn2(void);

#endif
