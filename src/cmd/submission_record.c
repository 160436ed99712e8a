#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "base/wire.h"
#include "cmd/cmd.h"
#include "cmd/submission.h"

static const struct cmd_mode modes[] = {
    { "bm", 0, cmd_bm },
    { "bs", 0, cmd_bs },
    { "bS", 0, cmd_bs },
};

#define AT(m) offsetof(struct cmd_line, m)

static const size_t strings[] = {
    AT(sender), AT(sender_name), AT(oMa), AT(oMaa), AT(oMai),    AT(oMas),      AT(oMi),
    AT(oMm),    AT(oMr),         AT(oMs), AT(oMt),  AT(dsn_ret), AT(dsn_envid), AT(dsn_notify),
};

static const size_t flags[] = {
    AT(extract_recipients),   AT(suppress_fixups),      AT(no_qualify),
    AT(receive.queue_only),   AT(receive.queue_smtp),   AT(receive.dot_ends),
    AT(receive.no_delivery),  AT(receive.error_mail),   AT(receive.error_stderr),
    AT(receive.error_exit2),  AT(receive.delivery_given),
};

static const size_t numbers[] = { AT(receive.smtp_timeout), AT(receive.receive_timeout) };

static const void *member(const struct cmd_line *c, size_t at)
{
    return (const char *)c + at;
}

static void *member_of(struct cmd_line *c, size_t at)
{
    return (char *)c + at;
}

void submission_encode(struct buf *out, const struct cmd_line *c)
{
    wire_put_cstr(out, c->mode->name);
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        const char *s;

        memcpy(&s, member(c, strings[i]), sizeof(s));
        wire_put_cstr(out, s);
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        wire_put_u8(out, *(const bool *)member(c, flags[i]) ? 1 : 0);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        wire_put_i64(out, *(const long *)member(c, numbers[i]));
    wire_put_u32(out, (uint32_t)c->nargs);
    for (int i = 0; i < c->nargs; i++)
        wire_put_cstr(out, c->args[i]);
}

static void get_mode(struct wire_reader *r, struct arena *a, struct cmd_line *out)
{
    const char *name = wire_get_cstr(r, a);

    for (size_t i = 0; name != NULL && i < ARRAY_LEN(modes); i++)
        if (strcmp(modes[i].name, name) == 0)
            out->mode = &modes[i];
    r->bad = r->bad || out->mode == NULL;
}

static void get_args(struct wire_reader *r, struct arena *a, struct cmd_line *out)
{
    enum { ARG_MIN = 4 };
    uint32_t n = wire_get_count(r, ARG_MIN);

    out->args = arena_new_array(a, char *, (size_t)n + 1);
    for (uint32_t i = 0; i < n && !r->bad; i++) {
        const char *s = wire_get_cstr(r, a);

        r->bad = r->bad || s == NULL;
        out->args[i] = r->bad ? NULL : arena_strdup(a, s);
    }
    out->nargs = r->bad ? 0 : (int)n;
}

bool submission_decode(struct arena *a, struct str packet, struct cmd_line *out)
{
    struct wire_reader r = wire_reader(packet);

    *out = (struct cmd_line){ 0 };
    get_mode(&r, a, out);
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        const char *s = wire_get_cstr(&r, a);

        memcpy(member_of(out, strings[i]), &s, sizeof(s));
    }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        uint8_t v = wire_get_u8(&r);

        r.bad = r.bad || v > 1;
        *(bool *)member_of(out, flags[i]) = v == 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int64_t v = wire_get_i64(&r);

        r.bad = r.bad || v < -1 || v > 1000 * 1000;
        *(long *)member_of(out, numbers[i]) = r.bad ? 0 : (long)v;
    }
    get_args(&r, a, out);
    return wire_done(&r);
}
