#include "deliver/deliver_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/wire.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "host.h"
#include "retry.h"
#include "routers/router.h"
#include "transports/transport.h"

enum { MAX_PARENTS = 100, MAX_HEADERS = 1000, MAX_VARS = 1000 };

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void put_headers(struct buf *b, const struct header *h)
{
    uint32_t n = 0;

    for (const struct header *i = h; i != NULL; i = i->next)
        n++;
    wire_put_u32(b, n);
    for (; h != NULL; h = h->next) {
        wire_put_u32(b, (uint32_t)h->type);
        wire_put_cstr(b, h->text);
    }
}

static const struct header *get_headers(struct wire_reader *r, struct arena *a)
{
    struct header *first = NULL, **tail = &first;
    uint32_t n = wire_get_count(r, 8);

    for (uint32_t i = 0; i < n && i < MAX_HEADERS; i++) {
        struct header *h = arena_new_obj(a, struct header);
        h->type = (int)wire_get_u32(r);
        h->text = wire_get_cstr(r, a);
        if (h->text == NULL)
            break;
        h->len = strlen(h->text);
        *tail = h;
        tail = &h->next;
    }
    return first;
}

static void put_vars(struct buf *b, const struct hash *vars)
{
    struct hash_iter it = { 0 };
    const char *name;
    void *value;

    wire_put_u32(b, vars == NULL ? 0 : (uint32_t)hash_count(vars));
    while (vars != NULL && hash_next(vars, &it, &name, &value)) {
        wire_put_cstr(b, name);
        wire_put_cstr(b, value);
    }
}

static struct hash *get_vars(struct wire_reader *r, struct arena *a)
{
    uint32_t n = wire_get_count(r, 2);
    struct hash *vars = n == 0 ? NULL : hash_new(a, false);

    for (uint32_t i = 0; i < n && i < MAX_VARS; i++) {
        const char *name = wire_get_cstr(r, a);
        const char *value = wire_get_cstr(r, a);
        if (name == NULL || value == NULL)
            break;
        hash_put(vars, name, unconst(value));
    }
    return vars;
}

static void put_strings(struct buf *b, const struct address *addr)
{
    const char *const all[] = {
        addr->address, addr->unique, addr->local_part, addr->domain, addr->cc_local_part,
        addr->lc_local_part, addr->prefix, addr->suffix, addr->self_hostname, addr->address_data,
        addr->errors_to, addr->domain_data, addr->local_part_data, addr->home_dir,
        addr->current_dir, addr->remove_headers, addr->local_user_name, addr->dsn_orcpt,
        addr->router == NULL ? NULL : addr->router->name,
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        wire_put_cstr(b, all[i]);
}

static void put_expandn(struct buf *b, const char *const *v)
{
    wire_put_u8(b, v != NULL);
    for (int i = 0; v != NULL && i < 10; i++)
        wire_put_cstr(b, v[i]);
}

void report_put_job(struct buf *b, const struct address *addr)
{
    uint32_t parents = 0;

    put_strings(b, addr);
    wire_put_u32(b, addr->flags);
    wire_put_u32(b, addr->dsn_flags);
    wire_put_u8(b, addr->dsn_null_from_list);
    wire_put_cstr(b, addr->prefix_v);
    wire_put_cstr(b, addr->suffix_v);
    wire_put_cstr(b, addr->host_list == NULL ? NULL : addr->host_list->name); /* $host */
    wire_put_i64(b, addr->pno);
    put_headers(b, addr->extra_headers);
    put_vars(b, addr->router_vars);
    put_expandn(b, addr->pipe_expandn);
    for (const struct address *p = addr->parent; p != NULL && parents < MAX_PARENTS; p = p->parent)
        parents++;
    wire_put_u32(b, parents);
    const struct address *p = addr->parent;
    for (uint32_t i = 0; i < parents; i++, p = p->parent) {
        wire_put_cstr(b, p->address);
        wire_put_cstr(b, p->local_part);
        wire_put_cstr(b, p->domain);
    }
}

static const struct router *find_router(const struct exim *e, const char *name)
{
    for (size_t i = 0; name != NULL && i < e->config->router_count; i++)
        if (strcmp(e->config->routers[i]->name, name) == 0)
            return e->config->routers[i];
    return NULL;
}

static void get_strings(struct wire_reader *r, struct arena *a, struct exim *e, struct address *addr)
{
    const char **const all[] = {
        &addr->address, &addr->unique, &addr->local_part, &addr->domain, &addr->cc_local_part,
        &addr->lc_local_part, &addr->prefix, &addr->suffix, &addr->self_hostname, &addr->address_data,
        &addr->errors_to, &addr->domain_data, &addr->local_part_data, &addr->home_dir,
        &addr->current_dir, &addr->remove_headers, &addr->local_user_name, &addr->dsn_orcpt,
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        *all[i] = wire_get_cstr(r, a);
    addr->router = find_router(e, wire_get_cstr(r, a));
}

static const char *const *get_expandn(struct wire_reader *r, struct arena *a)
{
    if (!wire_get_u8(r))
        return NULL;
    const char **v = arena_new_array(a, const char *, 10);
    for (int i = 0; i < 10; i++)
        v[i] = wire_get_cstr(r, a);
    return v;
}

struct address *report_get_job(struct wire_reader *r, struct arena *a, struct exim *e)
{
    struct address *addr = arena_new_obj(a, struct address);

    get_strings(r, a, e, addr);
    addr->flags = wire_get_u32(r);
    addr->dsn_flags = wire_get_u32(r);
    addr->dsn_null_from_list = wire_get_u8(r) != 0;
    addr->prefix_v = wire_get_cstr(r, a);
    addr->suffix_v = wire_get_cstr(r, a);
    const char *host = wire_get_cstr(r, a);
    if (host != NULL) {
        struct host *h = arena_new_obj(a, struct host);
        h->name = host;
        h->mx = MX_NONE;
        addr->host_list = h;
    }
    addr->pno = (int)wire_get_i64(r);
    addr->extra_headers = get_headers(r, a);
    addr->router_vars = get_vars(r, a);
    addr->pipe_expandn = get_expandn(r, a);
    addr->log_cv = -1;
    addr->top = addr;
    struct address *child = addr;
    uint32_t parents = wire_get_count(r, 3);
    for (uint32_t i = 0; i < parents && !r->bad; i++) {
        struct address *p = arena_new_obj(a, struct address);
        p->address = wire_get_cstr(r, a);
        p->local_part = wire_get_cstr(r, a);
        p->domain = wire_get_cstr(r, a);
        p->top = p;
        child->parent = p;
        addr->top = child = p;
    }
    return r->bad || addr->address == NULL ? NULL : addr;
}

static void put_host(struct buf *b, const struct host *h)
{
    wire_put_u8(b, h != NULL);
    if (h == NULL)
        return;
    wire_put_cstr(b, h->name);
    wire_put_cstr(b, h->address);
    wire_put_i64(b, h->port);
    wire_put_u8(b, h->dnssec_ok);
}

static struct host *get_host(struct wire_reader *r, struct arena *a)
{
    if (!wire_get_u8(r))
        return NULL;
    struct host *h = arena_new_obj(a, struct host);
    h->name = wire_get_cstr(r, a);
    h->address = wire_get_cstr(r, a);
    h->port = (int)wire_get_i64(r);
    h->dnssec_ok = wire_get_u8(r) != 0;
    return h;
}

static void put_retries(struct buf *b, const struct retry_update *u)
{
    uint32_t n = 0;

    for (const struct retry_update *i = u; i != NULL; i = i->next)
        n++;
    wire_put_u32(b, n);
    for (; u != NULL; u = u->next) {
        wire_put_cstr(b, u->key);
        wire_put_u8(b, (uint8_t)(u->remove | u->host << 1));
        wire_put_i64(b, u->basic_errno);
        wire_put_i64(b, u->more_errno);
        wire_put_cstr(b, u->message);
    }
}

static struct retry_update *get_retries(struct wire_reader *r, struct arena *a)
{
    struct retry_update *first = NULL, **tail = &first;
    uint32_t n = wire_get_count(r, 19);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        struct retry_update *u = arena_new_obj(a, struct retry_update);
        u->key = wire_get_cstr(r, a);
        uint8_t bits = wire_get_u8(r);
        u->remove = bits & 1;
        u->host = bits & 2;
        u->basic_errno = (int)wire_get_i64(r);
        u->more_errno = (int)wire_get_i64(r);
        u->message = wire_get_cstr(r, a);
        if (u->key == NULL)
            break;
        *tail = u;
        tail = &u->next;
    }
    return first;
}

static void put_submissions(struct buf *b, const struct transport_submission *s)
{
    uint32_t n = 0;

    for (const struct transport_submission *i = s; i != NULL; i = i->next)
        n++;
    wire_put_u32(b, n);
    for (; s != NULL; s = s->next) {
        wire_put_cstr(b, s->text);
        wire_put_u32(b, (uint32_t)s->recipient_count);
        for (size_t i = 0; i < s->recipient_count; i++)
            wire_put_cstr(b, s->recipients[i]);
    }
}

static const struct transport_submission *get_submission(struct wire_reader *r, struct arena *a)
{
    struct transport_submission *s = arena_new_obj(a, struct transport_submission);

    s->text = wire_get_cstr(r, a);
    s->recipient_count = wire_get_count(r, 1);
    const char **names = arena_new_array(a, const char *, s->recipient_count + 1);
    for (size_t i = 0; i < s->recipient_count; i++)
        if ((names[i] = wire_get_cstr(r, a)) == NULL)
            r->bad = true;
    s->recipients = names;
    return r->bad || s->text == NULL ? NULL : s;
}

static const struct transport_submission *get_submissions(struct wire_reader *r, struct arena *a)
{
    const struct transport_submission *first = NULL, **tail = &first;
    uint32_t n = wire_get_count(r, 5);

    for (uint32_t i = 0; i < n; i++) {
        const struct transport_submission *s = get_submission(r, a);
        if (s == NULL)
            break;
        *tail = s;
        tail = unconst(&s->next);
    }
    return first;
}

static void put_log_fields(struct buf *b, const struct address *addr)
{
    wire_put_cstr(b, addr->shadow_message);
    wire_put_cstr(b, addr->return_file);
    wire_put_cstr(b, addr->return_text);
    wire_put_cstr(b, addr->output_line);
    wire_put_cstr(b, addr->confirmation);
    wire_put_cstr(b, addr->log_tls_cipher);
    wire_put_cstr(b, addr->log_tls_peerdn);
    wire_put_cstr(b, addr->log_tls_sni);
    wire_put_cstr(b, addr->log_auth);
    wire_put_cstr(b, addr->log_verified_name);
    wire_put_i64(b, addr->log_cv);
    wire_put_u8(b, (uint8_t)(addr->log_chunking | addr->log_prdr << 1 | addr->log_dnssec << 2 |
                             addr->log_tfo << 3 | addr->remote_dsn << 4 | addr->log_reused << 5));
}

static void get_log_fields(struct wire_reader *r, struct arena *a, struct address *addr)
{
    addr->shadow_message = wire_get_cstr(r, a);
    addr->return_file = wire_get_cstr(r, a);
    addr->return_text = wire_get_cstr(r, a);
    addr->output_line = wire_get_cstr(r, a);
    addr->confirmation = wire_get_cstr(r, a);
    addr->log_tls_cipher = wire_get_cstr(r, a);
    addr->log_tls_peerdn = wire_get_cstr(r, a);
    addr->log_tls_sni = wire_get_cstr(r, a);
    addr->log_auth = wire_get_cstr(r, a);
    addr->log_verified_name = wire_get_cstr(r, a);
    addr->log_cv = (int)wire_get_i64(r);
    uint8_t bits = wire_get_u8(r);
    addr->log_chunking = bits & 1;
    addr->log_prdr = bits & 2;
    addr->log_dnssec = bits & 4;
    addr->log_tfo = bits & 8;
    addr->remote_dsn = bits & 16;
    addr->log_reused = bits & 32;
}

void report_put_result(struct buf *b, const struct address *addr)
{
    const struct addr_result *res = &addr->result;

    wire_put_u8(b, (uint8_t)res->rc);
    wire_put_u8(b, (uint8_t)addr->outcome);
    wire_put_i64(b, res->basic_errno);
    wire_put_i64(b, res->more_errno);
    wire_put_cstr(b, res->message);
    wire_put_cstr(b, res->user_message);
    wire_put_cstr(b, res->status);
    wire_put_cstr(b, res->diagnostic);
    wire_put_cstr(b, res->remote_mta);
    wire_put_cstr(b, res->remote_address);
    wire_put_i64(b, res->remote_port);
    wire_put_u8(b, (uint8_t)(res->freeze | res->pass_message << 1));
    wire_put_u32(b, addr->flags);
    put_log_fields(b, addr);
    put_host(b, addr->host_used);
    put_retries(b, addr->retry_updates);
    put_submissions(b, addr->submissions);
}

void report_get_result(struct wire_reader *r, struct arena *a, struct address *addr)
{
    struct addr_result *res = &addr->result;
    uint8_t rc = wire_get_u8(r), outcome = wire_get_u8(r);

    res->rc = rc <= RC_DEFER ? (enum rc)rc : RC_DEFER;
    addr->outcome = outcome <= OUTCOME_DISCARDED ? (enum addr_outcome)outcome : OUTCOME_PENDING;
    res->basic_errno = (int)wire_get_i64(r);
    res->more_errno = (int)wire_get_i64(r);
    res->message = wire_get_cstr(r, a);
    res->user_message = wire_get_cstr(r, a);
    res->status = wire_get_cstr(r, a);
    res->diagnostic = wire_get_cstr(r, a);
    res->remote_mta = wire_get_cstr(r, a);
    res->remote_address = wire_get_cstr(r, a);
    res->remote_port = (int)wire_get_i64(r);
    uint8_t bits = wire_get_u8(r);
    res->freeze = bits & 1;
    res->pass_message = bits & 2;
    addr->flags = wire_get_u32(r);
    get_log_fields(r, a, addr);
    addr->host_used = get_host(r, a);
    addr->retry_updates = get_retries(r, a);
    addr->submissions = get_submissions(r, a);
}

/* ---- lists ---- */

static bool same_result(const struct addr_result *x, const struct addr_result *y)
{
    return x->rc == y->rc && x->basic_errno == y->basic_errno && x->more_errno == y->more_errno &&
           same_text(x->message, y->message) && same_text(x->user_message, y->user_message) &&
           same_text(x->status, y->status) && same_text(x->diagnostic, y->diagnostic) &&
           same_text(x->remote_mta, y->remote_mta) && same_text(x->remote_address, y->remote_address) &&
           x->remote_port == y->remote_port && x->freeze == y->freeze && x->pass_message == y->pass_message;
}

static bool same_log_fields(const struct address *x, const struct address *y)
{
    return same_text(x->shadow_message, y->shadow_message) && same_text(x->return_file, y->return_file) &&
           same_text(x->return_text, y->return_text) && same_text(x->output_line, y->output_line) &&
           same_text(x->confirmation, y->confirmation) && same_text(x->log_tls_cipher, y->log_tls_cipher) &&
           same_text(x->log_tls_peerdn, y->log_tls_peerdn) && same_text(x->log_tls_sni, y->log_tls_sni) &&
           same_text(x->log_auth, y->log_auth) && same_text(x->log_verified_name, y->log_verified_name) &&
           x->log_cv == y->log_cv && x->log_chunking == y->log_chunking && x->log_prdr == y->log_prdr &&
           x->log_dnssec == y->log_dnssec && x->log_tfo == y->log_tfo && x->remote_dsn == y->remote_dsn &&
           x->log_reused == y->log_reused;
}

static bool is_like(const struct address *x, const struct address *y)
{
    return x->outcome == y->outcome && x->flags == y->flags && x->host_used == y->host_used &&
           x->delivery_ms == y->delivery_ms && x->retry_updates == NULL && y->retry_updates == NULL &&
           x->submissions == NULL && y->submissions == NULL && same_result(&x->result, &y->result) &&
           same_log_fields(x, y);
}

void report_put_results(struct buf *b, const struct address *list)
{
    const struct address *last = NULL;

    for (const struct address *addr = list; addr != NULL; last = addr, addr = addr->next) {
        bool like = last != NULL && is_like(last, addr);

        wire_put_u8(b, like);
        if (like)
            continue;
        report_put_result(b, addr);
        wire_put_i64(b, addr->delivery_ms);
    }
}

/* What report_get_result fills in. */
static void copy_result(struct address *addr, const struct address *from)
{
    addr->result = from->result;
    addr->outcome = from->outcome;
    addr->flags = from->flags;
    addr->shadow_message = from->shadow_message;
    addr->return_file = from->return_file;
    addr->return_text = from->return_text;
    addr->output_line = from->output_line;
    addr->confirmation = from->confirmation;
    addr->log_tls_cipher = from->log_tls_cipher;
    addr->log_tls_peerdn = from->log_tls_peerdn;
    addr->log_tls_sni = from->log_tls_sni;
    addr->log_auth = from->log_auth;
    addr->log_verified_name = from->log_verified_name;
    addr->log_cv = from->log_cv;
    addr->log_chunking = from->log_chunking;
    addr->log_prdr = from->log_prdr;
    addr->log_dnssec = from->log_dnssec;
    addr->log_tfo = from->log_tfo;
    addr->remote_dsn = from->remote_dsn;
    addr->log_reused = from->log_reused;
    addr->host_used = from->host_used;
    addr->delivery_ms = from->delivery_ms;
    addr->retry_updates = NULL;
    addr->submissions = NULL;
}

void report_get_results(struct wire_reader *r, struct arena *a, struct address *list)
{
    const struct address *last = NULL;

    for (struct address *addr = list; addr != NULL && !r->bad; last = addr, addr = addr->next) {
        if (wire_get_u8(r) != 0 && last != NULL) {
            copy_result(addr, last);
            continue;
        }
        report_get_result(r, a, addr);
        addr->delivery_ms = (long)wire_get_i64(r);
    }
}
