#include "smtp/lines.h"

#include <string.h>

struct lines lines_new(enum lines_end end)
{
    return (struct lines){ .end = end, .state = LINES_START, .empty = true };
}

/* A true line end. */
static char *end_line(struct lines *l, char *out)
{
    if (l->empty)
        l->body = true;
    l->empty = true;
    *out++ = '\n';
    return out;
}

/* A line end that must not end a header line. */
static char *bare_end(struct lines *l, char *out)
{
    *out++ = '\n';
    if (l->body)
        return out;
    *out++ = ' ';
    l->empty = false;
    return out;
}

static char *bare_cr(struct lines *l, char *out)
{
    l->state = LINES_MID;
    return bare_end(l, out);
}

static char *bare_lf(struct lines *l, char *out)
{
    l->state = LINES_MID;
    if (l->mode == LINES_UNKNOWN)
        l->mode = LINES_LF;
    if (l->mode == LINES_LF) {
        if (l->end == LINES_END_LOCAL || l->end == LINES_END_BATCH)
            l->state = LINES_START;
        return end_line(l, out);
    }
    if (!l->body)
        return bare_end(l, out);
    *out++ = ' ';
    return out;
}

static char *plain(struct lines *l, char c, char *out)
{
    l->state = LINES_MID;
    l->empty = false;
    *out++ = c;
    return out;
}

/* One byte in a state other than the middle of a line. False: look at it again in the new
 * state. */
static bool step(struct lines *l, char c, char **out)
{
    switch (l->state) {
    case LINES_START:
        if (c == '.' && l->end != LINES_END_COUNT) {
            l->state = LINES_DOT;
            return true;
        }
        l->state = LINES_MID;
        return false;
    case LINES_CR:
        if (c != '\n') {
            *out = bare_cr(l, *out);
            return false;
        }
        if (l->mode == LINES_UNKNOWN)
            l->mode = LINES_CRLF;
        *out = end_line(l, *out);
        l->state = LINES_START;
        return true;
    case LINES_DOT:
        if (c == '\r') {
            l->state = LINES_DOT_CR;
            return true;
        }
        if (c == '\n' && l->mode != LINES_CRLF && l->end != LINES_END_DOT) {
            l->state = LINES_DONE;
            return true;
        }
        if (l->end == LINES_END_LOCAL) {
            *out = plain(l, '.', *out);
            return false;
        }
        if (c == '.') { /* RFC 5321 4.5.2 */
            *out = plain(l, '.', *out);
            return true;
        }
        l->state = LINES_MID;
        return false;
    case LINES_DOT_CR:
        if (c == '\n') {
            l->state = LINES_DONE;
            return true;
        }
        if (l->end == LINES_END_LOCAL)
            *out = plain(l, '.', *out);
        *out = bare_cr(l, *out);
        return false;
    default:
        return false;
    }
}

/* The run of bytes without CR or LF that starts at in. */
static size_t run_length(const char *in, size_t n)
{
    const char *cr = memchr(in, '\r', n);

    if (cr != NULL)
        n = (size_t)(cr - in);
    const char *lf = memchr(in, '\n', n);
    return lf != NULL ? (size_t)(lf - in) : n;
}

size_t lines_feed(struct lines *l, const char *in, size_t n, size_t *used, char *out)
{
    const char *p = in, *end = in + n;
    char *const from = out;

    while (p < end && l->state != LINES_DONE) {
        if (l->state != LINES_MID) {
            p += step(l, *p, &out);
            continue;
        }
        size_t run = run_length(p, (size_t)(end - p));
        if (run > 0) {
            memcpy(out, p, run);
            out += run;
            p += run;
            l->empty = false;
        } else if (*p++ == '\r') {
            l->state = LINES_CR;
        } else {
            out = bare_lf(l, out);
        }
    }
    *used = (size_t)(p - in);
    return (size_t)(out - from);
}

size_t lines_finish(struct lines *l, char *out)
{
    char *const from = out;

    if (l->state == LINES_DOT && l->end == LINES_END_DOT)
        out = plain(l, '.', out);
    if (l->state == LINES_DOT_CR && l->end == LINES_END_DOT)
        out = plain(l, '.', out);
    else if (l->state == LINES_CR)
        out = end_line(l, out);
    l->state = LINES_DONE;
    return (size_t)(out - from);
}
