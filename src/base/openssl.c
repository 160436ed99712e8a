#include "base/openssl.h"

#include "base/dynlib.h"
#include "base/err.h"

#define TEXT_OF(x)      #x
#define VERSIONED(n, v) n TEXT_OF(v)
#define LIBRARY         VERSIONED("libssl.so.", OPENSSL_SHLIB_VERSION)

static struct openssl functions;
static bool loaded;

bool openssl_load(struct err *err)
{
#define NAME(name) #name "\0"
    static const char names[] = OPENSSL_FUNCTIONS(NAME);
#undef NAME

    /* It brings libcrypto, whose functions are found through the same handle. */
    loaded = loaded || dynlib_load(LIBRARY, names, &functions, err);
    return loaded;
}

const struct openssl *openssl(void)
{
    struct err err = { 0 };

    if (!loaded && !openssl_load(&err))
        die("%s", err.msg);
    return &functions;
}
