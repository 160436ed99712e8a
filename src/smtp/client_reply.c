#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "smtp/client.h"

enum { STATUS_MAX = 12 };

enum client_line client_reply_line(struct str line, int *code)
{
    const char *p = line.p;

    if (line.len < 3 || !is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) ||
        p[0] < '1' || p[0] > '5')
        return CLIENT_LINE_BAD;
    if (line.len > 3 && p[3] != ' ' && p[3] != '-')
        return CLIENT_LINE_BAD;
    if (*code == 0)
        *code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    return line.len > 3 && p[3] == '-' ? CLIENT_LINE_MORE : CLIENT_LINE_LAST;
}

void client_reply_add(struct buf *text, struct str line)
{
    while (line.len > 3 && (line.p[line.len - 1] == ' ' || line.p[line.len - 1] == '\t'))
        line.len--;
    if (text->len > 0)
        buf_add_char(text, '\n');
    for (size_t i = 0; i < line.len; i++) /* texts are C strings from here on */
        buf_add_char(text, line.p[i] == '\0' ? ' ' : line.p[i]);
}

ptrdiff_t client_reply_parse(const char *p, size_t len, int *code, struct buf *text)
{
    size_t at = 0;

    *code = 0;
    buf_clear(text);
    for (;;) {
        const char *end = memchr(p + at, '\n', len - at);

        if (end == NULL)
            return len > CLIENT_REPLY_MAX ? -1 : 0;
        struct str line = { p + at, (size_t)(end - (p + at)) };

        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        at = (size_t)(end - p) + 1;
        client_reply_add(text, line);
        switch (client_reply_line(line, code)) {
        case CLIENT_LINE_BAD:
            return -1;
        case CLIENT_LINE_LAST:
            return text->full ? -1 : (ptrdiff_t)at;
        case CLIENT_LINE_MORE:
            break;
        }
        if (text->full)
            return -1;
    }
}

const char *client_reply_status(struct arena *a, const char *text)
{
    size_t len = strlen(text);

    if (len < 9 || (text[3] != ' ' && text[3] != '-') || text[4] != text[0] ||
        text[5] != '.')
        return NULL;
    const char *s = text + 6;
    size_t subject = strspn(s, "0123456789");

    if (subject < 1 || subject > 3 || s[subject] != '.')
        return NULL;
    size_t detail = strspn(s + subject + 1, "0123456789");
    char end = detail > 0 ? s[subject + 1 + detail] : 'x';

    if (detail < 1 || detail > 3 || (end != '\0' && end != ' ' && end != '\n'))
        return NULL;
    _Static_assert(STATUS_MAX >= 2 + 3 + 1 + 3 + 1, "5.nnn.nnn");
    return arena_strndup(a, text + 4, 2 + subject + 1 + detail);
}

/* ---- Capabilities ---- */
static const struct {
    const char *name;
    unsigned bit;
} cap_names[] = {
    { "STARTTLS", CLIENT_STARTTLS },     { "AUTH", CLIENT_AUTH },
    { "PIPELINING", CLIENT_PIPELINING }, { "SIZE", CLIENT_SIZE },
    { "8BITMIME", CLIENT_8BITMIME },     { "DSN", CLIENT_DSN },
    { "CHUNKING", CLIENT_CHUNKING },     { "PRDR", CLIENT_PRDR },
    { "SMTPUTF8", CLIENT_SMTPUTF8 },     { "IGNOREQUOTA", CLIENT_IGNOREQUOTA },
};

static void read_size(const char *s, struct client_caps *out)
{
    int64_t n = 0;

    for (s = cstr_skip_space(s); is_digit(*s); s++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *s - '0', &n))
            return;
    out->size = n;
}

static void read_cap(struct arena *a, const char *line, struct client_caps *out)
{
    size_t word = strcspn(line, " =");

    for (size_t i = 0; i < ARRAY_LEN(cap_names); i++) {
        if (strlen(cap_names[i].name) != word || !cstr_istarts(line, cap_names[i].name))
            continue;
        const char *rest = line[word] != '\0' ? line + word + 1 : "";

        /* "AUTH=LOGIN" is an old form, seen beside the right one; it tells nothing new.
         */
        if (line[word] == '=' && cap_names[i].bit != CLIENT_AUTH)
            return;
        out->set |= cap_names[i].bit;
        if (cap_names[i].bit == CLIENT_SIZE)
            read_size(rest, out);
        if (cap_names[i].bit == CLIENT_AUTH)
            out->auth =
                arena_printf(a, "%s%s%s", out->auth, *out->auth != '\0' ? " " : "", rest);
    }
}

void client_caps_parse(struct arena *a, const char *reply, struct client_caps *out)
{
    const char *line = strchr(reply, '\n'); /* the first line greets */

    *out = (struct client_caps){ .auth = "" };
    while (line != NULL) {
        const char *next = strchr(++line, '\n');
        size_t len = next != NULL ? (size_t)(next - line) : strlen(line);

        if (len > 4)
            read_cap(a, arena_strndup(a, line + 4, len - 4), out);
        line = next;
    }
}

bool client_caps_has_auth(const struct client_caps *c, const char *mechanism)
{
    size_t len = strlen(mechanism);

    for (const char *s = cstr_skip_space(c->auth); *s != '\0';) {
        size_t word = strcspn(s, " \t");

        if (word == len && cstr_istarts(s, mechanism))
            return true;
        s = cstr_skip_space(s + word);
    }
    return false;
}
