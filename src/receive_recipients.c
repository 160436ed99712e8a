#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "parse.h"
#include "receive_int.h"

struct extraction {
    struct receive *r;
    struct hash *left_out; /* arguments, and addresses that were taken already */
    struct buf bad;
};

/* Local parts may differ in case, domains do not. */
static const char *key_of(struct arena *a, const char *address)
{
    char *key = arena_strdup(a, address), *at = strrchr(key, '@');

    for (char *p = at; p != NULL && *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return key;
}

static bool take(void *arg, const struct parsed_address *p, const char *raw)
{
    struct extraction *x = arg;
    struct message *m = x->r->m;
    const char *address = p->address;

    if (address == NULL) {
        buf_printf(&x->bad, "%s: %s\n", raw, p->err);
        return true;
    }
    if (p->domain == NULL)
        address =
            arena_printf(m->arena, "%s@%s", address, x->r->e->config->qualify_recipient);
    const char *key = key_of(m->arena, address);
    if (hash_put(x->left_out, key, (void *)x) == NULL)
        (void)message_add_recipient(m, address, -1);
    return true;
}

static bool is_recipient_header(const struct receive *r, const struct header *h)
{
    if (h->type != HEADER_TO && h->type != HEADER_CC && h->type != HEADER_BCC)
        return false;
    return r->resent == cstr_istarts(h->text, "Resent-");
}

bool receive_recipients_extract(struct receive *r, const char **why, const char **bad)
{
    struct message *m = r->m;
    const struct main_options *o = &r->e->config->main;
    struct extraction x = { .r = r,
                            .left_out = hash_new(m->arena, false),
                            .bad = buf_init(m->arena, BUF_DEFAULT_CEILING) };
    unsigned flags = (o->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0) |
                     (o->allow_utf8_domains ? PARSE_ALLOW_UTF8 : 0) |
                     (o->strip_trailing_dot ? PARSE_STRIP_DOT : 0) |
                     (o->strip_excess_angle_brackets ? PARSE_STRIP_BRACKETS : 0);

    for (size_t i = 0; i < m->recipient_count; i++)
        (void)hash_put(x.left_out, key_of(m->arena, m->recipients[i].address), &x);
    if (o->extract_addresses_remove_arguments) {
        for (size_t i = 0; i < m->recipient_count; i++)
            message_add_nonrecipient(m, m->recipients[i].address);
        m->recipient_count = 0;
    }
    for (struct header *h = m->headers.first; h != NULL; h = h->next) {
        if (!is_recipient_header(r, h))
            continue;
        (void)parse_each_address(m->arena, header_body(h), flags, take, &x);
        if (h->type == HEADER_BCC)
            h->type = HEADER_OLD;
    }
    *bad = x.bad.len > 0 ? buf_cstr(&x.bad) : NULL;
    *why = *bad != NULL ? "bad addresses found in headers"
                        : "no recipients found in headers";
    return m->recipient_count > 0;
}
