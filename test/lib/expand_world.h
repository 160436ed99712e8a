/* expand_world.h - something for expansions to look at, for tests of the engine alone: a
 * configuration, a session behind a balancer, a message with header lines, an address on its way. Lookups,
 * lists, ACLs, certificates and the DNS are fakes that answer by simple rules. */
#ifndef TEST_EXPAND_WORLD_H
#define TEST_EXPAND_WORLD_H

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "hooks.h"
#include "host.h"
#include "message.h"
#include "os/load.h"
#include "proxy.h"
#include "routers/router.h"
#include "search.h"
#include "session.h"
#include "tls.h"
#include "transports/transport.h"

/* ---- lookups: "lsearch" finds k1 -> v1 and defers for "again"; "query" gives the query back ---- */

static char *fake_quote(struct arena *a, const char *s, const char *option)
{
    return option != NULL ? NULL : arena_printf(a, "<%s>", s);
}
static const struct lookup_driver fake_lsearch = { .name = "lsearch", .flags = LOOKUP_ABSFILE };
static const struct lookup_driver fake_query = { .name = "query",
                                                 .flags = LOOKUP_QUERY,
                                                 .quote = fake_quote };

const struct lookup_driver *lookup_driver_find(const char *name)
{
    return strcmp(name, "lsearch") == 0 ? &fake_lsearch
         : strcmp(name, "query") == 0   ? &fake_query
                                        : NULL;
}

bool search_type_parse(struct arena *a, const char *text, struct search_type *out, struct err *err)
{
    *out = (struct search_type){ .driver = lookup_driver_find(text), .partial = -1 };
    if (cstr_starts(text, "partial-"))
        *out = (struct search_type){ .driver = lookup_driver_find(text + 8), .partial = 2 };
    return out->driver != NULL || err_set(err, a, "unknown lookup type \"%s\"", text);
}

enum rc search_find(struct expand_ctx *ctx, const struct search_type *type, const char *filename,
                    const char *key, const char **result, const char *captured[2])
{
    if (type->driver == &fake_query) {
        *result = key;
        return RC_OK;
    }
    if (strcmp(key, "again") == 0 || filename[0] != '/') {
        err_set(&ctx->err, ctx->arena,
                filename[0] != '/' ? "failed to open %s for linear search" : "busy: %s", filename);
        return RC_DEFER;
    }
    if (type->partial >= 0 && cstr_ends(key, ".example")) {
        captured[0] = arena_strndup(ctx->arena, key, strlen(key) - 8);
        captured[1] = "example";
        *result = "partial";
        return RC_OK;
    }
    *result = "v1";
    return strcmp(key, "k1") == 0 ? RC_OK : RC_FAIL;
}

/* ---- TLS, DNS, load ---- */

const char *tls_cert_extract(struct arena *a, void *x509, const char *field, struct err *err)
{
    if (strcmp(field, "bad") == 0)
        err_set(err, a, "bad field \"%s\"", field);
    return strcmp(field, "subject") == 0 ? (const char *)x509 : NULL;
}
const char *tls_cert_fingerprint(struct arena *a, void *x509, const char *name)
{
    return arena_printf(a, "%s of %s", name, (const char *)x509);
}
const char *tls_cert_pem(struct arena *a, void *x509)
{
    (void)x509;
    return arena_strdup(a, "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n");
}
enum rc host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                       struct err *err)
{
    (void)e;
    (void)out;
    err_set(err, a, "no address for %s", name);
    return RC_FAIL;
}
uint16_t host_port_parse(const char *text)
{
    unsigned long n;

    return cstr_to_ulong(text, &n) && n < 65536 ? (uint16_t)n : 0;
}
enum rc session_host_name(struct session *s)
{
    s->host_lookup = HOST_LOOKUP_FAILED;
    return RC_FAIL;
}
void session_set_fullhost(struct session *s)
{
    s->fullhost = arena_printf(s->arena, "[%s]", s->host_address);
    s->rcvhost = arena_printf(s->arena, "rcv [%s]", s->host_address);
}
int load_average(void)
{
    return 210;
}

/* ---- hooks: a list matches by its items; ACLs are named for what they answer ---- */

static const struct match_list *fake_list(struct arena *a, enum list_kind kind, const char *text,
                                          const struct config *cfg, struct err *err)
{
    struct match_list *l = arena_new_obj(a, struct match_list);

    (void)cfg;
    if (strstr(text, "+nolist") != NULL) {
        err_set(err, a, "unknown named list");
        return NULL;
    }
    l->kind = kind;
    l->text = text;
    return l;
}
static enum rc fake_match(struct expand_ctx *ctx, const struct match_list *l, const char *subject,
                          bool caseless)
{
    struct list_iter it = list_begin(l->text, ':');
    const char *item;

    (void)caseless;
    while ((item = list_next(&it, ctx->arena)) != NULL)
        if (strcmp(item, "defer") == 0 || cstr_ieq(item, subject))
            return strcmp(item, "defer") == 0 ? RC_DEFER : RC_OK;
    return RC_FAIL;
}
static enum rc fake_acl(struct expand_ctx *ctx, const char *name, const char *const *args, int narg,
                        const char **message)
{
    *message = narg > 0 ? arena_printf(ctx->arena, "%s/%d", args[0], narg) : NULL;
    return strcmp(name, "accept") == 0  ? RC_OK
         : strcmp(name, "deny") == 0    ? RC_FAIL
         : strcmp(name, "defer") == 0   ? RC_DEFER
                                        : RC_DECLINE;
}
static const struct hooks world_hooks = { .expr_compile = expr_compile,
                                          .list_compile = fake_list,
                                          .list_match = fake_match,
                                          .acl_eval = fake_acl };

/* ---- the world ---- */

static const char world_tlvs[] = "\x02\0\x02"
                                 "sn"
                                 "\xea\0\x03"
                                 "\1vp"
                                 "\x20\0\x13\7\0\0\0\0"
                                 "\x21\0\7TLSv1.3"
                                 "\x22\0\1c";

static void world_lists(struct arena *a, struct config *c)
{
    static const char *const lists[][2] = { { "one", "a.b : +two" }, { "two", "<; c;d:e" } };
    struct hash *h = hash_new(a, false);

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct named_list *l = arena_new_obj(a, struct named_list);

        l->list = fake_list(a, LIST_DOMAIN, lists[i][1], NULL, NULL);
        hash_put(h, lists[i][0], l);
    }
    c->named_lists[LIST_DOMAIN] = h;
}

static inline struct exim *world_exim(struct arena *a)
{
    struct exim *e = arena_new_obj(a, struct exim);
    struct config *c = arena_new_obj(a, struct config);

    c->main.headers_charset = "UTF-8";
    c->main.check_rfc2047_length = true;
    c->main.message_body_visible = 500;
    c->main.bounce_return_size_limit = 102400;
    c->primary_hostname = "mail.example.com";
    c->qualify_domain = c->qualify_recipient = "example.com";
    c->spool_directory = "/";
    c->filename = "/etc/exim/exim.conf";
    c->localhost_number = -1;
    world_lists(a, c);
    e->arena = a;
    e->config = c;
    e->hooks = &world_hooks;
    e->real_uid = 1000;
    return e;
}

static inline void world_session(struct arena *a, struct expand_ctx *ctx)
{
    struct session *s = arena_new_obj(a, struct session);
    struct proxy_state *p = arena_new_obj(a, struct proxy_state);

    p->ok = true;
    p->header.version = 2;
    p->header.tlvs = (struct str){ world_tlvs, sizeof(world_tlvs) - 1 };
    s->arena = a;
    s->exim = ctx->exim;
    s->host_address = "192.0.2.1";
    s->host_port = 4321;
    s->helo_name = "client.example";
    s->proxy = p;
    s->proxy_session = true;
    s->proxy_host_address = "10.0.0.1";
    s->proxy_host_port = 99;
    s->proxy_target_address = "198.51.100.1";
    s->proxy_target_port = 25;
    s->tls_in.cipher = "TLS1.3:X:256";
    s->tls_in.bits = 256;
    s->tls_in.peercert = (void *)(uintptr_t) "CN=x";
    s->acl_c = hash_new(a, false);
    hash_put(s->acl_c, "0", (void *)(uintptr_t) "c-zero");
    hash_put(s->acl_c, "_name", (void *)(uintptr_t) "c-name");
    ctx->session = s;
}

static inline void world_message(struct arena *a, struct expand_ctx *ctx)
{
    static const char *const lines[] = { "From: A <a@x.y>\n", "To: b@x.y,\n c@x.y\n",
                                         "Subject: =?utf-8?Q?H=C3=A9?= w\n", "X-M: one\n",
                                         "X-M: two\n", "To: d@x.y\n", "Reply-To:  \n" };
    struct message *m = arena_new_obj(a, struct message);

    m->arena = a;
    memcpy(m->id, "1abcde-000001-AB", sizeof(m->id));
    m->sender = "send.er@x.y";
    m->body.fd = -1;
    m->spam_score_int = "-63";
    m->dsn_envid = "QQ314";
    m->dsn_ret = DSN_RET_HDRS;
    header_list_init(&m->headers);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        header_append(&m->headers, a, header_type_of(lines[i]), lines[i]);
    m->acl_m = hash_new(a, false);
    hash_put(m->acl_m, "_foo", (void *)(uintptr_t) "m-foo");
    m->recipients = arena_new_array(a, struct recipient, 2);
    m->recipients[0].address = "r1@x.y";
    m->recipients[1].address = "r2@x.y";
    m->recipient_count = 2;
    ctx->message = m;
}

static inline void world_address(struct arena *a, struct expand_ctx *ctx)
{
    static const struct router router = { .name = "aliases" };
    static struct recipient submitted = { .orcpt = "rfc822;r1@x.y",
                                          .dsn_flags = DSN_SUCCESS | DSN_DELAY };
    struct address *top = arena_new_obj(a, struct address), *child = arena_new_obj(a, struct address);

    *top = (struct address){ .top = top, .address = "pre-r1@x.y", .local_part = "r1", .domain = "x.y",
                             .prefix = "pre-" };
    *child = (struct address){ .top = top, .parent = top, .address = "u@d.e", .local_part = "u",
                               .domain = "d.e", .recipient = &submitted, .errors_to = "own@x.y",
                               .home_dir = "/home/u", .address_data = "ad" };
    child->router_vars = hash_new(a, false);
    hash_put(child->router_vars, "x", (void *)(uintptr_t) "rx");
    ctx->addr = child;
    ctx->router = &router;
}

enum { WORLD_SESSION = 1, WORLD_MESSAGE = 2, WORLD_ADDRESS = 4, WORLD_ALL = 7 };

static inline void world_init(struct expand_ctx *ctx, struct arena *a, unsigned what)
{
    expand_ctx_init(ctx, world_exim(a), a);
    if ((what & WORLD_SESSION) != 0)
        world_session(a, ctx);
    if ((what & WORLD_MESSAGE) != 0)
        world_message(a, ctx);
    if ((what & WORLD_ADDRESS) != 0)
        world_address(a, ctx);
}

#endif
