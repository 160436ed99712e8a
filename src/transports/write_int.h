/* write_int.h - the parts of writing a message out. */
#ifndef EXIM_TRANSPORT_WRITE_INT_H
#define EXIM_TRANSPORT_WRITE_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct stream;
struct transport;
struct transport_call;
struct transport_output;

/* ---- write_headers.c ---- */
bool write_headers(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
    MUST_USE;
/* Bytes and lines of what write_headers gives, but for lines of the transport itself. */
void write_headers_size(struct transport_call *call, int64_t *bytes, int64_t *lines);

/* ---- write.c ---- */
bool write_failed(struct transport_call *call, struct err *err); /* words errno; false */
bool write_plain(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
    MUST_USE;

/* ---- filter.c ---- */
/* The message through transport_filter's command, then into the stream. */
bool filter_run(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
    MUST_USE;

#endif
