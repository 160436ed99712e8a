#include "base/log_int.h"

#include <string.h>
#include <syslog.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/table.h"

/* syslog.h takes LOG_* for its own; none of them is one of ours. */
struct facility {
    const char *name;
    int value;
};

/* clang-format off */
static const struct facility facilities[] = {
    { "daemon", LOG_DAEMON },
    { "local0", LOG_LOCAL0 },
    { "local1", LOG_LOCAL1 },
    { "local2", LOG_LOCAL2 },
    { "local3", LOG_LOCAL3 },
    { "local4", LOG_LOCAL4 },
    { "local5", LOG_LOCAL5 },
    { "local6", LOG_LOCAL6 },
    { "local7", LOG_LOCAL7 },
    { "mail",   LOG_MAIL },
    { "news",   LOG_NEWS },
    { "user",   LOG_USER },
    { "uucp",   LOG_UUCP },
};
/* clang-format on */

enum { PIECE_MAX = 870 };

static bool opened; /* by openlog */

int log_syslog_facility(const char *name)
{
    const struct facility *f;

    if (name == NULL || *name == '\0')
        return LOG_MAIL;
    f = TABLE_FIND(facilities, name);
    return f == NULL ? -1 : f->value;
}

static int priority(enum log_kind kind)
{
    return kind == KIND_MAIN ? LOG_INFO : kind == KIND_REJECT ? LOG_NOTICE : LOG_ALERT;
}

/* Length of the next piece of s; *newline: it ends at one, which belongs to no piece. */
static size_t piece(const char *s, size_t max, bool *newline)
{
    size_t len = strcspn(s, "\n");

    *newline = len <= max && s[len] == '\n';
    return len <= max ? len : max;
}

/* Exim: pieces are marked [n/m], or [n\m] where the text had a newline. */
static void send_pieces(int prio, const char *text, size_t max)
{
    bool newline;
    int total = 0, n = 0;

    for (const char *s = text; *s != '\0' || total == 0; total++)
        s += piece(s, max, &newline) + newline;
    for (const char *s = text; n < total;) {
        int len = (int)piece(s, max, &newline);

        n++;
        if (total == 1)
            syslog(prio, "%.*s", len, s);
        else
            syslog(prio, "[%d%c%d] %.*s", n, newline ? '\\' : '/', total, len, s);
        s += len + newline;
    }
}

void log_syslog_write(const struct log *l, enum log_kind kind, const struct log_line *line)
{
    const struct log_config *c = l->config;
    const char *ident = c->syslog_processname, *rest = line->text + line->stamp + line->pid;
    struct arena *a = arena_new("syslog");
    const char *text =
        arena_printf(a, "%.*s%.*s%.*s", c->syslog_timestamp ? (int)line->stamp : 0, line->text,
                     c->syslog_pid ? (int)line->pid : 0, line->text + line->stamp,
                     (int)(strlen(rest) - 1), rest);

    opened = true;
    openlog(ident == NULL || *ident == '\0' ? "exim" : ident, LOG_PID | LOG_CONS,
            log_syslog_facility(c->syslog_facility));
    send_pieces(priority(kind), text, c->syslog_long_lines ? SIZE_MAX : PIECE_MAX);
    arena_destroy(&a);
}

void log_syslog_last_resort(const char *text)
{
    opened = true;
    openlog("exim", LOG_PID | LOG_CONS, LOG_MAIL);
    syslog(LOG_CRIT, "%s", text);
}

void log_syslog_close(void)
{
    if (opened)
        closelog();
    opened = false;
}
