#include "base/idn2.h"

#include "base/dynlib.h"

const struct idn2 *idn2(void)
{
    static const char names[] = "idn2_free\0idn2_lookup_u8\0idn2_strerror\0"
                                "idn2_to_ascii_8z\0idn2_to_unicode_8z8z\0";
    static const struct idn2 *functions;

    if (functions == NULL)
        functions = dynlib_need("libidn2.so.0", names);
    return functions;
}
