/* link: base */
/* wrap: abort */
#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "unit.h"

void __real_abort(void) NORETURN;
void __wrap_abort(void) NORETURN;

void __wrap_abort(void)
{
    unit_dump_coverage();
    __real_abort();
}

static void words_an_error_once(void **state)
{
    struct err e = { .sys_errno = 5 };

    assert_false(err_set(&e, *state, "no %s at %d", "thing", 7));
    assert_string_equal(e.msg, "no thing at 7");
    assert_int_equal(e.sys_errno, 0);
    assert_false(err_sys(&e, *state, ENOENT, "open %s", "/x"));
    assert_string_equal(e.msg, "open /x: No such file or directory");
    assert_int_equal(e.sys_errno, ENOENT);
}

static void nobody_need_listen(void **state)
{
    assert_false(err_set(NULL, *state, "x"));
    assert_false(err_sys(NULL, *state, EIO, "x"));
}

static void last_words(const char *text)
{
    fprintf(stderr, "<%s>", text);
    if (strcmp(text, "again") == 0)
        bug("nested");
}

/* What a child that calls bug or die leaves on stderr, and how it ended. */
static const char *end_of(struct arena *a, bool is_bug, const char *text, int *status)
{
    int pair[2];
    struct str got;

    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pair[1], STDERR_FILENO);
        err_on_death(last_words);
        if (is_bug)
            bug("%s", text);
        die("%s", text);
    }
    close(pair[1]);
    assert_true(fd_slurp(a, pair[0], 10000, &got));
    close(pair[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    return got.p;
}

static void the_end_is_told_to_stderr_and_the_log(void **state)
{
    int status;

    assert_string_equal(end_of(*state, false, "no spool", &status), "exim: no spool\n<no spool>");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(end_of(*state, true, "odd", &status), "exim: internal error: odd\n<odd>");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(end_of(*state, false, "again", &status),
                        "exim: again\n<again>exim: internal error: nested\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(words_an_error_once),
        UNIT_TEST(nobody_need_listen),
        UNIT_TEST(the_end_is_told_to_stderr_and_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
