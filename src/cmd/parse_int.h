/* parse_int.h - what parse.c and the table of flags share. */
#ifndef EXIM_CMD_PARSE_INT_H
#define EXIM_CMD_PARSE_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "cmd/cmd.h"

struct arena;

/* A command line on its way into a struct cmd_line. */
struct parse {
    struct arena *arena;
    struct cmd_line *out;
    char **argv;
    int argc, at;      /* the argument being looked at */
    const char *error; /* what goes to stderr; set before returning false */
    const char *answer; /* or what goes to stdout, with status 0 */
    const struct flag *flag; /* being applied */
    bool queue_run;    /* -q, -R or -S asked for one */
    const struct readconf_macro **macro_end;
};

enum flag_kind {
    FLAG_IGNORE,      /* for compatibility: takes nothing */
    FLAG_IGNORE_TEXT, /* takes the rest of the argument, or the next one */
    FLAG_IGNORE_REST, /* takes the rest of the argument, if any */
    FLAG_ON,          /* sets a bool */
    FLAG_NEXT,        /* the next argument is its string */
    FLAG_TEXT,        /* the rest of the argument, or the next one, is its string */
    FLAG_MODE,        /* what to do */
    FLAG_CALL,        /* takes nothing */
    FLAG_CALL_REST,   /* takes the rest of the argument, if any */
    FLAG_UNBUILT,     /* of Exim, not in this binary: words */
    FLAG_UNBUILT_REST,
};

struct flag {
    const char *name; /* without the first hyphen */
    enum flag_kind kind;
    size_t offset; /* of the member of struct cmd_line */
    bool (*call)(struct parse *p, const char *rest);
    const char *words; /* what is missing after it; what it is part of, when that is not built */
};

/* The row for an argument (without its hyphen), and what follows the name; NULL: no such flag. */
const struct flag *parse_find_flag(const char *arg, const char **rest);
const struct flag *parse_flag_at(size_t i); /* all, sorted by name; NULL beyond the last */
const struct cmd_mode *parse_mode(const char *name) NONNULL_RET;

/* Chooses what to do; false when something else was asked for before. */
bool parse_set_mode(struct parse *p, const char *name) MUST_USE;
extern const char parse_about[]; /* what Exim says when it is not told what to do */
/* Words an error; returns false. */
bool parse_fail(struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The argument after the present one, or NULL. */
const char *parse_next(struct parse *p);

/* The calls of the table (parse_calls.c). */
bool parse_config_files(struct parse *p, const char *rest);
bool parse_macro(struct parse *p, const char *rest);
bool parse_debug(struct parse *p, const char *rest);
bool parse_sender(struct parse *p, const char *rest);
bool parse_queue(struct parse *p, const char *rest);
bool parse_select(struct parse *p, const char *rest); /* -R -S */
bool parse_ti(struct parse *p, const char *rest);
bool parse_protocol(struct parse *p, const char *rest);
bool parse_timeout(struct parse *p, const char *rest);
bool parse_delivery(struct parse *p, const char *rest);
bool parse_errors(struct parse *p, const char *rest);
bool parse_host(struct parse *p, const char *rest); /* -bh -oMa -oMi */
bool parse_message_ref(struct parse *p, const char *rest);
bool parse_file(struct parse *p, const char *rest);
bool parse_test_message(struct parse *p, const char *rest);
bool parse_connection_messages(struct parse *p, const char *rest); /* -bem */
bool parse_information(struct parse *p, const char *rest);
bool parse_no_delivery(struct parse *p, const char *rest);
bool parse_dsn_ret(struct parse *p, const char *rest);
bool parse_dsn_envid(struct parse *p, const char *rest);
bool parse_dsn_notify(struct parse *p, const char *rest);
bool parse_help(struct parse *p, const char *rest);
bool parse_version(struct parse *p, const char *rest);
bool parse_no_dot(struct parse *p, const char *rest);

#endif
