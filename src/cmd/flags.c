#include "cmd/parse_int.h"

#include <string.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "base/table.h"

/* ---- Modes ---- */

/* clang-format off */
static const struct cmd_mode modes[] = {
    { "M",    CMD_PROD_ADMIN | CMD_NEEDS_BROKER,  cmd_M },
    { "Mar",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mc",   CMD_PROD_ADMIN | CMD_NEEDS_BROKER,  cmd_M },
    { "Mes",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mf",   CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mg",   CMD_NEEDS_ADMIN | CMD_NEEDS_BROKER, cmd_Mop },
    { "Mmad", CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mmd",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mrm",  CMD_DROPS_ROOT,                     cmd_Mop }, /* the message's own user may, too */
    { "Mt",   CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mvb",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mvc",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mvh",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
    { "Mvl",  CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_Mop },
#ifdef EXPERIMENTAL_PROXY
    { "bI:proxy", CMD_NEEDS_ADMIN | CMD_DROPS_ROOT, cmd_bI_proxy },
#endif
    { "bP",   0,                                  cmd_bP },
    { "bS",   CMD_NEEDS_BROKER,                   cmd_bs },
    { "bV",   0,                                  cmd_bV },
    { "bd",   CMD_NEEDS_ADMIN,                    cmd_bd }, /* makes its broker when ports are bound */
    { "bdf",  CMD_NEEDS_ADMIN,                    cmd_bd },
    { "be",   CMD_CHECK_ADMIN | CMD_DROPS_TO_CALLER, cmd_be },
    { "bem",  CMD_CHECK_ADMIN | CMD_DROPS_TO_CALLER, cmd_be },
    { "bh",   CMD_NEEDS_BROKER,                   cmd_bh },
    { "bhc",  CMD_NEEDS_BROKER,                   cmd_bh },
    { "bi",   CMD_DROPS_TO_CALLER,                cmd_bi },
    { "bm",   CMD_NEEDS_BROKER,                   cmd_bm },
    { "bp",   CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpa",  CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpc",  CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpi",  CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpr",  CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpra", CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpru", CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "bpu",  CMD_LIST_ADMIN | CMD_DROPS_ROOT,    cmd_bp_queue },
    { "brt",  CMD_DROPS_ROOT,                     cmd_brt },
    { "brw",  CMD_DROPS_ROOT,                     cmd_brw },
    { "bs",   CMD_NEEDS_BROKER,                   cmd_bs },
    { "bt",   CMD_CHECK_ADMIN | CMD_NEEDS_BROKER, cmd_bt },
    { "btls", CMD_NEEDS_ADMIN | CMD_NEEDS_BROKER, cmd_btls },
    { "bv",   CMD_CHECK_ADMIN | CMD_NEEDS_BROKER, cmd_bv },
    { "bvs",  CMD_CHECK_ADMIN | CMD_NEEDS_BROKER, cmd_bv },
    { "q",    CMD_PROD_ADMIN | CMD_NEEDS_BROKER,  cmd_q },
    { "z",    CMD_NEEDS_ADMIN | CMD_DROPS_ROOT,   cmd_z },
};
/* clang-format on */

const struct cmd_mode *parse_mode(const char *name)
{
    const struct cmd_mode *m = TABLE_FIND(modes, name);

    if (m == NULL)
        bug("no mode %s", name);
    return m;
}

/* ---- Flags ---- */

#define M(member) offsetof(struct cmd_line, member)
#define IGNORE(n)                                                                        \
    {                                                                                    \
        n, FLAG_IGNORE, 0, NULL, NULL                                                    \
    }
#define IGNORE_REST(n)                                                                   \
    {                                                                                    \
        n, FLAG_IGNORE_REST, 0, NULL, NULL                                               \
    }
#define IGNORE_TEXT(n)                                                                   \
    {                                                                                    \
        n, FLAG_IGNORE_TEXT, 0, NULL, NULL                                               \
    }
#define ON(n, m)                                                                         \
    {                                                                                    \
        n, FLAG_ON, _Generic(((struct cmd_line *)0)->m, bool : M(m)), NULL, NULL         \
    }
#define NEXT(n, m)                                                                       \
    {                                                                                    \
        n, FLAG_NEXT, M(m), NULL, NULL                                                   \
    }
#define TEXT(n, m)                                                                       \
    {                                                                                    \
        n, FLAG_TEXT, M(m), NULL, NULL                                                   \
    }
#define MODE(n)                                                                          \
    {                                                                                    \
        n, FLAG_MODE, 0, NULL, NULL                                                      \
    }
#define CALL(n, fn)                                                                      \
    {                                                                                    \
        n, FLAG_CALL, 0, fn, NULL                                                        \
    }
#define CALL_REST(n, fn)                                                                 \
    {                                                                                    \
        n, FLAG_CALL_REST, 0, fn, NULL                                                   \
    }
#define UNBUILT(n, w)                                                                    \
    {                                                                                    \
        n, FLAG_UNBUILT, 0, NULL, w                                                      \
    }
#define UNBUILT_REST(n, w)                                                               \
    {                                                                                    \
        n, FLAG_UNBUILT_REST, 0, NULL, w                                                 \
    }
#define INTERNAL "Exim's way to call itself, which this implementation does not need"

/* clang-format off */
static const struct flag flags[] = {
    IGNORE("-"),
#ifdef EXPERIMENTAL_DSN
    CALL_REST("-dsn-envid=", parse_dsn_envid),
    CALL_REST("-dsn-notify=", parse_dsn_notify),
    CALL_REST("-dsn-ret=", parse_dsn_ret),
#endif
    CALL("-help", parse_help),
    CALL("-version", parse_version),
    IGNORE("Ac"),
    IGNORE("Am"),
    IGNORE_REST("B"),
    CALL_REST("C", parse_config_files),
    CALL_REST("D", parse_macro),
    IGNORE_REST("E"),
    TEXT("F", sender_name),
    ON("G", suppress_fixups),
    TEXT("L", log_tag),
    MODE("M"),
    UNBUILT_REST("MC", INTERNAL),
    UNBUILT("MG", "named queues"),
    MODE("Mar"),
    MODE("Mc"),
    MODE("Mes"),
    MODE("Mf"),
    MODE("Mg"),
    MODE("Mmad"),
    MODE("Mmd"),
    MODE("Mrm"),
    CALL("Mset", parse_test_message),
    MODE("Mt"),
    MODE("Mvb"),
    MODE("Mvc"),
    MODE("Mvh"),
    MODE("Mvl"),
    CALL("N", parse_no_delivery),
    IGNORE_TEXT("O"),
    CALL_REST("R", parse_select),
    CALL_REST("S", parse_select),
    IGNORE("U"),
    { "X", FLAG_IGNORE_TEXT, 0, NULL, "string" },
    UNBUILT("atrn", "ATRN"),
    UNBUILT_REST("bF", "Exim and Sieve filters"),
    CALL_REST("bI:", parse_information),
    UNBUILT_REST("bI:dscp", "DSCP"),
#ifdef EXPERIMENTAL_PROXY
    MODE("bI:proxy"),
#endif
    UNBUILT_REST("bI:sieve", "Sieve filters"),
    MODE("bP"),
    MODE("bS"),
    MODE("bV"),
    MODE("bd"),
    MODE("bdf"),
    MODE("be"),
    CALL("bem", parse_file),
    UNBUILT_REST("bf", "Exim and Sieve filters"),
    CALL("bh", parse_host),
    CALL("bhc", parse_host),
    MODE("bi"),
    MODE("bm"),
    UNBUILT("bmalware", "content scanning"),
    ON("bnq", no_qualify),
    MODE("bp"),
    MODE("bpa"),
    MODE("bpc"),
    MODE("bpi"),
    MODE("bpr"),
    MODE("bpra"),
    MODE("bpru"),
    MODE("bpu"),
    MODE("brt"),
    MODE("brw"),
    MODE("bs"),
    MODE("bt"),
    MODE("btls"),
    MODE("bv"),
    MODE("bvs"),
    UNBUILT_REST("bw", "the daemon that inetd starts"),
    CALL_REST("d", parse_debug),
    IGNORE("dropcr"),
    CALL_REST("e", parse_errors),
    CALL_REST("f", parse_sender),
    IGNORE_TEXT("h"),
    CALL("i", parse_no_dot),
    IGNORE("m"),
    ON("n", no_labels),
    NEXT("oA", oA),
    CALL_REST("oB", parse_connection_messages),
    CALL("oMa", parse_host),
    NEXT("oMaa", oMaa),
    NEXT("oMai", oMai),
    NEXT("oMas", oMas),
    CALL("oMi", parse_host),
    CALL("oMm", parse_message_ref),
    NEXT("oMr", oMr),
    NEXT("oMs", oMs),
    NEXT("oMt", oMt),
    NEXT("oP", daemon.oP),
    UNBUILT("oPX", INTERNAL),
    NEXT("oX", daemon.oX),
    UNBUILT("oY", "the daemon's notifier socket"),
    CALL_REST("od", parse_delivery),
    CALL_REST("oe", parse_errors),
    CALL("oi", parse_no_dot),
    CALL("oitrue", parse_no_dot),
    IGNORE("om"),
    IGNORE("oo"),
    CALL_REST("or", parse_timeout),
    CALL_REST("os", parse_timeout),
    ON("ov", verbose),
    CALL_REST("p", parse_protocol),
    UNBUILT("pd", "embedded Perl"),
    UNBUILT("ps", "embedded Perl"),
    CALL_REST("q", parse_queue),
    CALL_REST("qR", parse_select),
    CALL_REST("qS", parse_select),
    CALL_REST("r", parse_sender),
    ON("t", extract_recipients),
    CALL("ti", parse_ti),
    ON("tls-on-connect", daemon.tls_on_connect),
    ON("v", verbose),
    IGNORE("x"),
    { "z", FLAG_NEXT, M(log_text), NULL, "file name" }, /* Exim asks for that */
};
/* clang-format on */

const struct flag *parse_flag_at(size_t i)
{
    return i < ARRAY_LEN(flags) ? &flags[i] : NULL;
}

static bool takes_rest(enum flag_kind kind)
{
    return kind == FLAG_IGNORE_TEXT || kind == FLAG_IGNORE_REST || kind == FLAG_TEXT ||
           kind == FLAG_CALL_REST || kind == FLAG_UNBUILT_REST;
}

/* The longest name that the argument begins with, if more may follow it. */
const struct flag *parse_find_flag(const char *arg, const char **rest)
{
    const struct flag *exact = TABLE_FIND(flags, arg), *best = NULL;

    *rest = "";
    if (exact != NULL)
        return exact;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (takes_rest(flags[i].kind) && cstr_starts(arg, flags[i].name))
            best = &flags[i];
    if (best != NULL)
        *rest = arg + strlen(best->name);
    return best;
}
