#include "os/load.h"

#include "os.h"

int load_average(void)
{
    double load = os_load_average();

    return load < 0 ? -1 : load > 1000000 ? 1000000000 : (int)(load * 1000);
}
