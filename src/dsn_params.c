#include "dsn.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "parse.h"

enum { ENVID_MAX = 100, ORCPT_MAX = 500 }; /* RFC 3461 sections 4.4, 4.2 */

bool dsn_parse_ret(const char *value, enum dsn_ret *out, const char **why)
{
    if (value != NULL && cstr_ieq(value, "FULL"))
        *out = DSN_RET_FULL;
    else if (value != NULL && cstr_ieq(value, "HDRS"))
        *out = DSN_RET_HDRS;
    else {
        *why = "Value for RET is invalid";
        return false;
    }
    return true;
}

bool dsn_parse_envid(struct arena *a, const char *value, const char **out, const char **why)
{
    if (value == NULL || *value == '\0' || strlen(value) > ENVID_MAX || parse_xtext_decode(a, value) == NULL) {
        *why = "Value for ENVID is invalid";
        return false;
    }
    *out = arena_strdup(a, value);
    return true;
}

static unsigned notify_keyword(struct str word)
{
    static const struct { struct str name; unsigned flag; } words[] = {
        { { "NEVER", 5 }, DSN_NEVER }, { { "SUCCESS", 7 }, DSN_SUCCESS },
        { { "FAILURE", 7 }, DSN_FAILURE }, { { "DELAY", 5 }, DSN_DELAY } };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_ieq(word, words[i].name))
            return words[i].flag;
    return 0;
}

bool dsn_parse_notify(const char *value, unsigned *flags, const char **why)
{
    unsigned all = 0;
    const char *p = value == NULL ? "" : value;

    *why = "Invalid value for NOTIFY parameter";
    for (;;) {
        size_t n = strcspn(p, ",");
        unsigned f = notify_keyword((struct str){ p, n });
        if (f == 0)
            return false;
        all |= f;
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    if ((all & DSN_NEVER) && all != DSN_NEVER)
        return false;
    *flags = all;
    return true;
}

/* addr-type of RFC 3461 is an atom of RFC 822. */
static bool is_atom(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_print(s.p[i]) || strchr("()<>@,;:\\\".[] ", s.p[i]) != NULL)
            return false;
    return s.len > 0;
}

bool dsn_parse_orcpt(struct arena *a, const char *value, bool smtputf8, const char **out, const char **why)
{
    const char *semi = value == NULL ? NULL : strchr(value, ';');
    bool ok = semi != NULL && strlen(value) <= ORCPT_MAX &&
              is_atom((struct str){ value, (size_t)(semi - value) });

    if (ok && cstr_istarts(value, "utf-8;"))
        ok = parse_unitext_decode(a, semi + 1, smtputf8) != NULL; /* RFC 6533 section 3 */
    else if (ok)
        ok = semi[1] != '\0' && parse_xtext_decode(a, semi + 1) != NULL;
    if (!ok) {
        *why = "Value for ORCPT is invalid";
        return false;
    }
    *out = arena_strdup(a, value);
    return true;
}
