#include "base/log.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "base/table.h"

struct selector {
    const char *name;
    uint64_t bits;
    bool standard; /* on unless log_selector says otherwise */
};

#define ROW(sel)    { #sel, LOG_BIT(sel), false }
#define ROW_ON(sel) { #sel, LOG_BIT(sel), true }

/* clang-format off */
static const struct selector selectors[] = {
    ROW(8bitmime),
    ROW_ON(acl_warn_skipped),
    ROW(address_rewrite),
    { "all", ~(uint64_t)0, false },
    ROW(all_parents),
    ROW(arguments),
    ROW_ON(connection_reject),
    ROW_ON(delay_delivery),
    ROW(deliver_time),
    ROW(delivery_size),
    ROW_ON(dnslist_defer),
    ROW(dnssec),
    ROW_ON(etrn),
    ROW_ON(host_lookup_failed),
    ROW(ident_timeout),
    ROW(incoming_interface),
    ROW(incoming_port),
    ROW_ON(lost_incoming_connection),
    ROW(millisec),
    ROW(outgoing_interface),
    ROW(outgoing_port),
    ROW(pid),
    ROW(proxy),
    ROW(proxy_fail),
    ROW(proxy_id),
    ROW_ON(queue_run),
    ROW(queue_time),
    ROW(queue_time_overall),
    ROW(receive_time),
    ROW(received_recipients),
    ROW(received_sender),
    ROW_ON(rejected_header),
    { "rejected_headers", LOG_BIT(rejected_header), true }, /* Exim: an old spelling */
    ROW_ON(retry_defer),
    ROW(return_path_on_delivery),
    ROW(sender_on_delivery),
    ROW_ON(sender_verify_fail),
    ROW_ON(size_reject),
    ROW_ON(skip_delivery),
    ROW_ON(smtp_confirmation),
    ROW(smtp_connection),
    ROW(smtp_incomplete_transaction),
    ROW(smtp_mailauth),
    ROW(smtp_no_mail),
    ROW(smtp_protocol_error),
    ROW(smtp_syntax_error),
    ROW(subject),
    ROW_ON(tls_certificate_verified),
    ROW_ON(tls_cipher),
    ROW(tls_peerdn),
    ROW(tls_sni),
    ROW(tls_verified_name),
    ROW(unknown_in_list),
};
/* clang-format on */

uint64_t log_selector_default(void)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < ARRAY_LEN(selectors); i++)
        if (selectors[i].standard)
            bits |= selectors[i].bits;
    return bits;
}

const char *log_selector_name(int bit)
{
    for (size_t i = 0; i < ARRAY_LEN(selectors); i++)
        if (bit >= 0 && bit < L_COUNT && selectors[i].bits == (uint64_t)1 << bit)
            return selectors[i].name;
    return NULL;
}

bool log_selector_parse(const char *spec, uint64_t *bits, struct arena *a, struct err *err)
{
    uint64_t set = log_selector_default();

    for (const char *s = cstr_skip_space(spec); *s != '\0'; s = cstr_skip_space(s)) {
        char sign = *s++;

        if (sign == '=')
            return err_set(err, a, "numeric log_selector setting is not supported: =%s", s);
        if (sign != '+' && sign != '-')
            return err_set(err, a,
                           "malformed log_selector setting: + or - expected but found \"%s\"",
                           s - 1);
        size_t len = 0;
        while (is_alnum(s[len]) || s[len] == '_')
            len++;
        const char *name = arena_strndup(a, s, len);
        const struct selector *sel = TABLE_FIND(selectors, name);
        if (sel == NULL)
            return err_set(err, a, "unknown log_selector setting: %c%s", sign, name);
        set = sign == '+' ? set | sel->bits : set & ~sel->bits;
        s += len;
    }
    *bits = set & (((uint64_t)1 << (L_COUNT - 1) << 1) - 1);
    return true;
}
