/* match_int.h - insides of the list matcher: what an item is, and who tests which kind.
 *
 * A list is parsed into items once when it is constant, else for each use. Runs of plain names or of
 * addresses with the same sign become one item that is looked into by hash or binary search. */
#ifndef EXIM_MATCH_INT_H
#define EXIM_MATCH_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"
#include "expand.h"
#include "match.h"
#include "search.h"

struct hash;
struct regex;

enum item_kind {
    ITEM_LITERAL,    /* text */
    ITEM_ANY,        /* "*" */
    ITEM_SUFFIX,     /* "*text" */
    ITEM_REGEX, ITEM_LOOKUP, ITEM_NAMED, ITEM_FILE,
    ITEM_PRIMARY,    /* "@" */
    ITEM_LITERALS,   /* "@[]" */
    ITEM_MX,         /* "@mx_..." */
    ITEM_NET,        /* host lists: address or net */
    ITEM_SWITCH,     /* "+include_unknown" and the like */
    ITEM_CASEFUL,    /* "+caseful" */
    ITEM_ADDRESS,    /* address lists: local@domain */
    ITEM_DOMAIN,     /* address lists: only a domain */
    ITEM_BY_DOMAIN,  /* address lists: "@@lookup" */
    ITEM_NAMES,      /* a run of literals */
    ITEM_NETS,       /* a run of addresses and nets */
    ITEM_BAD,        /* something that can only fail, with its reason */
};

enum item_switch { SWITCH_INCLUDE_UNKNOWN, SWITCH_IGNORE_UNKNOWN, SWITCH_INCLUDE_DEFER, SWITCH_IGNORE_DEFER };
enum item_mx { MX_ANY, MX_PRIMARY, MX_SECONDARY };

/* Disjoint ranges of addresses of one family, in order. */
struct net_range { unsigned char from[16], to[16]; };
struct net_set {
    struct net_range *v4, *v6;
    size_t v4_count, v6_count;
};

struct match_item {
    enum item_kind kind;
    bool negated;
    const char *text; /* the pattern without its "!" */
    union {
        struct { const struct regex *caseless, *caseful; } regex; /* caseful: NULL for domains and hosts */
        struct {
            struct search_type type;
            const char *data;  /* file, or query */
            bool net;          /* keyed by address */
            int bits;          /* netN-, -1: none */
        } lookup;
        struct { struct ip ip; unsigned bits; } net;
        struct { enum item_mx which; const struct match_list *ignore; } mx;
        enum item_switch sw;
        struct { const char *local; const struct match_item *domain; } address;
        const struct hash *names;
        const struct net_set *nets;
    } u;
};

struct match_program {
    const struct match_item *items;
    size_t count;
    bool costly; /* lookups, DNS, files or regexes: named lists of this kind are remembered */
};

enum { MATCH_DEPTH_MAX = 500 };

/* What one test of a list item says. */
enum match_rc { MATCH_NO, MATCH_YES, MATCH_UNKNOWN /* host data missing */, MATCH_DEFER };

/* The thing tested, and how. Made on the stack by match.c for each use of a list. */
struct match_subject {
    struct expand_ctx *ctx;
    enum list_kind kind;
    const char *text;      /* as given; host lists: address text, "" for a local submission */
    const char *folded;    /* in lower case: compared while caseless */
    const char *kept;      /* compared after +caseful: only the domain of an address is folded */
    bool caseless;
    int captured;          /* captures that were there before this list: kept; -1: capture nothing */
    bool ip_only;          /* match_ip: names cannot be looked up */
    bool session_host;     /* the client: results of named lists may be remembered */
    bool expanded;         /* out: a list on the way was not constant */
    struct match_host_subject *host;
    struct ip ip;          /* host lists; family 0 when text is no address */
    const char *data;      /* out: looked-up text */
    const char *why;       /* out: MATCH_UNKNOWN */
    const struct match_item *matched; /* out: which decided; NULL: the end */
};
/* What comparisons look at just now. */
static inline const char *match_subject_text(const struct match_subject *s)
{
    return s->caseless ? s->folded : s->kept;
}

/* ---- compile.c ---- */
const struct match_program *match_compile_program(struct arena *a, enum list_kind kind, const char *text,
                                                  struct err *err);
/* One pattern without its sign. `kind` tells what patterns there are. */
bool match_compile_item(struct arena *a, enum list_kind kind, const char *text, struct match_item *out,
                        struct err *err);
/* Lines of a file as a program; `kind` tells what a comment is. */
const struct match_program *match_compile_lines(struct arena *a, enum list_kind kind, const char *text,
                                                struct err *err);

/* ---- group.c ---- */
/* Joins runs of literals and nets; returns the new count. */
size_t match_group_items(struct arena *a, enum list_kind kind, struct match_item *items, size_t n);
bool match_group_has_ip(const struct net_set *set, const struct ip *ip);

/* ---- match.c ---- */
/* The whole list, expanded if need be. */
enum rc match_list_run(struct match_subject *s, const struct match_list *l);

/* ---- item.c ---- */
/* Items that domain, local part and address lists share. */
enum match_rc match_item_string(struct match_subject *s, const struct match_item *item);
enum match_rc match_item_named(struct match_subject *s, const struct match_item *item);
enum match_rc match_item_regex(struct match_subject *s, const struct match_item *item,
                               const char *subject);
enum match_rc match_item_lookup(struct match_subject *s, const struct match_item *item, const char *key);
void match_item_capture(struct match_subject *s, const char *text, size_t len);

/* ---- file.c ---- */
/* The lines of a file as items; NULL with ctx->err. */
const struct match_program *match_file_program(struct match_subject *s, const char *path);

/* ---- address.c, host.c ---- */
enum match_rc match_address_item(struct match_subject *s, const struct match_item *item);
enum match_rc match_host_item(struct match_subject *s, const struct match_item *item);

#endif
