#include "base/berkeley.h"

#include "base/dynlib.h"

#define TEXT_OF(x)         #x
#define LIBRARY_OF(ma, mi) "libdb-" TEXT_OF(ma) "." TEXT_OF(mi) ".so"
#define LIBRARY            LIBRARY_OF(DB_VERSION_MAJOR, DB_VERSION_MINOR)

const struct berkeley *berkeley(void)
{
    static const char names[] = "db_create\0db_env_set_func_fsync\0db_version\0";
    static const struct berkeley *functions;

    if (functions == NULL)
        functions = dynlib_need(LIBRARY, names);
    return functions;
}
