#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex.h"

#include <pcre2.h>

#include "base/arena.h"

/* Enough for any sane pattern, and over within a second for the others. */
enum { MATCH_LIMIT = 10 * 1000 * 1000, HEAP_LIMIT_KIB = 64 * 1024 };

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static void regex_release(void *arg)
{
    struct regex *re = arg;

    pcre2_match_data_free(re->data);
    pcre2_match_context_free(re->limits);
    pcre2_code_free(re->code);
}

static bool prepare(struct regex *re, bool jit)
{
    re->data = pcre2_match_data_create(CAPTURE_MAX, NULL);
    re->limits = pcre2_match_context_create(NULL);
    if (re->data == NULL || re->limits == NULL)
        return false;
    pcre2_set_match_limit(re->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(re->limits, HEAP_LIMIT_KIB);
    if (jit) /* without it, it is only slower */
        (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    return true;
}

const struct regex *regex_compile(struct arena *a, const char *pattern, unsigned flags,
                                  struct err *err)
{
    struct regex *re = arena_new_obj(a, struct regex);
    int code;
    PCRE2_SIZE at;

    re->code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      flags & REGEX_CASELESS ? PCRE2_CASELESS : 0, &code, &at, NULL);
    if (re->code == NULL) {
        PCRE2_UCHAR text[128];

        (void)pcre2_get_error_message(code, text, sizeof(text));
        err_set(err, a, "regular expression error in \"%s\": %s at offset %zu", pattern,
                text, at);
        return NULL;
    }
    if (!prepare(re, (flags & REGEX_BRIEF) == 0))
        die("out of memory for a regular expression");
    arena_on_destroy(a, regex_release, re);
    return re;
}

/* The number of pairs set, 0 for no match, negative for an error. */
static int run(const struct regex *re, struct str s, size_t start, uint32_t options)
{
    PCRE2_SPTR p = (PCRE2_SPTR)(s.len > 0 ? s.p : "");
    int n = pcre2_match(re->code, p, s.len, start, options, re->data, re->limits);

    if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter uses the heap instead */
        n = pcre2_match(re->code, p, s.len, start, options | PCRE2_NO_JIT, re->data,
                        re->limits);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    return n == 0 ? CAPTURE_MAX : n; /* 0: more groups than CAPTURE_MAX */
}

enum rc regex_find(const struct regex *re, const struct regex_search *at,
                   struct regex_spans *out, struct arena *a, struct err *err)
{
    uint32_t options = at->not_empty ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0;
    int n = run(re, at->subject, at->start, options);

    if (n == 0)
        return RC_FAIL;
    if (n < 0) {
        PCRE2_UCHAR text[128];

        (void)pcre2_get_error_message(n, text, sizeof(text));
        err_set(err, a, "regular expression match failed: %s", text);
        return RC_DEFER;
    }
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(re->data);
    out->count = n;
    for (int i = 0; i < n; i++) {
        bool set =
            v[2 * i] != PCRE2_UNSET && v[2 * i] <= v[2 * i + 1]; /* \K can cross them */

        out->v[i].from = set ? (ptrdiff_t)v[2 * i] : -1;
        out->v[i].to = set ? (ptrdiff_t)v[2 * i + 1] : -1;
    }
    return RC_OK;
}

enum rc regex_match(const struct regex *re, struct arena *a, struct str subject,
                    struct captures *out, struct err *err)
{
    struct regex_spans spans;
    enum rc rc =
        regex_find(re, &(struct regex_search){ .subject = subject }, &spans, a, err);

    if (rc != RC_OK || out == NULL)
        return rc;
    out->count = spans.count;
    for (int i = 0; i < CAPTURE_MAX; i++) {
        struct regex_span s =
            i < spans.count ? spans.v[i] : (struct regex_span){ -1, -1 };

        if (i >= spans.count)
            out->v[i] = NULL;
        else if (s.from < 0)
            out->v[i] = "";
        else
            out->v[i] = arena_strndup(a, subject.p + s.from, (size_t)(s.to - s.from));
    }
    return RC_OK;
}

bool regex_test(const struct regex *re, struct str subject)
{
    return run(re, subject, 0, 0) > 0;
}
