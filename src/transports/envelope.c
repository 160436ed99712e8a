#include "transports/envelope.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/idn2.h"
#include "header.h"
#include "message.h"
#include "parse.h"
#include "transports/transport.h"

static bool has_8bit(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s >= 0x80)
            return true;
    return false;
}

/* ---- RFC 3461 ---- */

bool envelope_passes_dsn(const struct address *addr)
{
    return !addr->dsn_null_from_list && (addr->dsn_flags & DSN_LASTHOP) == 0;
}

void envelope_add_mail_dsn(struct buf *b, const struct message *m)
{
    if (m->dsn_ret != DSN_RET_NONE)
        buf_printf(b, " RET=%s", m->dsn_ret == DSN_RET_FULL ? "FULL" : "HDRS");
    if (m->dsn_envid != NULL)
        buf_printf(b, " ENVID=%s", m->dsn_envid);
}

static void add_notify(struct buf *b, unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *word;
    } words[] = { { DSN_NEVER, "NEVER" }, { DSN_SUCCESS, "SUCCESS" }, { DSN_FAILURE, "FAILURE" }, { DSN_DELAY, "DELAY" } };
    const char *before = " NOTIFY=";

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((flags & words[i].flag) == 0)
            continue;
        buf_printf(b, "%s%s", before, words[i].word);
        before = ",";
    }
}

static const char *wire_orcpt(struct arena *a, const char *orcpt, bool utf8)
{
    const char *semi = strchr(orcpt, ';'), *plain;

    if (utf8 || !has_8bit(orcpt) || semi == NULL)
        return orcpt;
    plain = parse_unitext_decode(a, semi + 1, true);
    return plain == NULL
               ? orcpt
               : arena_printf(a, "%.*s;%s", (int)(semi - orcpt), orcpt, parse_unitext_encode(a, plain));
}

void envelope_add_rcpt_dsn(struct arena *a, struct buf *b, const struct address *addr, bool utf8)
{
    add_notify(b, addr->dsn_flags & DSN_NOTIFY_MASK);
    if (addr->dsn_orcpt != NULL)
        buf_printf(b, " ORCPT=%s", wire_orcpt(a, addr->dsn_orcpt, utf8));
}

/* ---- RFC 6531 ---- */

bool envelope_needs_utf8(const struct transport_call *call)
{
    const struct message *m = call->message;

    if (!m->smtputf8)
        return false;
    if (has_8bit(call->return_path) || m->report_of != NULL) /* its parts are not ASCII */
        return true;
    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        if (has_8bit(addr->address))
            return true;
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (has_8bit(h->text))
            return true;
    return false;
}

const char *envelope_to_ascii(struct arena *a, const char *address)
{
    const char *domain = strrchr(address, '@');
    char *ascii = NULL;

    if (!has_8bit(address))
        return address;
    if (domain == NULL || has_8bit(arena_strndup(a, address, (size_t)(domain - address))))
        return NULL;
    if (idn2()->to_ascii_8z(domain + 1, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return NULL;
    const char *out = arena_printf(a, "%.*s@%s", (int)(domain - address), address, ascii);

    idn2()->free(ascii);
    return out;
}
