/* Chunks after a transaction was started; '\xff' in it is where one read ends. Nothing is kept. */
#include "smtp_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= 32 * 1024)
        talk("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT ", data, size);
    return 0;
}
