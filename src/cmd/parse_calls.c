#include "cmd/parse_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/ip.h"
#include "base/str.h"
#include "base/tod.h"
#include "parse.h"

static const char *text_after(struct parse *p, const char *rest)
{
    return rest[0] != '\0' ? rest : parse_next(p);
}

/* ---- Configuration ---- */

bool parse_config_files(struct parse *p, const char *rest)
{
    p->out->config_files = text_after(p, rest);
    return p->out->config_files != NULL;
}

enum { MACRO_NAME_MAX = 64 };

/* "-D NAME = text" in one argument. */
bool parse_macro(struct parse *p, const char *rest)
{
    const char *name = cstr_skip_space(rest), *end = name;

    if (!is_upper(*name))
        return parse_fail(
            p, "exim: macro name set by -D must start with an upper case letter");
    while (is_alnum(*end) || *end == '_')
        end++;
    const char *after = cstr_skip_space(end);

    if (end - name > MACRO_NAME_MAX || (*after != '\0' && *after != '='))
        return false;
    struct readconf_macro *m = arena_new_obj(p->arena, struct readconf_macro);

    m->name = arena_strndup(p->arena, name, (size_t)(end - name));
    m->value = *after == '=' ? cstr_skip_space(after + 1) : "";
    for (const struct readconf_macro *old = p->out->macros; old != NULL; old = old->next)
        if (strcmp(old->name, m->name) == 0)
            return parse_fail(p, "exim: duplicated -D in command line");
    *p->macro_end = m;
    p->macro_end = &m->next;
    return true;
}

bool parse_debug(struct parse *p, const char *rest)
{
    struct err err = { 0 };

    p->out->debug_set = true;
    if (rest[0] == 'd')
        rest++; /* -dd: the same, but for what a daemon starts; a daemon here starts no
                   exec */
    return debug_parse(rest, &p->out->debug, &err, p->arena) ||
           parse_fail(p, "exim: %s", err.msg);
}

/* ---- The message ---- */

bool parse_sender(struct parse *p, const char *rest)
{
    const char *text = text_after(p, rest);
    struct parsed_address a = { 0 };

    if (text == NULL)
        return false;
    if (text[0] == '\0') {
        p->out->sender = "";
        return true;
    }
    if (!parse_address(p->arena, text,
                       PARSE_ALLOW_EMPTY | PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8,
                       &a))
        return parse_fail(p, "exim: bad %s address \"%s\": %s",
                          p->argv[p->at][1] == 'r' ? "-r" : "-f", text, a.err);
    p->out->sender = a.address;
    return true;
}

bool parse_ti(struct parse *p, const char *rest)
{
    p->out->extract_recipients = true;
    return parse_no_dot(p, rest);
}

bool parse_no_dot(struct parse *p, const char *rest)
{
    (void)rest;
    p->out->receive.dot_ends = false;
    return true;
}

bool parse_no_delivery(struct parse *p, const char *rest)
{
    (void)rest;
    return p->out->receive.no_delivery = true;
}

/* -od: when is it delivered? */
bool parse_delivery(struct parse *p, const char *rest)
{
    struct receive_options *r = &p->out->receive;

    if (strcmp(rest, "b") == 0) {
        r->background = r->delivery_given = true;
        r->foreground = r->queue_only = false;
    } else if (strcmp(rest, "f") == 0 || strcmp(rest, "i") == 0) {
        r->foreground = true;
        r->background = r->queue_only = false;
    } else if (strcmp(rest, "q") == 0) {
        r->queue_only = true;
        r->foreground = r->background = false;
    } else if (strcmp(rest, "qs") == 0) {
        r->queue_smtp = true;
    } else {
        return false;
    }
    return true;
}

/* -oe and -e: who is told of an error? */
bool parse_errors(struct parse *p, const char *rest)
{
    struct receive_options *r = &p->out->receive;

    if (strlen(rest) != 1 || strchr("empqw", rest[0]) == NULL)
        return false;
    r->error_stderr = rest[0] == 'p' || rest[0] == 'q';
    r->error_mail = !r->error_stderr;
    r->error_exit2 = rest[0] == 'e';
    return true;
}

/* -or, -os */
bool parse_timeout(struct parse *p, const char *rest)
{
    const char *arg = p->argv[p->at];
    const char *text = text_after(p, rest);
    long seconds = text == NULL ? -1 : tod_interval_parse(text);

    if (seconds < 0)
        return parse_fail(p, "exim: bad time value %s: abandoned",
                          text == NULL ? arg : text);
    if (arg[2] == 'r')
        p->out->receive_timeout = seconds;
    else
        p->out->smtp_timeout = seconds;
    return true;
}

/* -p<protocol>:<host> */
bool parse_protocol(struct parse *p, const char *rest)
{
    const char *colon = strchr(rest, ':');

    if (rest[0] == '\0')
        return false;
    p->out->oMr =
        colon == NULL ? rest : arena_strndup(p->arena, rest, (size_t)(colon - rest));
    if (colon != NULL)
        p->out->oMs = colon + 1;
    return true;
}

/* An address, maybe with a port: "1.2.3.4.25", "[1.2.3.4]:25". */
static bool is_host_address(struct arena *a, const char *text)
{
    size_t n = strlen(text);
    const char *end, *port;
    struct ip ip;

    if (ip_parse(text, &ip))
        return true;
    if (text[0] == '[') {
        end = strchr(text, ']');
        port = end == NULL || end[1] == '\0' ? "" : end[1] == ':' ? end + 2 : NULL;
        text++;
    } else {
        while (n > 0 && is_digit(text[n - 1]))
            n--;
        end = n > 1 && text[n - 1] == '.' ? text + n - 1 : NULL;
        port = end == NULL ? NULL : end + 1;
    }
    unsigned long number = 0;

    if (end == NULL || port == NULL || (*port != '\0' && !cstr_to_ulong(port, &number)))
        return false;
    return number <= UINT16_MAX &&
           ip_parse(arena_strndup(a, text, (size_t)(end - text)), &ip);
}

/* -bh, -bhc, -oMa, -oMi: an address comes next. */
bool parse_host(struct parse *p, const char *rest)
{
    const char *text = parse_next(p);

    (void)rest;
    if (text == NULL)
        return false;
    if (!is_host_address(p->arena, text))
        return parse_fail(p, "exim abandoned: \"%s\" is not an IP address", text);
    if (strcmp(p->flag->name, "oMa") == 0)
        p->out->oMa = text;
    else if (strcmp(p->flag->name, "oMi") == 0)
        p->out->oMi = text;
    else
        p->out->mode_arg = text;
    return p->flag->name[0] == 'o' || parse_set_mode(p, p->flag->name);
}

bool parse_message_ref(struct parse *p, const char *rest)
{
    const char *text = parse_next(p);

    (void)rest;
    if (text == NULL || !msgid_valid(text))
        return parse_fail(p, "-oMm must be a valid message ID");
    p->out->oMm = text;
    return true;
}

/* ---- Queue ---- */

static bool run_interval(struct parse *p, const char *text)
{
    long seconds = tod_interval_parse(text);

    if (seconds <= 0)
        return parse_fail(p, "exim: bad time value %s: abandoned", p->argv[p->at]);
    p->out->daemon.queue_interval = seconds;
    return true;
}

/* -q[q][i][f[f]][l][<time>] */
bool parse_queue(struct parse *p, const char *rest)
{
    struct queue_run_options *q = &p->out->queue;

    p->queue_run = true;
    if (*rest == 'q') {
        q->two_stage = true;
        rest++;
    }
    if (*rest == 'i') {
        q->first_only = true;
        rest++;
    }
    if (*rest == 'f') {
        q->force = true;
        rest++;
    }
    if (q->force && *rest == 'f') {
        q->force_frozen = true;
        rest++;
    }
    if (*rest == 'l') {
        q->local_only = true;
        rest++;
    }
    if (*rest == 'G')
        return parse_fail(
            p, "exim: option -qG is not built into this binary yet: named queues");
    return *rest == '\0' || run_interval(p, rest);
}

/* -R, -S, -qR, -qS: [r][f[f]] and a string, or a string at once. */
bool parse_select(struct parse *p, const char *rest)
{
    static const char *const combinations[] = { "", "f", "ff", "r", "rf", "rff" };
    struct queue_run_options *q = &p->out->queue;
    char which = p->flag->name[strlen(p->flag->name) - 1];
    const char *text = rest;
    bool regex = false;

    for (size_t i = 0; i < ARRAY_LEN(combinations); i++) {
        if (strcmp(rest, combinations[i]) != 0)
            continue;
        regex = rest[0] == 'r';
        q->force |= strchr(rest, 'f') != NULL;
        q->force_frozen |= cstr_ends(rest, "ff");
        text = parse_next(p);
    }
    if (text == NULL)
        return parse_fail(p, "exim: string expected after -%c", which);
    p->queue_run = true;
    if (which == 'R') {
        q->recipient_text = text;
        q->recipient_regex = regex;
    } else {
        q->sender_text = text;
        q->sender_regex = regex;
    }
    return true;
}

/* ---- Tests and information ---- */

/* -bem */
bool parse_file(struct parse *p, const char *rest)
{
    (void)rest;
    p->out->be_message = parse_next(p);
    return p->out->be_message != NULL && parse_set_mode(p, p->flag->name);
}

/* -Mset */
bool parse_test_message(struct parse *p, const char *rest)
{
    const char *id = parse_next(p);

    (void)rest;
    if (id == NULL)
        return parse_fail(p, "exim: no message ids given after -Mset option");
    if (!msgid_valid(id))
        return parse_fail(p, "exim: malformed message id %s after -Mset option", id);
    p->out->be_id = id;
    return true;
}

/* -oB, -oB<n>, -oB <n> */
bool parse_connection_messages(struct parse *p, const char *rest)
{
    bool apart = *rest == '\0' && p->at + 1 < p->argc && is_digit(p->argv[p->at + 1][0]);
    const char *text = apart ? parse_next(p) : rest;

    if (*text == '\0')
        text = "1";
    return cstr_to_long(text, &p->out->connection_max_messages) &&
                   p->out->connection_max_messages >= 0
               ? true
               : parse_fail(p, "exim: number expected after -oB");
}

bool parse_information(struct parse *p, const char *rest)
{
    static const char help[] =
        "The -bI: flag takes a string indicating which information to provide.\n"
        "If the string is not recognised, you'll get this help (on stderr).\n"
        "\n"
        "  exim -bI:help    this information\n"
        "  exim -bI:dscp    list of known dscp value keywords\n"
        "  exim -bI:proxy   what the daemon has counted of PROXY headers\n"
        "  exim -bI:sieve   list of supported sieve extensions\n";

    if (strcmp(rest, "help") == 0)
        p->answer = help;
    else
        p->error = help;
    return false;
}

bool parse_help(struct parse *p, const char *rest)
{
    (void)rest;
    p->error = parse_about;
    return false;
}

bool parse_version(struct parse *p, const char *rest)
{
    (void)rest;
    return parse_set_mode(p, "bV");
}

/* ---- RFC 3461 parameters of a local submission ---- */

bool parse_dsn_ret(struct parse *p, const char *rest)
{
    p->out->dsn_ret = rest;
    return cstr_ieq(rest, "full") || cstr_ieq(rest, "hdrs");
}

bool parse_dsn_envid(struct parse *p, const char *rest)
{
    p->out->dsn_envid = rest;
    return rest[0] != '\0' && strlen(rest) <= 100 &&
           parse_xtext_decode(p->arena, rest) != NULL;
}

bool parse_dsn_notify(struct parse *p, const char *rest)
{
    static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
    const char *s = rest;

    p->out->dsn_notify = rest;
    if (cstr_ieq(rest, "NEVER"))
        return true;
    for (;;) {
        size_t n = strcspn(s, ","), i = 0;

        while (i < ARRAY_LEN(words) && !str_ieq((struct str){ s, n }, str_from(words[i])))
            i++;
        if (i == ARRAY_LEN(words))
            return false;
        if (s[n] == '\0')
            return true;
        s += n + 1;
    }
}
