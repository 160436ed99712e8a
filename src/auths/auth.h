/* auth.h - what an authenticator driver gives to the SMTP server and client (manual chapter 33). */
#ifndef EXIM_AUTH_H
#define EXIM_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/driver.h"
#include "config/option.h"
#include "config/value.h"

struct arena;
struct auth_driver;
struct config;
struct expand_ctx;

struct authenticator {
    DRIVER_INSTANCE(struct authenticator, struct auth_driver);
    const char *public_name;
    const struct expr *client_condition, *client_set_id;
    const struct expr *server_advertise_condition, *server_condition, *server_debug_print;
    const struct expr *server_set_id, *server_mail_auth_condition;
    bool server, client; /* can act as; set by the driver's check */
};

enum auth_rc { AUTH_OK, AUTH_FAIL, AUTH_DEFER, AUTH_CANCELLED, AUTH_BAD64, AUTH_UNEXPECTED, AUTH_ERROR };

struct auth_server_call {
    struct expand_ctx *ctx; /* $auth1.. are set here by the driver */
    const char *initial;    /* initial response, base64; "" when "="; NULL none */
    /* Sends "334 <base64 of text>", reads the line; AUTH_OK with decoded bytes. */
    enum auth_rc (*challenge)(void *arg, struct str text, struct str *response);
    void *arg;
    struct err err;
};
struct auth_client_call {
    struct expand_ctx *ctx;
    /* Sends a line (no CRLF), reads a reply: false when the connection failed. */
    bool (*exchange)(void *arg, const char *line, int *code, const char **text);
    void *arg;
    struct err err;
};

struct auth_driver {
    DRIVER_INFO;
    bool (*check)(struct authenticator *au, const struct config *cfg, struct err *err);
    enum auth_rc (*server)(const struct authenticator *au, struct auth_server_call *call); /* or NULL */
    enum auth_rc (*client)(const struct authenticator *au, struct auth_client_call *call); /* or NULL */
};
/* server_condition in context. */
enum auth_rc auth_check_condition(struct expand_ctx *ctx, const struct expr *condition, struct err *err);

/* Puts a value into the next of $auth1..$auth3 and $1..$3 (up to the n-th); copied into the context's arena. */
void auth_set_value(struct expand_ctx *ctx, int n, struct str value);
/* Splits data at its NULs into the next values; *n is how many are set so far. */
void auth_set_values(struct expand_ctx *ctx, struct str data, int *n);
/* Decodes the server's prompt in a 334 reply; false when it is not base64. */
bool auth_client_prompt(struct expand_ctx *ctx, const char *text, struct str *out);
/* A prompt, or what else the server said: AUTH_OK for 235, AUTH_FAIL. AUTH_UNEXPECTED: it asks for more. */
enum auth_rc auth_client_verdict(int code);

extern const struct auth_driver auth_cram_md5, auth_dovecot, auth_external, auth_plaintext, auth_tls;

const struct auth_driver *auth_driver_find(const char *name); /* drtables.c */
const struct auth_driver *const *auth_drivers(size_t *count);
extern const struct option auth_options[]; /* generic ones, sorted; auths/generic.c */
extern const size_t auth_option_count;

#endif
