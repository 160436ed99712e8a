#include <stdlib.h>
#include <time.h>

#include "base/debug.h"
#include "base/list.h"
#include "base/tod.h"
#include "exim.h"
#include "smtp/envelope.h"
#include "smtp/smtp_int.h"

/* "threshold,initial delay,factor,maximum" */
struct limit {
    unsigned long threshold;
    double initial_ms, factor, max_ms;
};

static bool next_number(const char **p, double *out)
{
    char *end;

    *out = strtod(*p, &end);
    if (end == *p)
        return false;
    *p = end;
    return true;
}

/* A time as "0.5s": the unit is seconds unless one of ms is given. */
static bool next_time(const char **p, double *out)
{
    if (!next_number(p, out))
        return false;
    *out *= **p == 'm' ? 60 * 1000 : 1000;
    if (**p == 's' || **p == 'm')
        (*p)++;
    return true;
}

static bool parse(const char *s, struct limit *l)
{
    double threshold;

    if (s == NULL || !next_number(&s, &threshold) || threshold < 0 || *s++ != ',')
        return false;
    l->threshold = (unsigned long)threshold;
    return next_time(&s, &l->initial_ms) && *s++ == ',' && next_number(&s, &l->factor) &&
           *s++ == ',' && next_time(&s, &l->max_ms);
}

static void wait_ms(struct smtp_state *st, double ms)
{
    struct timespec t = { .tv_sec = (time_t)(ms / 1000),
                          .tv_nsec = (long)ms % 1000 * 1000000 };

    DEBUG(D_RECEIVE) debug_printf("rate limit: delay %.0f ms\n", ms);
    (void)smtp_flush(st);
    while (nanosleep(&t, &t) < 0)
        continue;
}

void smtp_ratelimit(struct smtp_state *st, enum smtp_ratelimit which)
{
    bool mail = which == SMTP_RATELIMIT_MAIL;
    const char *option = mail ? st->o->smtp_ratelimit_mail : st->o->smtp_ratelimit_rcpt;
    size_t count = mail ? st->mails : st->s->message->rcpt_count + 1;
    double *delay = mail ? &st->mail_delay : &st->rcpt_delay;
    struct limit l;

    if (option == NULL || st->o->smtp_ratelimit_hosts == NULL || st->s->host_checking ||
        !parse(option, &l))
        return;
    if (!st->ratelimit_known) {
        st->is_ratelimited =
            smtp_host_in(st, st->o->smtp_ratelimit_hosts, "smtp_ratelimit_hosts");
        st->ratelimit_known = true;
    }
    if (count == 1 && !mail)
        *delay = 0;
    if (!st->is_ratelimited || count <= l.threshold)
        return;
    *delay = *delay <= 0 ? l.initial_ms : *delay * l.factor;
    if (*delay > l.max_ms)
        *delay = l.max_ms;
    wait_ms(st, *delay);
}
