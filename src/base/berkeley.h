/* berkeley.h - Berkeley DB, loaded when a database is first opened. Include this instead of <db.h>
 * where its functions are called. */
#ifndef EXIM_BERKELEY_H
#define EXIM_BERKELEY_H

#include <db.h>

struct berkeley {
    __typeof__(db_create) *db_create;
    __typeof__(db_env_set_func_fsync) *db_env_set_func_fsync;
    __typeof__(db_version) *db_version;
};

/* The functions; the process ends with a message when the library cannot be loaded. */
const struct berkeley *berkeley(void);

#endif
