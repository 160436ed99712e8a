/* envelope.h - what MAIL and RCPT say beside addresses, for the transports that speak SMTP or LMTP. */
#ifndef EXIM_TRANSPORTS_ENVELOPE_H
#define EXIM_TRANSPORTS_ENVELOPE_H

#include <stdbool.h>

struct address;
struct arena;
struct buf;
struct message;
struct transport_call;

/* Does the recipient's DSN request travel on? (features.txt; RFC 3461 5.2) */
bool envelope_passes_dsn(const struct address *addr);
/* " RET=... ENVID=..." */
void envelope_add_mail_dsn(struct buf *b, const struct message *m);
/* " NOTIFY=... ORCPT=..."; without SMTPUTF8 the latter is in the ASCII form of RFC 6533. */
void envelope_add_rcpt_dsn(struct arena *a, struct buf *b, const struct address *addr, bool utf8);

/* Something of the message or its envelope can travel with SMTPUTF8 only. */
bool envelope_needs_utf8(const struct transport_call *call);
/* The domain as A-labels; the address itself when there is nothing to convert, NULL when it cannot be. */
const char *envelope_to_ascii(struct arena *a, const char *address);

#endif
