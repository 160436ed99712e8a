#include "transports/stream.h"

#include <string.h>

#include "base/arena.h"
#include "transports/transport.h"

enum { BLOCK = 64 * 1024 };

void stream_init(struct stream *s, struct arena *a, struct transport_output *out)
{
    *s = (struct stream){ .out = out, .line_start = true, .ends_in_newline = true };
    s->buf = arena_new_buffer(a, BLOCK);
    if (out->dot_stuff) {
        s->check = ".";
        s->escape = "..";
    } else if (out->check_string != NULL && out->check_string[0] != '\0' && out->escape_string != NULL) {
        s->check = out->check_string;
        s->escape = out->escape_string;
    }
    s->check_len = s->check == NULL ? 0 : strlen(s->check);
}

static bool emit(struct stream *s, const void *p, size_t n)
{
    if (n == 0)
        return true;
    if (s->failed || !s->out->write(s->out->arg, p, n)) {
        s->failed = true;
        return false;
    }
    s->out->written += (int64_t)n;
    return true;
}

static bool flush_block(struct stream *s)
{
    size_t n = s->used;

    s->used = 0;
    return emit(s, s->buf, n);
}

static bool copy(struct stream *s, const char *p, size_t n)
{
    if (n > BLOCK - s->used) {
        if (!flush_block(s))
            return false;
        if (n >= BLOCK)
            return emit(s, p, n);
    }
    memcpy(s->buf + s->used, p, n);
    s->used += n;
    return true;
}

bool stream_put_raw(struct stream *s, const char *p, size_t n)
{
    return copy(s, p, n);
}

/* Bytes with other line ends. */
static bool copy_lines(struct stream *s, const char *p, size_t n)
{
    while (s->out->crlf && n > 0) {
        const char *nl = memchr(p, '\n', n);
        if (nl == NULL)
            break;
        size_t len = (size_t)(nl - p);
        if (!copy(s, p, len) || !copy(s, "\r\n", 2))
            return false;
        p = nl + 1;
        n -= len + 1;
    }
    return copy(s, p, n);
}

/* The line does not begin with the string after all: what was held back goes out as it is. */
static bool release(struct stream *s)
{
    size_t held = s->matched;

    s->matched = 0;
    s->line_start = held > 0 && s->check[held - 1] == '\n';
    return copy_lines(s, s->check, held);
}

/* One byte at the start of a line; the comparison may go over the borders of pieces. *used: whether
 * the byte is part of the string. */
static bool check_byte(struct stream *s, char c, bool *used)
{
    *used = c == s->check[s->matched];
    if (!*used)
        return release(s);
    if (++s->matched < s->check_len)
        return true;
    s->matched = 0;
    s->line_start = s->check[s->check_len - 1] == '\n';
    return copy_lines(s, s->escape, strlen(s->escape));
}

static bool put_rest_of_line(struct stream *s, const char **p, const char *end)
{
    const char *from = *p, *nl = memchr(from, '\n', (size_t)(end - from));

    *p = nl == NULL ? end : nl + 1;
    s->line_start = nl != NULL;
    return copy_lines(s, from, (size_t)(*p - from));
}

static bool put_checked(struct stream *s, const char *p, size_t n)
{
    const char *end = p + n;
    bool used;

    while (p < end) {
        if (!s->line_start) {
            if (!put_rest_of_line(s, &p, end))
                return false;
            continue;
        }
        if (!check_byte(s, *p, &used))
            return false;
        p += used;
    }
    return true;
}

bool stream_put(struct stream *s, const char *p, size_t n)
{
    if (n == 0)
        return !s->failed;
    s->ends_in_newline = p[n - 1] == '\n';
    return s->check == NULL ? copy_lines(s, p, n) : put_checked(s, p, n);
}

bool stream_flush(struct stream *s)
{
    return (s->matched == 0 || release(s)) && flush_block(s);
}

bool stream_puts(struct stream *s, const char *text)
{
    return stream_put(s, text, strlen(text));
}
