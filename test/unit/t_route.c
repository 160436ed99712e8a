#include "route.h"

#include "address.h"
#include "base/hash.h"
#include "config/config.h"
#include "drtables.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "route_int.h"
#include "transports/transport.h"
#include "unit.h"

/* clang-format off */
static const struct {
    const char *prefixes, *suffixes, *in;
    bool optional, want;
    const char *local_part, *prefix, *suffix, *prefix_v, *suffix_v;
} affixes[] = {
    { "real-",      NULL, "real-x",    false, true,  "x",      "real-", NULL,   "",   NULL },
    { "real-",      NULL, "x",         false, false, "x",      NULL,    NULL,   NULL, NULL },
    { "real-",      NULL, "x",         true,  true,  "x",      NULL,    NULL,   NULL, NULL },
    { "a- : real-", NULL, "REAL-x",    false, true,  "x",      "REAL-", NULL,   "",   NULL },
    { "*-",         NULL, "a-b-x",     false, true,  "x",      "a-b-",  NULL,   "a-b", NULL },
    { NULL, "-suf",       "x-suf",     false, true,  "x",      NULL,    "-suf", NULL, "" },
    { NULL, "-*",         "x-a-b",     false, true,  "x",      NULL,    "-a-b", NULL, "a-b" },
    { "p-", "-s",         "p-x-s",     false, true,  "x",      "p-",    "-s",   "",   "" },
    { "p-", "-s",         "p-x",       false, false, "x",      "p-",    NULL,   "",   NULL },
};
/* clang-format on */

static void check(const char *row, const char *got, const char *want)
{
    if (want == NULL)
        CHECK(row, got == NULL);
    else
        CHECK_STR(row, got, want);
}

static void affixes_are_stripped(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(affixes); i++) {
        const struct router r = { .local_part_prefix = affixes[i].prefixes,
                                  .local_part_suffix = affixes[i].suffixes,
                                  .local_part_prefix_optional = affixes[i].optional,
                                  .local_part_suffix_optional = affixes[i].optional };
        struct address addr = { .local_part = affixes[i].in };
        const char *row = affixes[i].in;

        CHECK(row, route_check_affixes(*state, &r, &addr) == affixes[i].want);
        CHECK_STR(row, addr.local_part, affixes[i].local_part);
        check(row, addr.prefix, affixes[i].prefix);
        check(row, addr.suffix, affixes[i].suffix);
        check(row, addr.prefix_v, affixes[i].prefix_v);
        check(row, addr.suffix_v, affixes[i].suffix_v);
    }
}

/* ---- the loop over the routers, with drivers that do as they are told ---- */

static enum route_rc give(const struct router *r, struct route_call *call)
{
    switch (r->name[0]) {
    case 'a':
        return route_queue(call) ? ROUTE_OK : ROUTE_DEFER;
    case 'p':
        return ROUTE_PASS;
    case 'f':
        return route_result(call, ROUTE_FAIL, 0, "5.1.1", "no");
    case 'd':
        return route_result(call, ROUTE_DEFER, 0, "4.0.0", "later");
    case 'r': /* redirects to itself */
        call->results->children = address_child(call->ctx->arena, call->addr, call->addr->address);
        return ROUTE_OK;
    default:
        return ROUTE_DECLINE;
    }
}
static const struct router_driver driver = { .name = "test", .route = give };
static const struct transport_driver local_driver = { .name = "local", .flags = TRANSPORT_LOCAL };
static const struct transport t1 = { .name = "t1", .driver = &local_driver };

struct fixture {
    struct config cfg;
    struct exim exim;
    struct expand_ctx ctx;
    struct router routers[6];
    const struct router *list[6];
    struct route_results res;
};

/* One router for each word. */
static struct fixture *begin(struct arena *a, const char *const *names, size_t n)
{
    struct fixture *f = arena_new_obj(a, struct fixture);

    for (size_t i = 0; i < n; i++) {
        f->routers[i] = (struct router){ .name = names[i], .driver = &driver, .verify_recipient = true,
                                         .verify_sender = true, .address_test = true, .expn = true,
                                         .next = i + 1 < n ? &f->routers[i + 1] : NULL,
                                         .transport_instance = &t1 };
        f->list[i] = &f->routers[i];
    }
    f->cfg.routers = f->list;
    f->cfg.router_count = n;
    f->exim = (struct exim){ .arena = a, .config = &f->cfg, .hooks = &drtables_hooks, .queue_fd = -1 };
    expand_ctx_init(&f->ctx, &f->exim, a);
    return f;
}

static const struct expr *e(struct arena *a, const char *text)
{
    struct err err = { 0 };
    const struct expr *x = expr_compile(a, text, &err);

    assert_non_null(x);
    return x;
}

static void routers_are_tried_in_turn(void **state)
{
    const char *const names[] = { "n1", "p1", "n2", "a1" };
    struct fixture *f = begin(*state, names, 4);
    struct address *addr = address_new(*state, "X@d.example");

    assert_int_equal(route_address(&f->ctx, addr, ROUTE_DELIVER, &f->res), ROUTE_OK);
    assert_ptr_equal(f->res.local, addr);
    assert_string_equal(addr->router->name, "a1");
    assert_string_equal(addr->local_part, "x");
    f->routers[0].more = e(*state, "false");
    assert_int_equal(route_address(&f->ctx, addr, ROUTE_DELIVER, &f->res), ROUTE_FAIL);
    assert_string_equal(addr->result.message, "Unrouteable address");
    f->routers[0].more = NULL;
    f->routers[1].pass_to = &f->routers[3];
    f->routers[3].verify_recipient = false;
    f->routers[3].cannot_route_message = e(*state, "not $local_part");
    assert_int_equal(route_address(&f->ctx, addr, ROUTE_VERIFY_RECIPIENT, &f->res), ROUTE_FAIL);
    assert_string_equal(addr->result.message, "not x");
}

static void unseen_makes_two_of_one(void **state)
{
    const char *const names[] = { "a1", "a2" };
    struct fixture *f = begin(*state, names, 2);
    struct address *addr = address_new(*state, "x@d.example");

    f->routers[0].unseen = e(*state, "yes");
    addr->dsn_flags = DSN_SUCCESS;
    assert_int_equal(route_address(&f->ctx, addr, ROUTE_DELIVER, &f->res), ROUTE_OK);
    assert_string_equal(f->res.local->unique, "x@d.example/a1");
    assert_ptr_equal(f->res.local->parent, addr);
    struct address *clone = f->res.children;
    assert_ptr_equal(clone->parent, addr);
    assert_ptr_equal(clone->start_router, &f->routers[1]);
    assert_int_equal(clone->dsn_flags, DSN_SUCCESS);
    f->res = (struct route_results){ 0 };
    assert_int_equal(route_address(&f->ctx, clone, ROUTE_DELIVER, &f->res), ROUTE_OK);
    assert_string_equal(f->res.local->unique, "x@d.example/t1");
}

static void no_router_takes_its_own_child(void **state)
{
    const char *const names[] = { "r1", "a1" };
    struct fixture *f = begin(*state, names, 2);
    struct address *addr = address_new(*state, "x@d.example");

    assert_int_equal(route_address(&f->ctx, addr, ROUTE_DELIVER, &f->res), ROUTE_OK);
    struct address *child = f->res.children;
    f->res = (struct route_results){ 0 };
    assert_int_equal(route_address(&f->ctx, child, ROUTE_DELIVER, &f->res), ROUTE_OK);
    assert_string_equal(child->router->name, "a1");
    assert_null(f->res.children);
}

static void children_inherit_what_redirection_passes_on(void **state)
{
    struct address *parent = address_new(*state, "x@d.example");
    static const struct { unsigned parent, child; } flags[] = {
        { 0, 0 }, { DSN_SUCCESS, DSN_NEVER }, { DSN_NEVER, DSN_NEVER },
        { DSN_SUCCESS | DSN_FAILURE, DSN_FAILURE }, { DSN_DELAY, DSN_DELAY },
    };

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        parent->dsn_flags = flags[i].parent;
        struct address *child = address_child(*state, parent, "y@d.example");
        assert_int_equal(child->dsn_flags, flags[i].child);
        assert_true(child->dsn_null_from_list);
        assert_null(child->dsn_orcpt);
        assert_ptr_equal(child->top, parent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(affixes_are_stripped),
        UNIT_TEST(routers_are_tried_in_turn),
        UNIT_TEST(unseen_makes_two_of_one),
        UNIT_TEST(no_router_takes_its_own_child),
        UNIT_TEST(children_inherit_what_redirection_passes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
