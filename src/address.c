#include "address.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "message.h"

struct address *address_new(struct arena *a, const char *text)
{
    struct address *addr = arena_new_obj(a, struct address);

    addr->address = addr->unique = arena_strdup(a, text);
    addr->top = addr;
    addr->log_cv = -1;
    return addr;
}

static struct hash *copy_vars(struct arena *a, const struct hash *from)
{
    if (from == NULL)
        return NULL;
    struct hash *to = hash_new(a, false);
    struct hash_iter it = { 0 };
    const char *name;
    void *value;

    while (hash_next(from, &it, &name, &value))
        hash_put(to, name, value);
    return to;
}

static bool is_homonym(const struct address *parent, const char *text)
{
    for (; parent != NULL; parent = parent->parent)
        if (cstr_ieq(parent->address, text))
            return true;
    return false;
}

struct address *address_child(struct arena *a, struct address *parent, const char *text)
{
    struct address *addr = address_new(a, text);

    addr->parent = parent;
    addr->top = parent->top;
    addr->recipient = parent->recipient;
    addr->pno = parent->pno;
    addr->errors_to = parent->errors_to;
    addr->address_data = parent->address_data;
    addr->extra_headers = parent->extra_headers;
    addr->remove_headers = parent->remove_headers;
    addr->router_vars = copy_vars(a, parent->router_vars);
    addr->flags = parent->flags & (ADDR_HIDE_CHILD | ADDR_IGNORE_ERROR);
    /* features.txt: a redirection passes no DSN option on; but who asked for no failure or delay report
     * hears nothing about the addresses made from his either. */
    addr->dsn_flags = message_notify_without_success(parent->dsn_flags);
    addr->dsn_null_from_list = true;
    addr->list_child = parent->list_child;
    /* An address among its own ancestors is another delivery: the router core words its name once
     * it is known which transport takes it. */
    if (is_homonym(parent, text))
        addr->unique = arena_printf(a, "%s/%s", addr->address, parent->unique);
    return addr;
}

/* Takes quotes and backslashes out of a quoted local part. */
static const char *unquoted(struct arena *a, const char *p, size_t n)
{
    char *out = arena_strndup(a, p, n), *t = out;

    if (memchr(p, '"', n) == NULL && memchr(p, '\\', n) == NULL)
        return out;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"')
            continue;
        if (p[i] == '\\' && i + 1 < n)
            i++;
        *t++ = p[i];
    }
    *t = '\0';
    return out;
}

bool address_split(struct arena *a, struct address *addr)
{
    const char *at = strrchr(addr->address, '@');

    if (at == NULL)
        return false;
    addr->domain = cstr_lower(a, at + 1);
    addr->cc_local_part = unquoted(a, addr->address, (size_t)(at - addr->address));
    addr->lc_local_part = cstr_lower(a, addr->cc_local_part);
    addr->local_part = addr->cc_local_part;
    return true;
}
