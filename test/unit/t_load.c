/* link: base os */
/* wrap: getloadavg */
#include "os/load.h"

#include "unit.h"

static double now;
static int answers;

int __wrap_getloadavg(double *load, int n);

int __wrap_getloadavg(double *load, int n)
{
    assert_int_equal(n, 1);
    *load = now;
    return answers;
}

static void load_is_in_thousandths(void **state)
{
    (void)state;
    answers = 1;
    now = 1.5;
    assert_int_equal(load_average(), 1500);
    now = 1e12;
    assert_int_equal(load_average(), 1000000000);
    answers = -1;
    assert_int_equal(load_average(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(load_is_in_thousandths) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
