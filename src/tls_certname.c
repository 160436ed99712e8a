#include "tls_certname.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/idn2.h"
#include "base/ip.h"
#include "base/openssl.h"

enum { PRESENTED_TEXT_MAX = 4096, LABELS_FOR_WILDCARD = 3 };

/* Labels of letters, digits, hyphens and underscores with single dots between them; how many, 0: bad. */
static size_t count_labels(struct str s)
{
    size_t labels = 1;

    for (size_t i = 0, start = 0; i < s.len; i++) {
        char c = s.p[i];

        if (c == '.') {
            if (i == start)
                return 0;
            labels++;
            start = i + 1;
        } else if (!is_alnum(c) && c != '-' && c != '_') {
            return 0;
        }
    }
    return s.len > 0 && s.p[s.len - 1] != '.' ? labels : 0;
}

static struct str from(struct str s, size_t n)
{
    return (struct str){ s.p + n, s.len - n };
}

static bool is_wildcard(struct str s)
{
    return s.len > 2 && s.p[0] == '*' && s.p[1] == '.';
}

/* Any name below a domain; ".example.com" is the reference. */
static bool match_below(struct str presented, struct str suffix)
{
    bool wild = is_wildcard(presented);
    struct str name = wild ? from(presented, 2) : presented, shown = wild ? from(presented, 1) : presented;

    if (count_labels(from(suffix, 1)) == 0 || count_labels(name) == 0 || shown.len < suffix.len ||
        (wild && count_labels(name) + 1 < LABELS_FOR_WILDCARD))
        return false;
    return str_ieq(from(shown, shown.len - suffix.len), suffix);
}

bool certname_match_dns(struct str presented, struct str reference)
{
    if (reference.len > 0 && reference.p[reference.len - 1] == '.') /* an absolute name */
        reference.len--;
    if (reference.len > 1 && reference.p[0] == '.')
        return match_below(presented, reference);
    size_t labels = count_labels(reference);

    if (labels == 0)
        return false;
    if (!is_wildcard(presented))
        return count_labels(presented) > 0 && str_ieq(presented, reference);
    struct str rest = from(presented, 2);
    const char *dot = memchr(reference.p, '.', reference.len);

    /* "_x" is no host's name: RFC 8552 */
    return dot != NULL && memchr(reference.p, '_', (size_t)(dot - reference.p)) == NULL &&
           count_labels(rest) + 1 >= LABELS_FOR_WILDCARD &&
           str_ieq(rest, from(reference, (size_t)(dot - reference.p) + 1));
}

/* ---- References ---- */
struct reference {
    const char *given;
    struct str dns; /* A-labels; empty when it is an address or no name at all */
    struct ip ip;
};

static struct reference read_reference(struct arena *a, const char *name)
{
    struct reference r = { .given = name };
    char *ascii = NULL;

    if (ip_parse(name, &r.ip))
        return r;
    r.ip.family = 0;
    bool plain = true;

    for (const char *s = name; *s != '\0'; s++)
        plain = plain && (unsigned char)*s < 0x80;
    if (plain) {
        r.dns = str_from(name);
        return r;
    }
    const char *dot = name[0] == '.' ? "." : "";

    if (idn2()->lookup_u8((const uint8_t *)name + strlen(dot), (uint8_t **)&ascii,
                       IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK)
        r.dns = str_from(arena_printf(a, "%s%s", dot, ascii));
    idn2()->free(ascii);
    return r;
}

static struct str string_view(const ASN1_STRING *s)
{
    return (struct str){ (const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s) };
}

struct check {
    struct arena *arena;
    const struct reference *refs;
    size_t ref_count;
    struct certname_result result;
};

static bool match_name(struct check *c, struct str presented, bool by_cn)
{
    for (size_t i = 0; i < c->ref_count; i++) {
        const struct reference *r = &c->refs[i];

        if (r->dns.len == 0 || !certname_match_dns(presented, r->dns))
            continue;
        bool below = r->dns.p[0] == '.';
        c->result = (struct certname_result){ .ok = true,
                                              .matched = str_dup(c->arena, presented),
                                              .reference = str_dup(c->arena, below ? presented : r->dns),
                                              .by_wildcard = !below && is_wildcard(presented),
                                              .by_cn = by_cn };
        return true;
    }
    return false;
}

/* RFC 9525 6.4: an address is compared with iPAddress names only, byte for byte. */
static bool match_address(struct check *c, struct str presented)
{
    for (size_t i = 0; i < c->ref_count; i++) {
        const struct ip *ip = &c->refs[i].ip;

        if (ip->family == 0 || presented.len != (ip->family == 4 ? 4u : 16u) ||
            memcmp(ip->bytes, presented.p, presented.len) != 0)
            continue;
        c->result = (struct certname_result){ .ok = true, .matched = c->refs[i].given,
                                              .reference = c->refs[i].given };
        return true;
    }
    return false;
}

/* True when decided; *dns_seen: there is a DNS name, which rules the CN out (RFC 6125 6.4.4). */
static bool match_alternatives(struct check *c, X509 *cert, bool *dns_seen)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; !found && names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type == GEN_DNS) {
            *dns_seen = true;
            found = match_name(c, string_view(n->d.dNSName), false);
        } else if (n->type == GEN_IPADD) {
            found = match_address(c, string_view(n->d.iPAddress));
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool match_common_names(struct check *c, X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    bool found = false;

    for (int i = -1; !found && (i = X509_NAME_get_index_by_NID(unconst(subject), NID_commonName, i)) >= 0;) {
        unsigned char *utf8;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));

        if (len < 0)
            continue;
        found = match_name(c, (struct str){ (char *)utf8, (size_t)len }, true);
        OPENSSL_free(utf8);
    }
    return found;
}

struct certname_result certname_check(struct arena *a, struct x509_st *cert, const char *const *names)
{
    size_t n = 0;
    bool dns_seen = false, usable = false;

    while (names[n] != NULL)
        n++;
    struct reference *refs = arena_new_array(a, struct reference, n + 1);

    for (size_t i = 0; i < n; i++) {
        refs[i] = read_reference(a, names[i]);
        usable = usable || refs[i].ip.family != 0 || refs[i].dns.len > 0;
    }
    struct check c = { .arena = a, .refs = refs, .ref_count = n };

    if (!usable) {
        c.result.why = "there is no name to check the certificate for";
        return c.result;
    }
    if (match_alternatives(&c, cert, &dns_seen) || (!dns_seen && match_common_names(&c, cert)))
        return c.result;
    c.result = (struct certname_result){ .why = "certificate name mismatch" };
    return c.result;
}

/* ---- For the log ---- */
struct shown {
    struct arena *arena;
    struct buf text;
    size_t max, count;
};

static void show(struct shown *s, struct str name)
{
    if (s->count++ >= s->max)
        return;
    if (s->count > 1)
        buf_add_char(&s->text, ',');
    for (const char *p = cstr_printable_len(s->arena, name.p, name.len, false); *p != '\0'; p++) {
        /* What would end the name, or the quotes around the list, in a log line. */
        if (*p == ',' || *p == '"')
            buf_printf(&s->text, "\\%03o", (unsigned)*p);
        else
            buf_add_char(&s->text, *p);
    }
}

static void show_address(struct shown *s, struct str bytes)
{
    struct ip ip = { .family = bytes.len == 4 ? 4 : 6 };
    char text[IP_TEXT_MAX];

    if (bytes.len != 4 && bytes.len != 16)
        return;
    memcpy(ip.bytes, bytes.p, bytes.len);
    show(s, str_from(ip_print(&ip, text)));
}

const char *certname_presented(struct arena *a, struct x509_st *cert, size_t max)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    struct shown s = { .arena = a, .text = buf_init(a, PRESENTED_TEXT_MAX), .max = max };
    X509_NAME *subject = X509_get_subject_name(cert);

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type == GEN_DNS)
            show(&s, string_view(n->d.dNSName));
        else if (n->type == GEN_IPADD)
            show_address(&s, string_view(n->d.iPAddress));
    }
    GENERAL_NAMES_free(names);
    for (int i = -1; s.count == 0 && (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;)
        show(&s, string_view(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i))));
    if (s.count > max)
        buf_printf(&s.text, ",+%zu", s.count - max);
    return buf_cstr(&s.text);
}
