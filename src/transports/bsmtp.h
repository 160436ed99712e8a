/* bsmtp.h - batched SMTP around a message in a file or pipe (manual 49.10), and the name of an
 * address as RCPT gives it. */
#ifndef EXIM_TRANSPORT_BSMTP_H
#define EXIM_TRANSPORT_BSMTP_H

#include <stdbool.h>

struct arena;
struct address;
struct transport_call;

/* MAIL, RCPT..., DATA; lines end in CRLF when crlf. */
const char *bsmtp_head(struct transport_call *call, bool include_affixes, bool crlf);
/* local@domain for RCPT: without the affixes the router took off, unless they are wanted. */
const char *bsmtp_recipient(struct arena *a, const struct address *addr, bool include_affixes);

#endif
