#include "base/openssl.h"

#include "base/dynlib.h"
#include "base/err.h"

#define TEXT_OF(x)      #x
#define VERSIONED(n, v) n TEXT_OF(v)
#define LIBRARY         VERSIONED("libssl.so.", OPENSSL_SHLIB_VERSION)

static const struct openssl *functions;

bool openssl_load(struct err *err)
{
#define ROOM(name) char room_##name[sizeof(#name)];
#define NAME(name) #name,
    static const struct { /* longer than a string may be in C */
        OPENSSL_FUNCTIONS(ROOM)
        char end;
    } names = { OPENSSL_FUNCTIONS(NAME) '\0' };
#undef NAME
#undef ROOM

    if (functions == NULL) /* it brings libcrypto, whose functions are found through the same handle */
        functions = dynlib_load(LIBRARY, (const char *)&names, err);
    return functions != NULL;
}

const struct openssl *openssl(void)
{
    struct err err = { 0 };

    if (functions == NULL && !openssl_load(&err))
        die("%s", err.msg);
    return functions;
}
