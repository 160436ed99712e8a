#include "parse.h"

#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"

enum { SHOWN_MAX = 32 }; /* of the rest that is quoted in "may not follow" */

enum { ADDRESS_MAX = 256 };

struct scan {
    struct arena *a;
    const char *text, *p;
    unsigned flags;
    struct buf local, domain;
    const char *err;
};

static bool fail(struct scan *sc, const char *err)
{
    if (sc->err == NULL)
        sc->err = err;
    return false;
}

/* White space and comments, which nest; an unfinished comment reaches to the end, as in
 * Exim. */
static const char *skip_cfws(const char *s)
{
    int depth = 0;

    for (; *s != '\0'; s++) {
        if (*s == '(')
            depth++;
        else if (*s == ')' && depth > 0)
            depth--;
        else if (depth > 0 && *s == '\\' && s[1] != '\0')
            s++;
        else if (depth == 0 && !is_space(*s))
            break;
    }
    return s;
}

static bool is_atom_char(char c)
{
    return c > ' ' && c != 127 && strchr("()<>@,;:\\\".[]", c) == NULL;
}

/* A quoted string at p, copied with its quotes; needless escapes are dropped. */
static bool read_quoted(struct scan *sc, struct buf *out)
{
    buf_add_char(out, '"');
    for (sc->p++; *sc->p != '"'; sc->p++) {
        if (*sc->p == '\0')
            return fail(sc, "unmatched doublequote in local part");
        if (*sc->p == '\\' && sc->p[1] != '\0')
            sc->p++;
        if (is_cntrl(*sc->p) && *sc->p != '\t')
            return fail(sc, "malformed quoted string in local part");
        if (*sc->p == '"' || *sc->p == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *sc->p);
    }
    buf_add_char(out, '"');
    sc->p++;
    return true;
}

static void read_atom(struct scan *sc, struct buf *out)
{
    while (is_atom_char(*sc->p) ||
           (*sc->p == '\\' && sc->p[1] != '\0' && !is_cntrl(sc->p[1]))) {
        if (*sc->p == '\\')
            buf_add_char(out, *sc->p++);
        buf_add_char(out, *sc->p++);
    }
}

/* Words and dots, in any number of dots (Exim); nothing read leaves local empty. */
static bool read_local_part(struct scan *sc)
{
    bool word_allowed = true;

    buf_clear(&sc->local);
    for (;;) {
        sc->p = skip_cfws(sc->p);
        if (*sc->p == '.') {
            buf_add_char(&sc->local, *sc->p++);
            word_allowed = true;
        } else if (*sc->p == '"' && word_allowed) {
            if (!read_quoted(sc, &sc->local))
                return false;
            word_allowed = false;
        } else if ((is_atom_char(*sc->p) || *sc->p == '\\') && word_allowed) {
            size_t had = sc->local.len;

            read_atom(sc, &sc->local);
            if (sc->local.len == had)
                return true;
            word_allowed = false;
        } else {
            return true;
        }
    }
}

static bool read_literal(struct scan *sc)
{
    const char *end = sc->p + 1;

    while (*end != '\0' && *end != ']')
        if (is_cntrl(*end) || strchr(" []\\<>", *end++) != NULL)
            return fail(sc, "malformed domain literal");
    if (*end != ']')
        return fail(sc, "malformed domain literal");
    if ((sc->flags & PARSE_ALLOW_DOMAIN_LITERAL) == 0)
        return fail(sc, "domain literals not allowed");
    buf_add(&sc->domain, sc->p, (size_t)(end + 1 - sc->p));
    sc->p = end + 1;
    return true;
}

static bool is_domain_char(const struct scan *sc, char c, bool first)
{
    return is_alnum(c) || (c == '-' && !first) ||
           ((uint8_t)c > 127 && (sc->flags & PARSE_ALLOW_UTF8) != 0);
}

static bool read_domain(struct scan *sc)
{
    static const char bad[] = "domain missing or malformed";

    buf_clear(&sc->domain);
    sc->p = skip_cfws(sc->p);
    if (*sc->p == '[')
        return read_literal(sc);
    for (;;) {
        size_t had = sc->domain.len;

        while (is_domain_char(sc, *sc->p, sc->domain.len == had))
            buf_add_char(&sc->domain, *sc->p++);
        if (sc->domain.len == had) {
            if (had == 0 || (sc->flags & PARSE_STRIP_DOT) == 0)
                return fail(sc, bad);
            buf_truncate(&sc->domain, had - 1);
            return true;
        }
        const char *next = skip_cfws(sc->p);
        if (*next != '.')
            return true;
        buf_add_char(&sc->domain, '.');
        sc->p = skip_cfws(next + 1);
    }
}

/* "@a,@b:" of RFC 5321's source routes, which is dropped. */
static bool read_route(struct scan *sc)
{
    bool several = false;

    while (*sc->p == '@') {
        sc->p++;
        if (!read_domain(sc))
            return false;
        sc->p = skip_cfws(sc->p);
        if (*sc->p != ',')
            break;
        several = true;
        sc->p = skip_cfws(sc->p + 1);
    }
    if (*sc->p != ':')
        return fail(sc, several ? "colon expected after route list" : "no local part");
    sc->p++;
    buf_clear(&sc->domain);
    return true;
}

/* The rest after a local part that '@' or an end must follow. */
static bool read_at_domain(struct scan *sc, bool routed)
{
    if (*sc->p == '@') {
        sc->p++;
        return read_domain(sc);
    }
    buf_clear(&sc->domain);
    return !routed || fail(sc, "domain missing in source-routed address");
}

static bool fail_follow(struct scan *sc)
{
    return fail(sc, arena_printf(sc->a, "malformed address: %.*s may not follow %.*s",
                                 SHOWN_MAX, sc->p, (int)(sc->p - sc->text), sc->text));
}

static bool read_angle(struct scan *sc, struct parsed_address *out)
{
    unsigned brackets = 1;
    bool routed = false;

    sc->p = skip_cfws(sc->p + 1);
    while (*sc->p == '<' && (sc->flags & PARSE_STRIP_BRACKETS) != 0) {
        brackets++;
        sc->p = skip_cfws(sc->p + 1);
    }
    out->start = (size_t)(sc->p - sc->text);
    if (*sc->p == '@') {
        routed = true;
        if (!read_route(sc))
            return false;
    }
    if (!read_local_part(sc))
        return false;
    bool empty = sc->local.len == 0;
    if (empty && (*sc->p != '>' || routed || (sc->flags & PARSE_ALLOW_EMPTY) == 0))
        return fail(sc, "missing or malformed local part");
    if (!empty && *sc->p != '@' && *sc->p != '>')
        return fail(sc, arena_printf(sc->a, "\"@\" or \".\" expected after \"%s\"",
                                     buf_cstr(&sc->local)));
    if (!empty && !read_at_domain(sc, routed))
        return false;
    out->end = (size_t)(sc->p - sc->text);
    for (; brackets > 0; brackets--) {
        sc->p = skip_cfws(sc->p);
        if (*sc->p == '\0')
            return fail(sc, "'>' missing at end of address");
        if (*sc->p != '>')
            return fail_follow(sc);
        sc->p++;
    }
    return true;
}

/* The words before '<'. */
static bool skip_phrase(struct scan *sc)
{
    for (;;) {
        sc->p = skip_cfws(sc->p);
        if (*sc->p == '<')
            return true;
        buf_clear(&sc->local);
        if (*sc->p == '.') {
            sc->p++;
        } else if (*sc->p == '"') {
            const char *end = sc->p + 1;

            while (*end != '\0' && *end != '"')
                end += *end == '\\' && end[1] != '\0' ? 2 : 1;
            if (*end == '\0')
                return fail(sc, "unmatched doublequote in local part");
            sc->p = end + 1;
        } else if (is_atom_char(*sc->p) || *sc->p == '\\') {
            const char *from = sc->p;

            read_atom(sc, &sc->local);
            if (sc->p == from)
                sc->p++;
        } else {
            return fail(sc, "missing or malformed local part (expected word or \"<\")");
        }
    }
}

static bool read_bare(struct scan *sc, struct parsed_address *out)
{
    const char *from = sc->p;
    bool routed = *sc->p == '@';

    out->start = (size_t)(sc->p - sc->text);
    if (routed && !read_route(sc))
        return false;
    bool read = read_local_part(sc);
    if (read && sc->local.len > 0 && (*sc->p == '@' || *sc->p == '\0')) {
        if (!read_at_domain(sc, routed))
            return false;
        out->end = (size_t)(sc->p - sc->text);
        while (out->end > out->start && sc->domain.len == 0 &&
               is_space(sc->text[out->end - 1]))
            out->end--;
        return true;
    }
    if (routed)
        return fail(sc, "missing or malformed local part");
    /* It was a phrase, whose quoted strings may hold what a local part's may not. */
    sc->err = NULL;
    sc->p = from;
    return skip_phrase(sc) && read_angle(sc, out);
}

/* RFC 5321 4.5.3.1.3 allows 254 characters; what is far longer is an attack. */
static bool check_length(struct scan *sc, const char *address)
{
    if (strlen(address) <= ADDRESS_MAX)
        return true;
    return fail(sc, arena_printf(sc->a, "address is ridiculously long: %.64s...",
                                 address));
}

bool parse_address(struct arena *a, const char *text, unsigned flags,
                   struct parsed_address *out)
{
    struct scan sc = { .a = a, .text = text, .flags = flags, .p = skip_cfws(text) };

    *out = (struct parsed_address){ 0 };
    sc.local = buf_init(a, BUF_DEFAULT_CEILING);
    sc.domain = buf_init(a, BUF_DEFAULT_CEILING);
    if (*sc.p == '\0' || *sc.p == ';')
        (void)fail(&sc, "empty address");
    else if (*sc.p == '<' ? read_angle(&sc, out) : read_bare(&sc, out)) {
        sc.p = skip_cfws(sc.p);
        if (*sc.p != '\0')
            (void)fail_follow(&sc);
    }
    size_t at = sc.local.len;
    if (sc.domain.len > 0) {
        buf_add_char(&sc.local, '@');
        buf_add_str(&sc.local, buf_view(&sc.domain));
    }
    if (sc.err != NULL || !check_length(&sc, buf_cstr(&sc.local))) {
        out->err = sc.err;
        return false;
    }
    out->address = buf_cstr(&sc.local);
    out->domain = sc.domain.len > 0 ? out->address + at + 1 : NULL;
    return true;
}

/* Length of a quoted string or comment at s, 1 for any other character. */
static size_t skip_unit(const char *s)
{
    const char *p = s;

    if (*s == '(') {
        const char *end = skip_cfws(s);

        while (end > s + 1 && is_space(end[-1]))
            end--;
        return (size_t)(end - s);
    }
    if (*s == '\\' && s[1] != '\0')
        return 2;
    if (*s != '"')
        return 1;
    for (p++; *p != '\0' && *p != '"'; p++)
        if (*p == '\\' && p[1] != '\0')
            p++;
    return (size_t)(p - s) + (*p == '"');
}

/* The end of an element: one of stops outside quotes, comments, angle brackets and
 * literals. */
static const char *find_stop(const char *s, const char *stops)
{
    bool angle = false, literal = false;

    while (*s != '\0') {
        if (!literal && !angle && strchr(stops, *s) != NULL)
            return s;
        if (*s == '<')
            angle = true;
        else if (*s == '>')
            angle = false;
        else if (*s == '[')
            literal = true;
        else if (*s == ']')
            literal = false;
        else if (angle && *s == '\n' && strchr(stops, '\n') != NULL)
            return s;
        s += literal ? 1 : skip_unit(s);
    }
    return s;
}

const char *parse_find_address_end(const char *s, bool newline_ends)
{
    return find_stop(s, newline_ends ? ",\n" : ",");
}

bool parse_each_address(struct arena *a, const char *body, unsigned flags,
                        bool (*fn)(void *arg, const struct parsed_address *p,
                                   const char *raw),
                        void *arg)
{
    bool in_group = false;

    for (const char *s = body; *s != '\0';) {
        s = skip_cfws(s);
        bool routed = *s == '@'; /* a bare source route holds commas and a colon */
        const char *end = find_stop(s, routed ? ";" : ",;:");

        if (*end == ':' && !in_group) {
            in_group = true;
            s = end + 1;
            continue;
        }
        if (*end == ':')
            end = find_stop(s, ",;");
        if (end > s) {
            struct str raw = str_trim((struct str){ s, (size_t)(end - s) });
            const char *copy = arena_strndup(a, raw.p, raw.len);
            struct parsed_address p;

            if (!parse_address(a, copy, flags, &p))
                p.address = NULL;
            p.start += (size_t)(raw.p - body);
            p.end += (size_t)(raw.p - body);
            if (!fn(arg, &p, copy))
                return false;
        }
        if (*end == ';')
            in_group = false;
        s = *end == '\0' ? end : end + 1;
    }
    return true;
}

bool parse_domain_valid(const char *domain, bool allow_literal)
{
    if (domain[0] == '[') {
        size_t len = strlen(domain);

        return allow_literal && len > 2 && domain[len - 1] == ']' &&
               strcspn(domain + 1, " []\\<>") == len - 2;
    }
    for (const char *label = domain;;) {
        size_t n = 0;

        while (is_alnum(label[n]) || label[n] == '-' || (uint8_t)label[n] > 127)
            n++;
        if (n == 0 || label[0] == '-' || (label[n] != '.' && label[n] != '\0'))
            return false;
        if (label[n] == '\0')
            return true;
        label += n + 1;
    }
}
