#include "base/dynlib.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static bool missing(struct err *err)
{
    static char text[512]; /* where no arena is at hand */

    (void)snprintf(text, sizeof(text), "cannot load a library: %s", dlerror());
    *err = (struct err){ .msg = text };
    return false;
}

bool dynlib_load(const char *file, const char *names, void *functions, struct err *err)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    char *slot = functions;

    if (handle == NULL)
        return missing(err);
    for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
        void *found = dlsym(handle, name);

        if (found == NULL)
            return missing(err);
        memcpy(slot, &found, sizeof(found)); /* ISO C has no cast from one to the other */
        slot += sizeof(found);
    }
    return true;
}
