/* envelope.h - what MAIL and RCPT have in common. */
#ifndef EXIM_SMTP_ENVELOPE_H
#define EXIM_SMTP_ENVELOPE_H

#include <stdbool.h>

struct smtp_state;

/* The address in text, in the message's arena; NULL: answered and logged. */
const char *smtp_envelope_address(struct smtp_state *st, char *text, unsigned flags,
                                  bool qualify, const char *domain);
enum smtp_ratelimit { SMTP_RATELIMIT_MAIL, SMTP_RATELIMIT_RCPT };
/* Delays as smtp_ratelimit_mail and smtp_ratelimit_rcpt say (manual chapter 14). */
void smtp_ratelimit(struct smtp_state *st, enum smtp_ratelimit which);

#endif
