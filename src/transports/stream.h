/* stream.h - the last step of writing a message: line ends, escaping, large blocks.
 *
 * Bytes with "\n" line ends go in, in pieces of any size; what comes out goes to the function of
 * struct transport_output in blocks. */
#ifndef EXIM_TRANSPORT_STREAM_H
#define EXIM_TRANSPORT_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct arena;
struct transport_output;

struct stream {
    struct transport_output *out;
    const char *check, *escape; /* check_string, or "." and ".." */
    size_t check_len, matched;  /* bytes of check seen at the start of this line */
    bool line_start, failed;
    bool ends_in_newline;       /* the last byte given was one */
    char *buf;
    size_t used;
};
void stream_init(struct stream *s, struct arena *a, struct transport_output *out);
/* False: the output's function gave up; errno is its. */
bool stream_put(struct stream *s, const char *p, size_t n) MUST_USE;
bool stream_puts(struct stream *s, const char *text) MUST_USE;
/* Text that is neither escaped nor given other line ends. */
bool stream_put_raw(struct stream *s, const char *p, size_t n) MUST_USE;
bool stream_flush(struct stream *s) MUST_USE;

#endif
