/* A whole SMTP session from one input; '\xff' in it is where one read ends. Nothing is kept. */
#include "smtp_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= 32 * 1024)
        talk(NULL, data, size);
    return 0;
}
