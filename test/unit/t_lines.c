/* link: base smtp/lines */
#include "smtp/lines.h"

#include "unit.h"

/* clang-format off */
static const struct {
    const char *name;
    enum lines_end end;
    const char *in, *out;
    size_t rest; /* bytes after the end; SIZE_MAX: not ended */
} cases[] = {
    { "plain", LINES_END_DOT, "A: b\r\n\r\nx\r\n.\r\n", "A: b\n\nx\n", 0 },
    { "empty", LINES_END_DOT, ".\r\n", "", 0 },
    { "rest is left", LINES_END_DOT, "A: b\r\n.\r\nQUIT\r\n", "A: b\n", 6 },
    { "unstuff", LINES_END_DOT, "A: b\r\n\r\n..x\r\n...\r\n.y\r\n.\r\n", "A: b\n\n.x\n..\ny\n", 0 },
    { "LF dot LF", LINES_END_DOT, "A: b\r\n\r\nx\n.\ny\r\n.\r\n", "A: b\n\nx . y\n", 0 },
    { "LF dot CRLF", LINES_END_DOT, "A: b\r\n\r\nx\n.\r\ny\r\n.\r\n", "A: b\n\nx .\ny\n", 0 },
    { "CRLF dot LF", LINES_END_DOT, "A: b\r\n\r\nx\r\n.\ny\r\n.\r\n", "A: b\n\nx\n y\n", 0 },
    { "CR dot CR", LINES_END_DOT, "A: b\r\n\r\nx\r.\ry\r\n.\r\n", "A: b\n\nx\n.\ny\n", 0 },
    { "CR dot CRLF", LINES_END_DOT, "A: b\r\n\r\nx\r.\r\ny\r\n.\r\n", "A: b\n\nx\n.\ny\n", 0 },
    { "CRLF dot CR", LINES_END_DOT, "A: b\r\n\r\nx\r\n.\ry\r\n.\r\n", "A: b\n\nx\n\ny\n", 0 },
    { "CRCRLF", LINES_END_DOT, "A: b\r\n\r\nx\r\r\n.\r\r\n.\r\n", "A: b\n\nx\n\n\n\n", 0 },
    { "LFCR dot LFCR", LINES_END_DOT, "A: b\r\n\r\nx\n\r.\n\ry\r\n.\r\n", "A: b\n\nx \n. \ny\n", 0 },
    { "LF only", LINES_END_DOT, "A: b\n\nx\n.\ny\n", "A: b\n\nx\n.\ny\n", SIZE_MAX },
    { "LF, then CRLF", LINES_END_DOT, "A: b\n\nx\n.\r\ny\r\n.\r\n", "A: b\n\nx\n.\ny\n", 0 },
    { "NUL around", LINES_END_DOT, "A: b\r\n\r\n\r\n.\1\r\n.\r\n", "A: b\n\n\n\1\n", 0 },
    { "bare in header", LINES_END_DOT, "A: b\r\nB: c\nD: e\rF: g\r\n\r\n.\r\n", "A: b\nB: c\n D: e\n F: g\n\n", 0 },
    { "bare CR first", LINES_END_DOT, "A: b\rB: c\r\n\r\n.\r\n", "A: b\n B: c\n\n", 0 },
    { "local dot", LINES_END_LOCAL, "A: b\n\n.x\n..\n.\nz", "A: b\n\n.x\n..\n", 1 },
    { "local CRLF dot", LINES_END_LOCAL, "A: b\r\n\r\nx\r\n.\r\nz", "A: b\n\nx\n", 1 },
    { "local LF dot CRLF", LINES_END_LOCAL, "A: b\n\nx\n.\r\nz", "A: b\n\nx\n", 1 },
    { "local CR dot CR", LINES_END_LOCAL, "A: b\n\nx\r.\rz", "A: b\n\nx\n.\nz", SIZE_MAX },
    { "batch", LINES_END_BATCH, "A: b\n\n..x\n.\nz", "A: b\n\n.x\n", 1 },
    { "batch, CRLF", LINES_END_BATCH, "A: b\r\n\r\nx\n.\n.\r\n.\r\nz", "A: b\n\nx . .\n", 1 },
    { "counted", LINES_END_COUNT, "A: b\r\n\r\n.\r\n..\r\n", "A: b\n\n.\n..\n", SIZE_MAX },
    { "counted, CR last", LINES_END_COUNT, "A: b\r\n\r\nx\r", "A: b\n\nx\n", SIZE_MAX },
};
/* clang-format on */

/* Feeds pieces of `step` bytes, `first` bytes first, each a heap block of its own for ASan. */
static void run(struct arena *a, size_t row, size_t first, size_t step)
{
    const char *in = cases[row].in;
    size_t n = strlen(in), at = 0, got = 0;
    char *out = arena_alloc(a, 2 * n + 16, 1);
    struct lines l = lines_new(cases[row].end);

    while (at < n && l.state != LINES_DONE) {
        size_t len = at == 0 && first > 0 ? first : step, used;

        len = len < n - at ? len : n - at;
        char *piece = malloc(len), *to = malloc(2 * len + 4);
        memcpy(piece, in + at, len);
        size_t made = lines_feed(&l, piece, len, &used, to);
        memcpy(out + got, to, made);
        got += made;
        free(piece);
        free(to);
        at += used;
        if (l.state != LINES_DONE)
            CHECK(cases[row].name, used == len);
    }
    bool done = l.state == LINES_DONE;
    if (!done)
        got += lines_finish(&l, out + got);
    out[got] = '\0';
    CHECK(cases[row].name, done == (cases[row].rest != SIZE_MAX));
    CHECK(cases[row].name, !done || n - at == cases[row].rest);
    CHECK_STR(cases[row].name, out, cases[row].out);
}

static void every_form_at_once_and_in_every_split(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = strlen(cases[i].in);

        for (size_t first = 0; first < n; first++)
            run(*state, i, first, n);
        for (size_t step = 1; step < 5; step++)
            run(*state, i, 0, step);
    }
}

/* Every pair of strange line ends around a dot, split at every byte: only CRLF on both sides ends. */
static void only_crlf_dot_crlf_ends(void **state)
{
    static const char *const ends[] = { "\n", "\r", "\r\n", "\r\r\n", "\n\r", "\r\n\r", "\n\n", "\r\r",
                                        "\1\r\n", "\r\n\1", "\n\r\n", "x" };
    size_t ended = 0;

    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        for (size_t j = 0; j < ARRAY_LEN(ends); j++) {
            char *in = arena_printf(*state, "A: b\r\n\r\nx%s.%syz", ends[i], ends[j]);
            size_t n = strlen(in), dot = (size_t)(strchr(in, '.') - in);
            bool want = memcmp(in + dot - 2, "\r\n", 2) == 0 && memcmp(in + dot + 1, "\r\n", 2) == 0;

            for (size_t split = 0; split <= n; split++) {
                struct lines l = lines_new(LINES_END_DOT);
                char out[128];
                size_t used;

                (void)lines_feed(&l, in, split, &used, out);
                if (l.state != LINES_DONE)
                    (void)lines_feed(&l, in + split, n - split, &used, out);
                CHECK(in, (l.state == LINES_DONE) == want);
            }
            ended += want;
        }
    assert_true(ended > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_form_at_once_and_in_every_split),
        UNIT_TEST(only_crlf_dot_crlf_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
