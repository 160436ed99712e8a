/* Every table that is searched by name is sorted by it; every driver can be found and described. */
#include "acl.h"
#include "auths/auth.h"
#include "base/log.h"
#include "config/driver.h"
#include "config/main_options.h"
#include "config/option.h"
#include "config/unbuilt.h"
#include "drtables.h"
#include "hooks.h"
#include "routers/router.h"
#include "search.h"
#include "transports/transport.h"
#include "unit.h"

static void check_options(const char *whose, const struct option *o, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(o[i - 1].name, o[i].name) >= 0)
            fail_msg("%s: %s stands before %s", whose, o[i - 1].name, o[i].name);
        if ((o[i].kind == KIND_CUSTOM) != (o[i].custom != NULL))
            fail_msg("%s: %s has the wrong kind", whose, o[i].name);
    }
}

static void options_are_sorted(void **state)
{
    size_t count;

    (void)state;
    check_options("main", main_options_table, main_options_count);
    check_options("routers", router_options, router_option_count);
    check_options("transports", transport_options, transport_option_count);
    check_options("authenticators", auth_options, auth_option_count);
    const struct router_driver *const *routers = router_drivers(&count);
    for (size_t i = 0; i < count; i++)
        check_options(routers[i]->name, routers[i]->options, routers[i]->option_count);
    const struct transport_driver *const *transports = transport_drivers(&count);
    for (size_t i = 0; i < count; i++)
        check_options(transports[i]->name, transports[i]->options, transports[i]->option_count);
    const struct auth_driver *const *auths = auth_drivers(&count);
    for (size_t i = 0; i < count; i++)
        check_options(auths[i]->name, auths[i]->options, auths[i]->option_count);
}

/* A private option of a generic one's name could never be set. */
static void check_family(const struct driver_family *f)
{
    const struct driver_info *d;
    const char *last = "";

    for (size_t i = 0; (d = f->driver(i)) != NULL; i++) {
        if (strcmp(last, d->name) >= 0)
            fail_msg("%s: %s stands before %s", f->section, last, d->name);
        last = d->name;
        CHECK(d->name, d->instance_size >= f->base_size);
        for (size_t k = 0; k < d->option_count; k++)
            for (size_t g = 0; g < *f->option_count; g++)
                if (strcmp(d->options[k].name, f->options[g].name) == 0)
                    fail_msg("%s: %s is an option of all %s", d->name, d->options[k].name, f->section);
    }
}

static void drivers_are_sorted_and_do_not_hide_generic_options(void **state)
{
    (void)state;
    check_family(drtables_hooks.routers);
    check_family(drtables_hooks.transports);
    check_family(drtables_hooks.authenticators);
}

static void every_driver_is_found_by_its_name(void **state)
{
    size_t count;

    (void)state;
    const struct lookup_driver *const *lookups = lookup_drivers(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(lookup_driver_find(lookups[i]->name), lookups[i]);
        assert_string_equal(drtables_hooks.lookup_name(i), lookups[i]->name);
    }
    assert_null(drtables_hooks.lookup_name(count));
    const struct router_driver *const *routers = router_drivers(&count);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(router_driver_find(routers[i]->name), routers[i]);
    const struct transport_driver *const *transports = transport_drivers(&count);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(transport_driver_find(transports[i]->name), transports[i]);
    const struct auth_driver *const *auths = auth_drivers(&count);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(auth_driver_find(auths[i]->name), auths[i]);
    assert_null(lookup_driver_find("nosuch"));
    assert_null(router_driver_find("nosuch"));
    assert_null(transport_driver_find("nosuch"));
    assert_null(auth_driver_find("nosuch"));
}

/* Hooks that are missing would only be noticed when somebody needs them. */
static void hooks_are_complete(void **state)
{
    void *const *hook = (void *const *)(const void *)&drtables_hooks;

    (void)state;
    _Static_assert(sizeof(struct hooks) % sizeof(void *) == 0, "hooks are pointers");
    for (size_t i = 0; i < sizeof(struct hooks) / sizeof(void *); i++)
        if (hook[i] == NULL)
            fail_msg("hook %zu is not filled in", i);
}

/* What is built is not in the list of what is not, and that list is sorted. */
static void unbuilt_options_are_unknown_elsewhere(void **state)
{
    const char *last = "";
    size_t i = 0;

    (void)state;
    for (const char *name; (name = unbuilt_at(i)) != NULL; i++) {
        CHECK(name, strcmp(last, name) < 0);
        last = name;
        CHECK(name, unbuilt_option(name) != NULL);
        if (strncmp(name, "main/", 5) != 0)
            continue;
        for (size_t k = 0; k < main_options_count; k++)
            CHECK(name, strcmp(main_options_table[k].name, name + 5) != 0);
    }
    assert_null(unbuilt_option("main/nosuch"));
}

static void every_log_selector_has_a_name(void **state)
{
    (void)state;
    for (int bit = 0; bit < L_COUNT; bit++)
        assert_non_null(log_selector_name(bit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(options_are_sorted),
        UNIT_TEST(drivers_are_sorted_and_do_not_hide_generic_options),
        UNIT_TEST(every_driver_is_found_by_its_name),
        UNIT_TEST(hooks_are_complete),
        UNIT_TEST(unbuilt_options_are_unknown_elsewhere),
        UNIT_TEST(every_log_selector_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
