#include "lookups/lookups.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "dns.h"
#include "dns_csa.h"
#include "exim.h"
#include "expand.h"

enum { RESULT_MAX = 4 * 1024 * 1024 };

enum kind {
    KIND_A,
    KIND_AAAA,
    KIND_ADDRESSES,
    KIND_CNAME,
    KIND_CSA,
    KIND_MX,
    KIND_MXH,
    KIND_NS,
    KIND_PTR,
    KIND_SOA,
    KIND_SPF,
    KIND_SRV,
    KIND_TLSA,
    KIND_TXT,
    KIND_ZNS,
};

/* clang-format off */
static const struct { const char *name; enum kind kind; int type; } kinds[] = {
    { "a",     KIND_A,         DNS_T_A },     { "a+",   KIND_ADDRESSES, DNS_T_AAAA },
    { "aaaa",  KIND_AAAA,      DNS_T_AAAA },  { "cname", KIND_CNAME,    DNS_T_CNAME },
    { "csa",   KIND_CSA,       DNS_T_SRV },   { "mx",   KIND_MX,        DNS_T_MX },
    { "mxh",   KIND_MXH,       DNS_T_MX },    { "ns",   KIND_NS,        DNS_T_NS },
    { "ptr",   KIND_PTR,       DNS_T_PTR },   { "soa",  KIND_SOA,       DNS_T_SOA },
    { "spf",   KIND_SPF,       DNS_T_SPF },   { "srv",  KIND_SRV,       DNS_T_SRV },
    { "tlsa",  KIND_TLSA,      DNS_T_TLSA },  { "txt",  KIND_TXT,       DNS_T_TXT },
    { "zns",   KIND_ZNS,       DNS_T_NS },
};
/* clang-format on */

struct query {
    struct lookup_call *call;
    enum kind kind;
    int type;
    char separator; /* between records */
    char field;     /* between fields; '\0': the type's own way */
    bool join;      /* ";": fields are joined without one */
    enum { DEFER_LAX, DEFER_STRICT, DEFER_NEVER } defer;
    enum { DNSSEC_LAX, DNSSEC_STRICT, DNSSEC_NEVER } dnssec;
    int retrans, retry;
    const char *names;
    struct buf out;
    bool found, deferred, insecure, secure;
};

/* ---- the query's text ---- */

static bool unsupported(struct query *q, const char *what)
{
    return err_set(&q->call->err, q->call->arena, "unsupported %s", what);
}

static const char *parse_separators(struct query *q, const char *s)
{
    q->separator = '\n';
    s = cstr_skip_space(s);
    if (*s != '>' || s[1] == '\0')
        return s;
    q->separator = s[1];
    s += 2;
    if (*s == ',' && s[1] != '\0') {
        q->field = s[1];
        s += 2;
    } else if (*s == ';') {
        q->join = true;
        s++;
    }
    return cstr_skip_space(s);
}

static bool defer_modifier(struct query *q, const char *v)
{
    if (strcmp(v, "strict") == 0)
        q->defer = DEFER_STRICT;
    else if (strcmp(v, "lax") == 0)
        q->defer = DEFER_LAX;
    else if (strcmp(v, "never") == 0)
        q->defer = DEFER_NEVER;
    else
        return unsupported(q, "dnsdb defer behaviour");
    return true;
}

static bool dnssec_modifier(struct query *q, const char *v)
{
    if (strcmp(v, "strict") == 0)
        q->dnssec = DNSSEC_STRICT;
    else if (strcmp(v, "lax") == 0)
        q->dnssec = DNSSEC_LAX;
    else if (strcmp(v, "never") == 0)
        q->dnssec = DNSSEC_NEVER;
    else
        return unsupported(q, "dnsdb dnssec behaviour");
    return true;
}

static bool patience_modifier(struct query *q, const char *word)
{
    long n;

    if (cstr_starts(word, "retrans_")) {
        n = tod_interval_parse(word + strlen("retrans_"));
        if (n <= 0 || n > 3600)
            return unsupported(q, "dnsdb timeout value");
        q->retrans = (int)n;
        return true;
    }
    if (!cstr_to_long(word + strlen("retry_"), &n) || n < 0 || n > 100)
        return unsupported(q, "dnsdb retry count");
    q->retry = (int)n;
    return true;
}

/* Words before the record type, each followed by a comma. */
static bool parse_modifiers(struct query *q, const char **s)
{
    static const char *const prefixes[] = { "defer_", "dnssec_", "retrans_", "retry_" };

    for (;;) {
        size_t i = 0;

        while (i < ARRAY_LEN(prefixes) && !cstr_istarts(*s, prefixes[i]))
            i++;
        size_t len = strcspn(*s, ",");
        if (i == ARRAY_LEN(prefixes) || (*s)[len] != ',')
            return true;
        const char *word = cstr_lower(
            q->call->arena, str_dup(q->call->arena, str_trim((struct str){ *s, len })));
        const char *value = word + strlen(prefixes[i]);
        if (!(i == 0   ? defer_modifier(q, value)
              : i == 1 ? dnssec_modifier(q, value)
                       : patience_modifier(q, word)))
            return false;
        *s = cstr_skip_space(*s + len + 1);
    }
}

static bool parse_type(struct query *q, const char **s)
{
    size_t len = 0;

    q->kind = KIND_TXT;
    q->type = DNS_T_TXT;
    while (is_alnum((*s)[len]) || (*s)[len] == '+')
        len++;
    const char *rest = cstr_skip_space(*s + len);
    if (*rest != '=')
        return true;
    const char *name = cstr_lower(q->call->arena, arena_strndup(q->call->arena, *s, len));
    *s = cstr_skip_space(rest + 1);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0) {
            q->kind = kinds[i].kind;
            q->type = kinds[i].type;
            return true;
        }
    return unsupported(q, "DNS record type");
}

/* ---- records as text ---- */

static void begin_record(struct query *q)
{
    if (q->found)
        buf_add_char(&q->out, q->separator);
    q->found = true;
}

static char field_separator(const struct query *q)
{
    return q->field != '\0' ? q->field : ' ';
}

static void add_text(struct query *q, const struct dns_record *rec, bool all)
{
    for (size_t i = 0; i < rec->text_part_count; i++) {
        if (i > 0 && q->field != '\0')
            buf_add_char(&q->out, q->field);
        else if (i > 0 && !q->join && !all)
            return;
        buf_add_str(&q->out, rec->text_parts[i]);
    }
}

static void add_soa(struct query *q, const struct dns_record *rec)
{
    buf_add_cstr(&q->out, rec->name);
    if (q->field == '\0' && !q->join)
        return;
    /* The mailbox follows the name in the data; only the wire form of it is kept. */
    buf_printf(&q->out, "%c%s", field_separator(q),
               rec->text.p == NULL ? "" : str_dup(q->call->arena, rec->text));
    for (size_t i = 0; i < ARRAY_LEN(rec->soa); i++)
        buf_printf(&q->out, "%c%lu", field_separator(q), (unsigned long)rec->soa[i]);
}

static void add_tlsa(struct query *q, const struct dns_record *rec)
{
    char f = field_separator(q);

    buf_printf(&q->out, "%u%c%u%c%u%c", rec->tlsa.usage, f, rec->tlsa.selector, f,
               rec->tlsa.matching, f);
    for (size_t i = 0; i < rec->tlsa.data.len; i++)
        buf_printf(&q->out, "%02x", (unsigned char)rec->tlsa.data.p[i]);
}

static void add_record(struct query *q, const struct dns_record *rec)
{
    char f = field_separator(q), ip[IP_TEXT_MAX];

    begin_record(q);
    switch (q->kind) {
    case KIND_A:
    case KIND_AAAA:
    case KIND_ADDRESSES:
        buf_add_cstr(&q->out, ip_print(&rec->ip, ip));
        break;
    case KIND_MX:
        buf_printf(&q->out, "%u%c%s", rec->priority, f, rec->name);
        break;
    case KIND_SRV:
        buf_printf(&q->out, "%u%c%u%c%u%c%s", rec->priority, f, rec->weight, f, rec->port,
                   f, rec->name);
        break;
    case KIND_SOA:
        add_soa(q, rec);
        break;
    case KIND_TLSA:
        add_tlsa(q, rec);
        break;
    case KIND_TXT:
    case KIND_SPF:
        add_text(q, rec, q->kind == KIND_SPF);
        break;
    default:
        buf_add_cstr(&q->out, rec->name);
        break;
    }
}

/* ---- lookups ---- */

static enum dns_rc ask(struct query *q, const char *name, int type,
                       struct dns_answer *answer)
{
    struct resolver *r = q->call->exim->resolver;
    int retrans = q->retrans, retry = q->retry;
    bool patience = retrans > 0 || retry >= 0;

    if (patience) { /* what was not given stays */
        int now_retrans = 1, now_retry = 1;

        dns_swap_patience(r, &now_retrans, &now_retry);
        retrans = retrans > 0 ? retrans : now_retrans;
        retry = retry >= 0 ? retry : now_retry;
        dns_swap_patience(r, &now_retrans, &now_retry);
        dns_swap_patience(r, &retrans, &retry);
    }
    enum dns_rc rc =
        dns_query(r, q->call->arena, name, type, q->dnssec != DNSSEC_NEVER, answer);
    if (patience)
        dns_swap_patience(r, &retrans, &retry);
    if (rc == DNS_SUCCEED && q->dnssec == DNSSEC_STRICT && !answer->ad)
        return DNS_AGAIN;
    return rc;
}

static void take(struct query *q, const struct dns_answer *answer)
{
    *(answer->ad ? &q->secure : &q->insecure) = true;
    for (size_t i = 0; i < answer->count; i++)
        add_record(q, &answer->records[i]);
}

/* SOA and ZNS: the domain, then its parents. */
static void look_up_zone(struct query *q, const char *name)
{
    for (;;) {
        struct dns_answer answer = { 0 };
        enum dns_rc rc = ask(q, name, q->type, &answer);

        if (rc == DNS_SUCCEED && answer.count > 0) {
            take(q, &answer);
            return;
        }
        q->deferred |= rc == DNS_AGAIN || rc == DNS_FAIL;
        name = strchr(name, '.');
        if (rc == DNS_AGAIN || rc == DNS_FAIL || name == NULL || name[1] == '\0')
            return;
        name++;
    }
}

static void look_up_csa(struct query *q, const char *name)
{
    struct dns_csa_record record;
    bool deferred;

    if (dns_csa_find(q->call->exim, q->call->arena, name, &record, &deferred)) {
        begin_record(q);
        buf_printf(&q->out, "%c%c%s", record.code, field_separator(q), record.target);
    }
    q->deferred |= deferred;
}

static void look_up_type(struct query *q, const char *name, int type)
{
    struct dns_answer answer = { 0 };
    enum dns_rc rc = ask(q, name, type, &answer);

    if (rc == DNS_SUCCEED)
        take(q, &answer);
    q->deferred |= rc == DNS_AGAIN || rc == DNS_FAIL;
}

static void look_up(struct query *q, const char *name)
{
    struct ip ip;

    if (q->kind == KIND_PTR && ip_parse(name, &ip))
        name = dns_reverse_name(q->call->arena, &ip);
    if (q->kind == KIND_CSA) {
        look_up_csa(q, name);
    } else if (q->kind == KIND_SOA || q->kind == KIND_ZNS) {
        look_up_zone(q, name);
    } else {
        look_up_type(q, name, q->type);
        if (q->kind == KIND_ADDRESSES)
            look_up_type(q, name, DNS_T_A);
    }
}

static void set_dnssec_variable(const struct query *q)
{
    if (q->call->ctx != NULL)
        q->call->ctx->lookup_dnssec_authenticated = q->dnssec == DNSSEC_NEVER   ? NULL
                                                    : q->secure && !q->insecure ? "yes"
                                                                                : "no";
}

static enum rc find(struct lookup_call *call)
{
    struct query q = { .call = call,
                       .out = buf_init(call->arena, RESULT_MAX),
                       .retry = -1 };
    const char *s = parse_separators(&q, call->key), *name;
    struct ip ip;

    call->nocache = true; /* answers have a time to live: the resolver keeps them */
    if (!parse_modifiers(&q, &s) || !parse_type(&q, &s))
        return RC_DEFER;
    /* One IPv6 address is no list of colons. */
    bool single =
        q.kind == KIND_PTR && ip_parse(str_dup(call->arena, str_trim(str_from(s))), &ip);
    struct list_iter it = single ? (struct list_iter){ s, '\x01' } : list_begin(s, ':');
    while ((name = list_next(&it, call->arena)) != NULL) {
        q.deferred = false;
        if (*name != '\0')
            look_up(&q, name);
        if (q.deferred && q.defer == DEFER_STRICT)
            break;
        if (q.deferred && q.defer == DEFER_LAX)
            call->err.msg = "";
    }
    set_dnssec_variable(&q);
    if (q.found && !(q.deferred && q.defer == DEFER_STRICT)) {
        call->result = buf_cstr(&q.out);
        return RC_OK;
    }
    bool defer = (q.deferred && q.defer == DEFER_STRICT) ||
                 (call->err.msg != NULL && q.defer == DEFER_LAX);
    if (defer && call->err.msg == NULL)
        call->err.msg = "";
    return defer ? RC_DEFER : RC_FAIL;
}

const struct lookup_driver lookup_dnsdb = {
    .name = "dnsdb",
    .flags = LOOKUP_QUERY,
    .find = find,
};
