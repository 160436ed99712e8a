#include "base/libs.h"

#include <crypt.h>
#include <math.h>

#include "base/dynlib.h"
#include "base/err.h"

struct crypt_functions {
    __typeof__(crypt_rn) *crypt_rn;
};

struct math_functions {
    __typeof__(exp) *exp;
};

static const struct crypt_functions *crypt_functions(void)
{
    static const struct crypt_functions *functions;
    struct err err;

    if (functions == NULL) /* the second: libxcrypt without what is obsolete */
        functions = dynlib_load("libcrypt.so.1", "crypt_rn\0", &err);
    if (functions == NULL)
        functions = dynlib_need("libcrypt.so.2", "crypt_rn\0");
    return functions;
}

static const struct math_functions *math_functions(void)
{
    static const struct math_functions *functions;

    if (functions == NULL)
        functions = dynlib_need("libm.so.6", "exp\0");
    return functions;
}

const char *libs_crypt(const char *clear, const char *setting, struct crypt_data *data)
{
    return crypt_functions()->crypt_rn(clear, setting, data, sizeof(*data));
}

double libs_exp(double x)
{
    return math_functions()->exp(x);
}

void libs_load(void)
{
    (void)crypt_functions();
    (void)math_functions();
}
