#include "message.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/hash.h"

enum { RECIPIENTS_FIRST = 4 };

struct message *message_new(const char *arena_name)
{
    struct arena *a = arena_new(arena_name);
    struct message *m = arena_new_obj(a, struct message);

    m->arena = a;
    m->body.fd = -1;
    m->deliver_firsttime = true;
    header_list_init(&m->headers);
    return m;
}

void message_free(struct message **mp)
{
    if (*mp == NULL)
        return;
    struct arena *a = (*mp)->arena;
    *mp = NULL;
    arena_destroy(&a);
}

struct recipient *message_add_recipient(struct message *m, const char *address,
                                        int parent)
{
    if (m->recipient_count == m->recipient_cap) {
        size_t cap = m->recipient_cap == 0 ? RECIPIENTS_FIRST : m->recipient_cap * 2;
        size_t one = sizeof(struct recipient);

        m->recipients =
            arena_realloc(m->arena, m->recipients, m->recipient_cap * one, cap * one);
        m->recipient_cap = cap;
    }
    struct recipient *r = &m->recipients[m->recipient_count++];
    *r = (struct recipient){ .address = arena_strdup(m->arena, address),
                             .parent = parent };
    return r;
}

unsigned message_notify_without_success(unsigned dsn_flags)
{
    unsigned asked = dsn_flags & DSN_NOTIFY_MASK;

    return asked == DSN_SUCCESS ? DSN_NEVER : asked & ~(unsigned)DSN_SUCCESS;
}

bool message_is_nonrecipient(const struct message *m, const char *address)
{
    return m->nonrecipients != NULL && hash_find(m->nonrecipients, address) != NULL;
}

void message_add_nonrecipient(struct message *m, const char *address)
{
    if (m->nonrecipients == NULL)
        m->nonrecipients = hash_new(m->arena, false);
    char *copy = arena_strdup(m->arena, address);
    if (hash_find(m->nonrecipients, copy) == NULL)
        (void)hash_put(m->nonrecipients, copy, copy);
}

bool body_is_there(const struct body *b)
{
    return b->text != NULL || b->fd >= 0;
}

ssize_t body_read(const struct body *b, void *p, size_t n, off_t at)
{
    if (at < 0 || at >= b->size)
        return 0;
    if (n > (uint64_t)(b->size - at))
        n = (size_t)(b->size - at);
    if (b->text == NULL)
        return fd_pread_full(b->fd, p, n, b->start + at);
    memcpy(p, b->text + at, n);
    return (ssize_t)n;
}

const char *message_body_text(struct message *m, size_t max, bool end, bool keep_newlines)
{
    if (!body_is_there(&m->body) || m->body.size <= 0)
        return "";
    size_t size = (uint64_t)m->body.size > max ? max : (size_t)m->body.size;
    off_t at = end ? m->body.size - (off_t)size : 0;
    char *text = arena_alloc(m->arena, size + 1, 1);
    ssize_t got = body_read(&m->body, text, size, at);
    if (got < 0)
        return "";
    text[got] = '\0';
    for (ssize_t i = 0; i < got; i++)
        if (text[i] == '\0' || (text[i] == '\n' && !keep_newlines))
            text[i] = ' ';
    return text;
}
