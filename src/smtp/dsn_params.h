/* dsn_params.h - parameters of RFC 3461 for MAIL and RCPT; rows of the tables in mail.c
 * and rcpt.c. */
#ifndef EXIM_SMTP_DSN_PARAMS_H
#define EXIM_SMTP_DSN_PARAMS_H

#include <stdbool.h>

struct recipient;
struct smtp_state;

/* Each: NULL, or the text after "501 ". */
const char *smtp_dsn_ret(struct smtp_state *st, struct recipient *r, const char *value);
const char *smtp_dsn_envid(struct smtp_state *st, struct recipient *r, const char *value);
const char *smtp_dsn_notify(struct smtp_state *st, struct recipient *r,
                            const char *value);
const char *smtp_dsn_orcpt(struct smtp_state *st, struct recipient *r, const char *value);
bool smtp_dsn_offered(const struct smtp_state *st);

#endif
