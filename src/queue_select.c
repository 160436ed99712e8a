#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "message.h"
#include "queue.h"
#include "queue_int.h"
#include "regex.h"
#include "spool.h"

struct pattern {
    const char *text; /* NULL: everything */
    const struct regex *regex;
};

struct queue_select {
    struct exim *exim;
    const struct queue_run_options *options;
    struct pattern recipient, sender;
};

static bool make_pattern(struct exim *e, struct arena *a, const char *text, bool regex, struct pattern *out)
{
    struct err err = { 0 };

    *out = (struct pattern){ .text = text };
    if (text == NULL || !regex)
        return true;
    out->regex = regex_compile(a, text, REGEX_CASELESS, &err);
    if (out->regex == NULL)
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "queue run: bad regular expression \"%s\": %s", text,
                  err.msg);
    return out->regex != NULL;
}

const struct queue_select *queue_select_new(struct arena *a, struct exim *e, const struct queue_run_options *o)
{
    struct queue_select *s = arena_new_obj(a, struct queue_select);

    s->exim = e;
    s->options = o;
    if (!make_pattern(e, a, o->recipient_text, o->recipient_regex, &s->recipient) ||
        !make_pattern(e, a, o->sender_text, o->sender_regex, &s->sender))
        return NULL;
    return s;
}

static bool in_span(const struct queue_run_options *o, const char *id)
{
    return (o->start_id == NULL || strcmp(id, o->start_id) >= 0) &&
           (o->stop_id == NULL || strcmp(id, o->stop_id) <= 0);
}

static bool pattern_matches(const struct pattern *p, const char *subject)
{
    if (p->text == NULL)
        return true;
    if (p->regex != NULL)
        return regex_test(p->regex, str_from(subject));
    return strcasestr(subject, p->text) != NULL;
}

static bool any_recipient(const struct pattern *p, const struct message *m)
{
    if (p->text == NULL)
        return true;
    for (size_t i = 0; i < m->recipient_count; i++)
        if (!message_is_nonrecipient(m, m->recipients[i].address) &&
            pattern_matches(p, m->recipients[i].address))
            return true;
    return false;
}

bool queue_select_matches(const struct queue_select *s, const char *id)
{
    if (!in_span(s->options, id))
        return false;
    if (!s->options->first_only && s->recipient.text == NULL && s->sender.text == NULL)
        return true;
    struct arena *a = arena_new("queue run");
    struct message m;
    struct err err = { 0 };
    bool yes = spool_peek(s->exim, id, a, &m, &err) == SPOOL_OK &&
               (!s->options->first_only || m.deliver_firsttime) && any_recipient(&s->recipient, &m) &&
               pattern_matches(&s->sender, m.sender);

    arena_destroy(&a);
    return yes;
}
