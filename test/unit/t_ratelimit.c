#include "acl.h"

#include <math.h>

#include "../lib/policy.h"
#include "base/tod.h"
#include "hintsdb.h"

/* Clients send when the rows say: the clock stands still between them. */
static struct timespec now_is = { .tv_sec = 1700000000 };

static struct timespec fake_clock(void)
{
    return now_is;
}

struct event {
    const char *rule;
    long after_ms;      /* since the one before */
    const char *rate;   /* $sender_rate */
    bool over;
    const char *recipient;
};

/* What Exim 4.96 answered to the same events, where times made that possible. */
/* clang-format off */
static const struct event smoothing[] = {
    { "90 / 10s / per_conn / count=3", 0, "3.0", false, NULL },
    { "90 / 10s / per_conn / count=3", 24, "6.0", false, NULL },
    { "90 / 10s / per_conn / count=3", 1528, "7.9", false, NULL },
    { "90 / 10s / per_conn / count=3", 3041, "8.4", false, NULL },
};
static const struct event modes[] = {
    { "2 / 1h / per_rcpt", 0, "1.0", false, NULL },
    { "2 / 1h / per_rcpt / count=5", 0, "6.0", true, NULL },       /* leaky: not recorded */
    { "2 / 1h / per_rcpt / count=5 / strict", 0, "6.0", true, NULL },
    { "2 / 1h / per_rcpt / count=5", 0, "11.0", true, NULL },
    { "2 / 1h / per_rcpt / readonly", 0, "6.0", true, NULL },
    { "2 / 1h / per_rcpt / noupdate / count=3", 0, "6.0", true, NULL },
    { "2 / 1h / per_rcpt / readonly / other key", 0, "0.0", false, NULL },
    { "1 / 1h / first over", 0, "1.0", true, NULL },
    { "1 / 1h / readonly / first over", 0, "0.0", false, NULL },
    { "0 / 1h / strict / zero", 0, "1.0", true, NULL },
    { "1K / 1h / kilo", 0, "1.0", false, NULL },
    { "1.5 / 90m / strict / fraction / of key", 0, "1.0", false, NULL },
    { "10 / 1h / count=0 / nothing", 0, "0.0", false, NULL },
};
static const struct event fading[] = {
    { "50 / 4s / count=10", 0, "10.0", false, NULL },
    { "50 / 4s / readonly", 2000, "6.1", false, NULL },
    { "50 / 4s / readonly", 2000, "3.7", false, NULL },
};
static const struct event uniques[] = {
    { "50 / 4s / unique=a / count=10", 0, "10.0", false, NULL },
    { "50 / 4s / unique=a / count=10", 2000, "6.1", false, NULL },  /* seen */
    { "50 / 4s / unique=b / count=10", 0, "16.1", false, NULL },
    { "50 / 4s / unique=a / count=10", 3000, "14.6", false, NULL }, /* a new set after the period */
};
static const struct event addresses[] = {
    { "9 / 1h / per_addr", 0, "1.0", false, "a@b" },
    { "9 / 1h / per_addr", 0, "1.0", false, "a@b" },
    { "9 / 1h / per_addr", 0, "2.0", false, "c@b" },
    { "9 / 1h / per_addr", 0, "2.0", false, "a@b" },
};
/* clang-format on */

/* Each event is a command of a message of a connection of its own. */
static void run(struct arena *a, const struct event *e, size_t n)
{
    struct policy p;

    policy_open(&p, a, "");
    for (size_t i = 0; i < n; i++) {
        session_free(&p.ctx.session);
        p.ctx.session = session_new(&p.x);
        p.ctx.ratelimit_cmd = NULL;
        policy_client(&p, "192.0.2.1");
        policy_message(&p, "who@send.test");
        policy_recipient(&p, e[i].recipient == NULL ? "r@dom.test" : e[i].recipient);
        now_is.tv_nsec += (e[i].after_ms % 1000) * 1000000;
        now_is.tv_sec += e[i].after_ms / 1000 + now_is.tv_nsec / 1000000000;
        now_is.tv_nsec %= 1000000000;
        const char *acl = arena_printf(a, "deny ratelimit = %s\n accept", e[i].rule);
        struct acl_verdict v = acl_check(&p.ctx, ACL_WHERE_RCPT, acl);
        if (v.rc != (e[i].over ? ACL_DENY : ACL_ACCEPT) || strcmp(p.ctx.sender_rate, e[i].rate) != 0)
            fail_msg("event %zu, %s: %d, rate %s (%s)", i, e[i].rule, (int)v.rc,
                     p.ctx.sender_rate == NULL ? "none" : p.ctx.sender_rate, v.log_message);
        assert_string_equal(p.ctx.session->sender_rate, e[i].rate);
    }
    policy_close(&p);
}

static void rates_are_smoothed(void **state)
{
    run(*state, smoothing, ARRAY_LEN(smoothing));
}

static void modes_say_what_is_recorded(void **state)
{
    run(*state, modes, ARRAY_LEN(modes));
}

static void rates_fade(void **state)
{
    run(*state, fading, ARRAY_LEN(fading));
}

static void unique_events_count_once(void **state)
{
    run(*state, uniques, ARRAY_LEN(uniques));
}

static void addresses_count_once(void **state)
{
    run(*state, addresses, ARRAY_LEN(addresses));
}

static struct acl_verdict check(struct policy *p, const char *rule)
{
    return acl_check(&p->ctx, ACL_WHERE_RCPT, arena_printf(p->a, "deny ratelimit = %s\n accept", rule));
}

/* Once a connection, message or command, however often it is asked. */
static void what_was_measured_is_not_measured_again(void **state)
{
    struct policy p;

    policy_open(&p, *state, "");
    policy_client(&p, "192.0.2.1");
    policy_message(&p, "who@send.test");
    policy_recipient(&p, "r@dom.test");
    for (int i = 0; i < 3; i++) {
        check(&p, "9 / 1h / per_conn");
        assert_string_equal(p.ctx.sender_rate, "1.0");
        check(&p, "9 / 1h / per_mail");
        assert_string_equal(p.ctx.sender_rate, "1.0");
        check(&p, "9 / 1h / per_rcpt");
        assert_string_equal(p.ctx.sender_rate, arena_printf(p.a, "%d.0", i + 1));
    }
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_RCPT,
                               "warn ratelimit = 9/1h/per_cmd\n warn ratelimit = 9/1h/per_cmd\n accept").rc, ACL_ACCEPT);
    assert_string_equal(p.ctx.sender_rate, "1.0");
    policy_close(&p);
}

static void bytes_and_recipients_are_counted(void **state)
{
    struct policy p;

    policy_open(&p, *state, "");
    policy_client(&p, "192.0.2.1");
    policy_message(&p, "who@send.test");
    p.ctx.message->message_size = 2500;
    p.ctx.message->recipient_count = 7;
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_DATA, "deny ratelimit = 10K/1h/per_byte\n accept").rc, ACL_ACCEPT);
    assert_string_equal(p.ctx.sender_rate, "2500.0");
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_DATA, "deny ratelimit = 5/1h/per_rcpt\n accept").rc, ACL_DENY);
    assert_string_equal(p.ctx.sender_rate, "7.0");
    assert_string_equal(p.ctx.sender_rate_limit, "5");
    assert_string_equal(p.ctx.sender_rate_period, "1h");
    policy_close(&p);
}

/* Exim's key for the set of "yes@live.test" with a limit of 3: the same bits. */
static void the_database_is_exims(void **state)
{
    struct policy p;
    struct err err = { 0 };
    struct str raw;
    struct hints_ratelimit rec;
    static const unsigned char bits[40] = { 8, 0, 16, 0, 32, [14] = 64, [16] = 128, [27] = 1, [28] = 2, [30] = 4 };

    policy_open(&p, *state, "");
    policy_client(&p, "10.1.2.3");
    policy_message(&p, "s2@x.y");
    policy_recipient(&p, "yes@live.test");
    check(&p, "3 / 1h / per_addr / $sender_address");
    check(&p, "9 / 1h / per_mail / unique=x / count=2");
    struct hints_db *db = hints_open(&p.x, "ratelimit", false, &err);
    assert_non_null(db);
    assert_true(hints_get(db, p.a, "1h/per_rcpt/unique/s2@x.y", &raw));
    assert_int_equal(raw.len, 80);
    assert_true(hints_ratelimit_decode(p.a, raw, true, &rec));
    assert_int_equal(rec.bloom_size, 40);
    assert_memory_equal(rec.bloom, bits, 40);
    assert_true(hints_get(db, p.a, "1h/per_mail/unique/10.1.2.3", &raw));
    hints_close(db);
    policy_close(&p);
}

static int set_clock(void **state)
{
    (void)state;
    tod_set_clock(fake_clock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(rates_are_smoothed),
        UNIT_TEST(modes_say_what_is_recorded),
        UNIT_TEST(rates_fade),
        UNIT_TEST(unique_events_count_once),
        UNIT_TEST(addresses_count_once),
        UNIT_TEST(what_was_measured_is_not_measured_again),
        UNIT_TEST(bytes_and_recipients_are_counted),
        UNIT_TEST(the_database_is_exims),
    };
    return cmocka_run_group_tests(tests, set_clock, NULL);
}
