#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "exim.h"
#include "smtp/smtp_int.h"

/* The end of the address proper: parameters can only follow it. */
static char *address_end(char *text)
{
    bool quoted = false, angle = false;

    for (char *p = text; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && *p == '<')
            angle = true;
        else if (!quoted && *p == '>')
            return p + 1;
        else if (!quoted && !angle && is_blank(*p))
            return p;
    }
    return text + strlen(text);
}

static const struct smtp_param *find(const struct smtp_param *rows, size_t n,
                                     const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(rows[i].name) == len && strncasecmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static bool refuse(struct smtp_state *st, const char *why)
{
    if (cstr_starts(why, "555 "))
        smtp_error(st, SMTP_PROTOCOL, 555, why + 4);
    else
        smtp_error(st, SMTP_SYNTAX, 501, why);
    return false;
}

bool smtp_params_run(struct smtp_state *st, const struct smtp_param *rows, size_t n,
                     struct recipient *r, char *text)
{
    char *from = address_end(text), *p = from;

    if (!st->s->esmtp && !st->s->batched)
        return true; /* what follows the address is then refused as part of it */
    while (*p != '\0') {
        char *word = p + strspn(p, " \t");
        size_t len = strcspn(word, " \t"), name_len = strcspn(word, "= \t");
        const struct smtp_param *row = find(rows, n, word, name_len);
        bool has_value = word[name_len] == '=';

        if (row == NULL || has_value != row->wants_value || (p == word && p == text)) {
            memmove(from, p, strlen(p) + 1);
            return true;
        }
        if (row->offered != NULL && !row->offered(st))
            return refuse(st, arena_printf(st->s->arena, "555 %s parameter not offered",
                                           row->name));
        const char *value = has_value ? arena_strndup(st->s->arena, word + name_len + 1,
                                                      len - name_len - 1)
                                      : NULL;
        const char *why = row->run(st, r, value);
        if (why != NULL) {
            if (*why != '\0') /* "": it was answered */
                (void)refuse(st, why);
            return false;
        }
        p = word + len;
    }
    *from = '\0';
    return true;
}
