#include "expand/operator_handlers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"

/* As ls -l shows it. */
static void symbolic_mode(mode_t mode, char out[11])
{
    static const struct {
        mode_t kind;
        char letter;
    } kinds[] = { { S_IFREG, '-' }, { S_IFDIR, 'd' }, { S_IFLNK, 'l' }, { S_IFCHR, 'c' },
                  { S_IFBLK, 'b' }, { S_IFIFO, 'p' }, { S_IFSOCK, 's' } };
    static const mode_t special[] = { S_ISUID, S_ISGID, S_ISVTX };

    out[0] = '?';
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if ((mode & S_IFMT) == kinds[i].kind)
            out[0] = kinds[i].letter;
    for (int i = 0; i < 9; i++)
        out[1 + i] = (mode & (0400U >> i)) != 0 ? "rwx"[i % 3] : '-';
    for (int i = 0; i < 3; i++) {
        char *x = &out[3 + 3 * i], set = i == 2 ? 't' : 's';

        if ((mode & special[i]) != 0)
            *x = *x == 'x' ? set : (char)(set - 'a' + 'A');
    }
    out[10] = '\0';
}

enum expand_rc op_stat(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    struct stat st;
    char mode[11];

    (void)n;
    if (!eval_permitted(ctx, FORBID_EXISTS,
                        "Use of the stat() expansion is not permitted"))
        return EXPAND_FAIL;
    if (stat(in, &st) < 0)
        return eval_fail(ctx, "stat(%s) failed: %s", in, strerror(errno));
    symbolic_mode(st.st_mode, mode);
    *out = arena_printf(
        ctx->arena,
        "mode=%04o smode=%s inode=%llu device=%llu links=%llu uid=%lu gid=%lu "
        "size=%lld atime=%lld mtime=%lld ctime=%lld",
        st.st_mode & 07777U, mode, (unsigned long long)st.st_ino,
        (unsigned long long)st.st_dev, (unsigned long long)st.st_nlink,
        (unsigned long)st.st_uid, (unsigned long)st.st_gid, (long long)st.st_size,
        (long long)st.st_atime, (long long)st.st_mtime, (long long)st.st_ctime);
    return EXPAND_OK;
}
