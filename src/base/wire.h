/* wire.h - typed records between our own processes: one encoder, one decoder.
 *
 * The writer appends to a buf; the reader walks a view and latches `bad` at the first value that
 * does not fit: check it once, after the last get. A reader trusts nothing: strings must be
 * NUL-free, counts must fit the remaining bytes. */
#ifndef EXIM_WIRE_H
#define EXIM_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct wire_reader {
    const char *p, *end;
    bool bad;
};

void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_i64(struct buf *b, int64_t v);
void wire_put_bytes(struct buf *b, struct str s);
void wire_put_cstr(struct buf *b, const char *s); /* NULL and "" stay apart */

struct wire_reader wire_reader(struct str record);
uint8_t wire_get_u8(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
int64_t wire_get_i64(struct wire_reader *r);
struct str wire_get_bytes(struct wire_reader *r);                   /* view into the record */
const char *wire_get_cstr(struct wire_reader *r, struct arena *a);  /* NULL stays NULL */
/* A count of items of at least min_size bytes each; 0 and bad when they cannot fit. */
uint32_t wire_get_count(struct wire_reader *r, size_t min_size);
bool wire_done(const struct wire_reader *r); /* nothing bad, nothing left */

#endif
