#include "match/match_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"

enum { RUN_MIN = 8 };

/* ---- nets as ranges ---- */

static int compare_range(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(((struct net_range *)0)->from));
}

static struct net_range range_of(const struct ip *ip, unsigned bits)
{
    struct net_range r = { 0 };
    size_t n = ip->family == 4 ? 4 : 16;

    for (size_t i = 0; i < n; i++) {
        unsigned left = bits > i * 8 ? bits - (unsigned)i * 8 : 0;
        unsigned char mask = (unsigned char)(left >= 8 ? 0xff : 0xff00 >> left);

        r.from[i] = ip->bytes[i] & mask;
        r.to[i] = ip->bytes[i] | (unsigned char)~mask;
    }
    return r;
}

/* Nets are nested or apart, so dropping those inside the one before leaves disjoint
 * ranges. */
static size_t disjoin(struct net_range *v, size_t n)
{
    size_t kept = 0;

    if (n == 0)
        return 0;
    qsort(v, n, sizeof(*v), compare_range);
    for (size_t i = 1; i < n; i++) {
        if (memcmp(v[i].from, v[kept].to, sizeof(v[i].from)) > 0)
            v[++kept] = v[i];
        else if (memcmp(v[i].to, v[kept].to, sizeof(v[i].to)) > 0)
            memcpy(v[kept].to, v[i].to, sizeof(v[i].to));
    }
    return kept + 1;
}

static const struct net_set *make_nets(struct arena *a, const struct match_item *items,
                                       size_t n)
{
    struct net_set *set = arena_new_obj(a, struct net_set);

    set->v4 = arena_new_array(a, struct net_range, n);
    set->v6 = arena_new_array(a, struct net_range, n);
    for (size_t i = 0; i < n; i++) {
        struct net_range r = range_of(&items[i].u.net.ip, items[i].u.net.bits);

        if (items[i].u.net.ip.family == 4)
            set->v4[set->v4_count++] = r;
        else
            set->v6[set->v6_count++] = r;
    }
    set->v4_count = disjoin(set->v4, set->v4_count);
    set->v6_count = disjoin(set->v6, set->v6_count);
    return set;
}

bool match_group_has_ip(const struct net_set *set, const struct ip *ip)
{
    const struct net_range *v = ip->family == 4 ? set->v4 : set->v6;
    size_t low = 0, high = ip->family == 4 ? set->v4_count : set->v6_count;
    size_t n = ip->family == 4 ? 4 : 16;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (memcmp(ip->bytes, v[mid].from, n) < 0)
            high = mid;
        else if (memcmp(ip->bytes, v[mid].to, n) > 0)
            low = mid + 1;
        else
            return true;
    }
    return false;
}

/* ---- names ---- */

static const struct hash *make_names(struct arena *a, const struct match_item *items,
                                     size_t n)
{
    struct hash *names = hash_new(a, true);
    static const char present[] = "";

    for (size_t i = 0; i < n; i++)
        hash_put(names, items[i].text, unconst(present));
    return names;
}

/* ---- runs ---- */

static bool groupable(enum list_kind kind, const struct match_item *item)
{
    if (kind == LIST_HOST)
        return item->kind == ITEM_NET;
    return kind == LIST_DOMAIN && item->kind == ITEM_LITERAL && *item->text != '\0';
}

size_t match_group_items(struct arena *a, enum list_kind kind, struct match_item *items,
                         size_t n)
{
    size_t kept = 0;

    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (groupable(kind, &items[i]))
            while (end < n && groupable(kind, &items[end]) &&
                   items[end].negated == items[i].negated)
                end++;
        if (end - i < RUN_MIN) {
            memmove(&items[kept], &items[i], (end - i) * sizeof(*items));
            kept += end - i;
            continue;
        }
        struct match_item group = { .negated = items[i].negated, .text = items[i].text };
        group.kind = kind == LIST_HOST ? ITEM_NETS : ITEM_NAMES;
        if (kind == LIST_HOST)
            group.u.nets = make_nets(a, items + i, end - i);
        else
            group.u.names = make_names(a, items + i, end - i);
        items[kept++] = group;
    }
    return kept;
}
