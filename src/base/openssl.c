#include "base/openssl.h"

#include "base/dynlib.h"
#include "base/err.h"

#define TEXT_OF(x)      #x
#define VERSIONED(n, v) n TEXT_OF(v)
#define LIBRARY         VERSIONED("libssl.so.", OPENSSL_SHLIB_VERSION)

static const struct openssl *functions;

bool openssl_load(struct err *err)
{
#define NAME(name) #name "\0"
    static const char names[] = OPENSSL_FUNCTIONS(NAME);
#undef NAME

    if (functions == NULL) /* it brings libcrypto, whose functions are found through the same handle */
        functions = dynlib_load(LIBRARY, names, err);
    return functions != NULL;
}

const struct openssl *openssl(void)
{
    struct err err = { 0 };

    if (functions == NULL && !openssl_load(&err))
        die("%s", err.msg);
    return functions;
}
