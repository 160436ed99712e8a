#include "base/dynlib.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"

static const void *missing(struct err *err)
{
    static char text[256]; /* where no arena is at hand */

    (void)snprintf(text, sizeof(text), "cannot load a library: %s", dlerror());
    *err = (struct err){ .msg = text };
    return NULL;
}

static size_t count(const char *names)
{
    size_t n = 0;

    for (const char *name = names; *name != '\0'; name += strlen(name) + 1)
        n++;
    return n;
}

const void *dynlib_load(const char *file, const char *names, struct err *err)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL)
        return missing(err);
    void **functions = arena_new_array(arena_new("library"), void *, count(names));
    void **slot = functions;
    for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
        *slot = dlsym(handle, name);
        if (*slot++ == NULL)
            return missing(err);
    }
    return functions;
}

const void *dynlib_need(const char *file, const char *names)
{
    struct err err = { 0 };
    const void *functions = dynlib_load(file, names, &err);

    if (functions == NULL)
        die("%s", err.msg);
    return functions;
}
