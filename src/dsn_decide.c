#include "dsn.h"

enum dsn_report_kind dsn_decide(unsigned notify_flags, enum dsn_outcome outcome, enum dsn_expansion kind,
                                bool lasthop)
{
    bool absent = (notify_flags & DSN_NOTIFY_MASK) == 0;

    if (notify_flags & DSN_NEVER)
        return DSN_REPORT_NONE;
    switch (outcome) {
    case DSN_FAILED:
        return absent || (notify_flags & DSN_FAILURE) ? DSN_REPORT_FAILURE : DSN_REPORT_NONE;
    case DSN_DELAYED:
        return absent || (notify_flags & DSN_DELAY) ? DSN_REPORT_DELAY : DSN_REPORT_NONE;
    case DSN_PASSED_ON:
        /* The next host reports, unless we are the last that knows, or a redirection kept
         * the parameters here. */
        if (!lasthop && kind == DSN_EXP_NONE)
            return DSN_REPORT_NONE;
        break;
    case DSN_DELIVERED: case DSN_RELAYED: case DSN_EXPANDED: case DSN_DISCARDED:
        break;
    }
    return notify_flags & DSN_SUCCESS ? DSN_REPORT_SUCCESS : DSN_REPORT_NONE;
}
