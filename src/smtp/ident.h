/* ident.h - asks the client's host who the user of the connection is (RFC 1413). */
#ifndef EXIM_SMTP_IDENT_H
#define EXIM_SMTP_IDENT_H

#include <stdint.h>

struct ip;
struct session;

/* Sets s->ident when an answer that can be believed comes within `timeout` seconds. */
void smtp_ident_query(struct session *s, const struct ip *local, uint16_t local_port,
                      long timeout);

#endif
