#include "lookups/lookups.h"

#include <errno.h>
#include <pwd.h>

#include "base/arena.h"

static enum rc find(struct lookup_call *call)
{
    errno = 0;
    const struct passwd *pw = getpwnam(call->key);

    if (pw == NULL) {
        if (errno != EIO && errno != EMFILE && errno != ENFILE && errno != ENOMEM)
            return RC_FAIL;
        err_sys(&call->err, call->arena, errno, "getpwnam failed for \"%s\"", call->key);
        return RC_DEFER;
    }
    call->result = arena_printf(call->arena, "*:%ld:%ld:%s:%s:%s", (long)pw->pw_uid,
                                (long)pw->pw_gid, pw->pw_gecos, pw->pw_dir, pw->pw_shell);
    return RC_OK;
}

const struct lookup_driver lookup_passwd = {
    .name = "passwd",
    .flags = LOOKUP_QUERY,
    .find = find,
};
