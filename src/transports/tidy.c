#include "transports/tidy.h"

#include <stddef.h>

#include "transports/transport.h"

void tidy_transports(void)
{
    size_t count;
    const struct transport_driver *const *drivers = transport_drivers(&count);

    for (size_t i = 0; i < count; i++)
        if (drivers[i]->tidy != NULL)
            drivers[i]->tidy();
}
