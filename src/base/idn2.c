#include "base/idn2.h"

#include "base/dynlib.h"
#include "base/err.h"

const struct idn2 *idn2(void)
{
    static const char names[] = "idn2_free\0idn2_lookup_u8\0idn2_strerror\0"
                                "idn2_to_ascii_8z\0idn2_to_unicode_8z8z\0";
    static struct idn2 functions;
    struct err err = { 0 };

    if (functions.free == NULL && !dynlib_load("libidn2.so.0", names, &functions, &err))
        die("%s", err.msg);
    return &functions;
}
