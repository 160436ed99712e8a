#include "base/berkeley.h"

#include "base/dynlib.h"
#include "base/err.h"

#define TEXT_OF(x)         #x
#define LIBRARY_OF(ma, mi) "libdb-" TEXT_OF(ma) "." TEXT_OF(mi) ".so"
#define LIBRARY            LIBRARY_OF(DB_VERSION_MAJOR, DB_VERSION_MINOR)

const struct berkeley *berkeley(void)
{
    static struct berkeley functions;
    struct err err = { 0 };

    if (functions.db_create == NULL &&
        !dynlib_load(LIBRARY, "db_create\0db_env_set_func_fsync\0db_version\0", &functions,
                     &err))
        die("%s", err.msg);
    return &functions;
}
