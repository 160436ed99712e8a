#include "lookups/lookups.h"
#include "lookups/lsearch_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/ip.h"
#include "exim.h"
#include "hooks.h"

enum { LINE_MAX_BYTES = 16 * 1024 * 1024 };

/* ---- lines ---- */

void lsearch_reader_init(struct lsearch_reader *r, struct arena *a,
                         const struct lsearch_file *f, off_t at, size_t room)
{
    *r = (struct lsearch_reader){ .file = f, .next = at, .line_at = at, .room = room };
    r->line = buf_init(a, LINE_MAX_BYTES);
    r->piece = arena_new_buffer(a, room);
}

static bool refill(struct lsearch_reader *r)
{
    ssize_t n = fd_pread_full(r->file->fd, r->piece, r->room, r->next);

    r->failed = n < 0;
    r->piece_at = 0;
    r->piece_len = n > 0 ? (size_t)n : 0;
    r->next += (off_t)r->piece_len;
    return n > 0;
}

bool lsearch_reader_next(struct lsearch_reader *r)
{
    bool any = false;

    buf_clear(&r->line);
    r->line_at = r->next - (off_t)(r->piece_len - r->piece_at);
    for (;;) {
        if (r->piece_at == r->piece_len && !refill(r))
            break;
        any = true;
        const char *from = r->piece + r->piece_at;
        size_t left = r->piece_len - r->piece_at;
        const char *nl = memchr(from, '\n', left);
        size_t n = nl == NULL ? left : (size_t)(nl - from);

        buf_add(&r->line, from, n);
        r->piece_at += nl == NULL ? n : n + 1;
        if (nl != NULL)
            break;
    }
    return any && !r->failed;
}

static bool begins_with(const char *line, size_t len, struct str key)
{
    size_t i = 0;

    if (len < key.len)
        return false;
    while (i < key.len && to_lower(line[i]) == to_lower(key.p[i]))
        i++;
    return i == key.len;
}

void lsearch_reader_skip(struct lsearch_reader *r, struct str key)
{
    while (r->piece_at < r->piece_len) {
        const char *line = r->piece + r->piece_at;
        size_t left = r->piece_len - r->piece_at;
        const char *nl = memchr(line, '\n', left);

        /* A quoted key may look different; what is not whole goes on in the next piece. */
        if (nl == NULL || *line == '"' || begins_with(line, left, key))
            return;
        r->piece_at += (size_t)(nl - line) + 1;
    }
}

/* ---- entries ---- */

/* One escape of a quoted string after its backslash (manual 6.17); *s is moved past it.
 */
static char unescape(const char **s)
{
    const char *p = *s;
    int v = 0, n = 0;

    if (*p >= '0' && *p <= '7') {
        for (; n < 3 && *p >= '0' && *p <= '7'; n++)
            v = v * 8 + (*p++ - '0');
    } else if (*p == 'x' && is_xdigit(p[1])) {
        for (p++; n < 2 && is_xdigit(*p); n++)
            v = v * 16 + hex_value(*p++);
    } else {
        static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
        const char *at = *p == '\0' ? NULL : strchr(from, *p);

        v = at == NULL ? *p : to[at - from];
        p += *p != '\0';
    }
    *s = p;
    return (char)v;
}

static struct str quoted_key(struct arena *a, const char *s, const char **end)
{
    char *key = arena_strdup(a, s), *to = key;

    for (s++; *s != '\0' && *s != '"';) {
        if (*s != '\\')
            *to++ = *s++;
        else if (*++s != '\0')
            *to++ = unescape(&s);
    }
    *end = *s == '"' ? s + 1 : s;
    return (struct str){ key, (size_t)(to - key) };
}

bool lsearch_key_parse(struct arena *a, const struct buf *line, struct lsearch_key *out)
{
    const char *s = line->len == 0 ? "" : line->p, *end = s;

    if (*s == '\0' || *s == '#' || is_space(*s))
        return false;
    if (*s == '"') {
        out->key = quoted_key(a, s, &end);
    } else {
        while (*end != '\0' && *end != ':' && !is_space(*end))
            end++;
        out->key = (struct str){ s, (size_t)(end - s) };
    }
    out->rest = end;
    return true;
}

static void trim_end(struct buf *b)
{
    while (b->len > 0 && is_space(b->p[b->len - 1]))
        buf_truncate(b, b->len - 1);
}

/* The data of the entry that k begins; r is moved to the line after it. */
static const char *read_data(struct lookup_call *call, struct lsearch_reader *r,
                             const struct lsearch_key *k)
{
    struct buf data = buf_init(call->arena, LINE_MAX_BYTES);
    const char *s = k->rest;

    if (call->options != NULL && strstr(call->options, "ret=full") != NULL) {
        buf_add_str(&data, k->key);
    } else {
        s = cstr_skip_space(s);
        s = cstr_skip_space(*s == ':' ? s + 1 : s);
    }
    buf_add_cstr(&data, s);
    trim_end(&data);
    while (lsearch_reader_next(r)) {
        const char *line = r->line.len == 0 ? "" : r->line.p;

        if (*line == '\0' || *line == '#')
            continue;
        if (!is_space(*line))
            break;
        line = cstr_skip_space(line);
        if (*line == '\0')
            continue;
        buf_add_char(&data, ' ');
        buf_add_cstr(&data, line);
        trim_end(&data);
    }
    return buf_cstr(&data);
}

/* ---- the drivers ---- */

typedef enum rc key_test(struct lookup_call *call, struct str key);

static void *open_file(struct lookup_call *call)
{
    int fd = fd_open(call->filename, O_RDONLY | O_NOCTTY | O_NONBLOCK,
                     0); /* a FIFO must not hold us */

    if (fd < 0) {
        err_sys(&call->err, call->arena, errno, "failed to open %s for linear search",
                call->filename);
        return NULL;
    }
    struct arena *a = arena_new("lsearch file");
    struct lsearch_file *f = arena_new_obj(a, struct lsearch_file);
    f->arena = a;
    f->fd = fd;
    f->path = arena_strdup(a, call->filename);
    arena_owns_fd(a, fd);
    if (fstat(fd, &f->st) < 0 || !S_ISREG(f->st.st_mode)) {
        err_set(&call->err, call->arena, "%s is not a regular file (lsearch lookup)",
                call->filename);
        arena_destroy(&a);
        return NULL;
    }
    return f;
}

static void close_file(void *handle)
{
    struct lsearch_file *f = handle;
    struct arena *a = f->arena;

    arena_destroy(&a);
}

static enum rc finish(struct lookup_call *call, const struct lsearch_reader *r,
                      enum rc rc)
{
    if (!r->failed)
        return rc;
    err_sys(&call->err, call->arena, errno, "failed to read %s", call->filename);
    return RC_DEFER;
}

static enum rc key_equal(struct lookup_call *call, struct str key)
{
    return str_ieq(key, str_from(call->key)) ? RC_OK : RC_FAIL;
}

static enum rc scan(struct lookup_call *call, key_test *test)
{
    struct lsearch_reader r;
    struct arena *a = arena_new("lsearch scan");
    struct arena *scratch = arena_new("lsearch key");
    struct arena_mark m = arena_mark(scratch);
    enum rc rc = RC_FAIL;

    lsearch_reader_init(&r, a, call->handle, 0, LSEARCH_WALK);
    while (rc == RC_FAIL && lsearch_reader_next(&r)) {
        struct lsearch_key k;

        if (lsearch_key_parse(scratch, &r.line, &k))
            rc = test(call, k.key);
        if (rc == RC_OK) {
            k.rest = arena_strdup(scratch, k.rest);
            k.key = (struct str){ str_dup(scratch, k.key), k.key.len };
            call->result = read_data(call, &r, &k);
        } else {
            arena_reset(scratch, m);
            if (test == key_equal)
                lsearch_reader_skip(&r, str_from(call->key));
        }
    }
    rc = finish(call, &r, rc);
    arena_destroy(&scratch);
    arena_destroy(&a);
    return rc;
}

/* The entry at one offset of the index, if its key is the one wanted. */
static enum rc look_at(struct lookup_call *call, uint64_t at)
{
    struct arena *a = arena_new("lsearch entry");
    struct lsearch_reader r;
    struct lsearch_key k;
    enum rc rc = RC_FAIL;

    lsearch_reader_init(&r, a, call->handle, (off_t)at, LSEARCH_ENTRY);
    if (lsearch_reader_next(&r) && lsearch_key_parse(a, &r.line, &k) &&
        str_ieq(k.key, str_from(call->key))) {
        k.rest = arena_strdup(a, k.rest);
        k.key = (struct str){ str_dup(a, k.key), k.key.len };
        call->result = read_data(call, &r, &k);
        rc = RC_OK;
    }
    rc = finish(call, &r, rc);
    arena_destroy(&a);
    return rc;
}

static enum rc find_lsearch(struct lookup_call *call)
{
    bool known;
    size_t count;
    const uint64_t *at =
        lsearch_index_find(call, call->handle, str_from(call->key), &count, &known);

    if (!known)
        return scan(call, key_equal);
    for (size_t i = 0; i < count; i++) {
        enum rc rc = look_at(call, at[i]);

        if (rc != RC_FAIL)
            return rc;
    }
    return RC_FAIL;
}

static enum rc key_matches(struct lookup_call *call, struct str key, bool expand)
{
    struct expand_ctx *ctx = call->ctx;

    if (ctx == NULL || call->exim->hooks == NULL)
        return key_equal(call, key);
    enum rc rc = call->exim->hooks->pattern_match(ctx, str_dup(call->arena, key), expand,
                                                  call->key);
    return rc == RC_OK ? RC_OK : RC_FAIL;
}

static enum rc key_matches_literally(struct lookup_call *call, struct str key)
{
    return key_matches(call, key, false);
}

static enum rc key_matches_expanded(struct lookup_call *call, struct str key)
{
    return key_matches(call, key, true);
}

static enum rc find_wildlsearch(struct lookup_call *call)
{
    return scan(call, key_matches_expanded);
}

static enum rc find_nwildlsearch(struct lookup_call *call)
{
    return scan(call, key_matches_literally);
}

static enum rc net_contains(struct lookup_call *call, struct str key)
{
    struct ip ip, net;
    unsigned bits;

    if (!ip_parse(call->key, &ip) ||
        !ip_parse_net(str_dup(call->arena, key), &net, &bits))
        return RC_FAIL;
    ip = ip_unmap(ip);
    return ip_in_net(&ip, &net, bits) ? RC_OK : RC_FAIL;
}

static enum rc find_iplsearch(struct lookup_call *call)
{
    struct ip ip;

    if (strcmp(call->key, "*") == 0)
        return scan(call, key_equal);
    if (!ip_parse(call->key, &ip)) {
        err_set(&call->err, call->arena,
                "\"%s\" is not a valid iplsearch key (an IP address, with optional CIDR "
                "mask, "
                "is wanted): in a host list, use net-iplsearch as the search type",
                call->key);
        return RC_DEFER;
    }
    return scan(call, net_contains);
}

const struct lookup_driver lookup_lsearch = {
    .name = "lsearch",
    .open = open_file,
    .find = find_lsearch,
    .close = close_file,
};
const struct lookup_driver lookup_wildlsearch = {
    .name = "wildlsearch",
    .open = open_file,
    .find = find_wildlsearch,
    .close = close_file,
};
const struct lookup_driver lookup_nwildlsearch = {
    .name = "nwildlsearch",
    .open = open_file,
    .find = find_nwildlsearch,
    .close = close_file,
};
const struct lookup_driver lookup_iplsearch = {
    .name = "iplsearch",
    .open = open_file,
    .find = find_iplsearch,
    .close = close_file,
};
