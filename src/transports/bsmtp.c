#include "transports/bsmtp.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "expand.h"
#include "transports/transport.h"

const char *bsmtp_recipient(struct arena *a, const struct address *addr, bool include_affixes)
{
    /* A pipe or file: the address that was redirected to it. */
    while ((addr->flags & ADDR_PIPE_FILE_REPLY) && addr->parent != NULL)
        addr = addr->parent;
    const char *text = addr->address, *at = strrchr(text, '@');
    size_t cut = addr->prefix == NULL ? 0 : strlen(addr->prefix);
    size_t tail = addr->suffix == NULL ? 0 : strlen(addr->suffix);

    if (include_affixes || (cut == 0 && tail == 0) || at == NULL || (size_t)(at - text) < cut + tail)
        return text;
    /* A quoted local part is quoted anew, without them. */
    if (text[0] == '"')
        return arena_printf(a, "\"%.*s\"%s", (int)(at - text - 2 - (long)(cut + tail)), text + 1 + cut, at);
    return arena_printf(a, "%.*s%s", (int)(at - text - (long)(cut + tail)), text + cut, at);
}

const char *bsmtp_head(struct transport_call *call, bool include_affixes, bool crlf)
{
    struct arena *a = call->ctx->arena;
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    const char *eol = crlf ? "\r\n" : "\n";

    buf_printf(&b, "MAIL FROM:<%s>%s", call->return_path, eol);
    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        buf_printf(&b, "RCPT TO:<%s>%s", bsmtp_recipient(a, addr, include_affixes), eol);
    buf_printf(&b, "DATA%s", eol);
    return buf_cstr(&b);
}
