/* debug.h - the -d categories of Exim (manual 5.3) and the debug stream (stderr). */
#ifndef EXIM_DEBUG_H
#define EXIM_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum debug_bit {
    D_ACL = 1 << 0, D_AUTH = 1 << 1, D_DELIVER = 1 << 2, D_DNS = 1 << 3, D_DNSBL = 1 << 4,
    D_EXEC = 1 << 5, D_EXPAND = 1 << 6, D_FILTER = 1 << 7, D_HINTS = 1 << 8, D_HOST_LOOKUP = 1 << 9,
    D_IDENT = 1 << 10, D_INTERFACE = 1 << 11, D_LISTS = 1 << 12, D_LOAD = 1 << 13,
    D_LOCAL_SCAN = 1 << 14, D_LOOKUP = 1 << 15, D_MEMORY = 1 << 16, D_PID = 1 << 17,
    D_PROCESS_INFO = 1 << 18, D_QUEUE_RUN = 1 << 19, D_RECEIVE = 1 << 20, D_RESOLVER = 1 << 21,
    D_RETRY = 1 << 22, D_REWRITE = 1 << 23, D_ROUTE = 1 << 24, D_TIMESTAMP = 1 << 25, D_TLS = 1 << 26,
    D_TRANSPORT = 1 << 27, D_UID = 1 << 28, D_VERIFY = 1 << 29, D_V = 1 << 30, /* -v */
};

#define D_TESTING 0x80000000u /* host checking: every line begins with ">>> " */

extern uint32_t debug_mask; /* one of the few mutable file-scope objects; set in main */

#define DEBUG(bits) if (__builtin_expect((debug_mask & (uint32_t)(bits)) != 0, 0))
void debug_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "+all-memory", "-all+acl" as after -d; the default set for "". */
bool debug_parse(const char *spec, uint32_t *mask, struct err *err, struct arena *a);

#endif
