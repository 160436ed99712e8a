#include "regex.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/pcre2.h"

/* Enough for any sane pattern, and over within a second for the others. */
enum { MATCH_LIMIT = 10 * 1000 * 1000, HEAP_LIMIT_KIB = 64 * 1024 };

struct compiled {
    pcre2_code *code; /* NULL: not yet */
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

struct regex {
    const char *pattern;
    unsigned flags;
    struct compiled *it;
};

static bool at_once; /* this process forks many that would each do it */

void regex_compile_at_once(void)
{
    at_once = true;
    (void)pcre2(); /* also for patterns that are not known yet */
}

static void regex_release(void *arg)
{
    struct compiled *c = arg;

    if (c->code == NULL)
        return;
    pcre2()->match_data_free(c->data);
    pcre2()->match_context_free(c->limits);
    pcre2()->code_free(c->code);
}

static bool prepare(struct compiled *c, bool jit)
{
    c->data = pcre2()->match_data_create(CAPTURE_MAX, NULL);
    c->limits = pcre2()->match_context_create(NULL);
    if (c->data == NULL || c->limits == NULL)
        return false;
    pcre2()->set_match_limit(c->limits, MATCH_LIMIT);
    pcre2()->set_heap_limit(c->limits, HEAP_LIMIT_KIB);
    if (jit) /* without it, it is only slower */
        (void)pcre2()->jit_compile(c->code, PCRE2_JIT_COMPLETE);
    return true;
}

static bool compile(const struct regex *re, struct arena *a, struct err *err)
{
    int code;
    PCRE2_SIZE at;

    re->it->code = pcre2()->compile((PCRE2_SPTR)re->pattern, PCRE2_ZERO_TERMINATED,
                                    re->flags & REGEX_CASELESS ? PCRE2_CASELESS : 0, &code,
                                    &at, NULL);
    if (re->it->code == NULL) {
        PCRE2_UCHAR text[128];

        (void)pcre2()->get_error_message(code, text, sizeof(text));
        return err_set(err, a, "regular expression error in \"%s\": %s at offset %zu",
                       re->pattern, text, at);
    }
    if (!prepare(re->it, (re->flags & REGEX_BRIEF) == 0))
        die("out of memory for a regular expression");
    return true;
}

const struct regex *regex_compile(struct arena *a, const char *pattern, unsigned flags,
                                  struct err *err)
{
    struct regex *re = arena_new_obj(a, struct regex);

    *re = (struct regex){ pattern, flags, arena_new_obj(a, struct compiled) };
    arena_on_destroy(a, regex_release, re->it);
    if ((flags & REGEX_LATER) != 0 && !at_once)
        re->pattern = arena_strdup(a, pattern);
    else if (!compile(re, a, err))
        return NULL;
    return re;
}

/* A mistake that nobody looked for earlier. */
static void compile_late(const struct regex *re)
{
    struct arena *a = arena_new("regex");
    struct err err = { 0 };

    if (!compile(re, a, &err))
        die("%s", err.msg);
    arena_destroy(&a);
}

bool regex_is_plain(const char *pattern)
{
    if (cstr_starts(pattern, "(?i)"))
        pattern += 4;
    while (is_alnum(*pattern) || (*pattern != '\0' && strchr(" -_@,:;/|.^$", *pattern) != NULL))
        pattern++;
    return *pattern == '\0';
}

/* The number of pairs set, 0 for no match, negative for an error. */
static int run(const struct regex *re, struct str s, size_t start, uint32_t options)
{
    PCRE2_SPTR p = (PCRE2_SPTR)(s.len > 0 ? s.p : "");

    if (re->it->code == NULL)
        compile_late(re);
    int n = pcre2()->match(re->it->code, p, s.len, start, options, re->it->data, re->it->limits);

    if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter uses the heap instead */
        n = pcre2()->match(re->it->code, p, s.len, start, options | PCRE2_NO_JIT, re->it->data,
                        re->it->limits);
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

        (void)pcre2()->get_error_message(n, text, sizeof(text));
        err_set(err, a, "regular expression match failed: %s", text);
        return RC_DEFER;
    }
    const PCRE2_SIZE *v = pcre2()->get_ovector_pointer(re->it->data);
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
