#include "expand/expand_int.h"

#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"

struct literal_node {
    struct expr_node node;
    const char *text;
};

struct capture_node {
    struct expr_node node;
    int number;
};

struct header_node {
    struct expr_node node;
    struct header_ref ref;
};

struct variable_node {
    struct expr_node node;
    struct variable_ref ref;
};

bool compile_fail(struct compiler *c, const char *fmt, ...)
{
    va_list ap;

    if (c->err == NULL)
        return false;
    va_start(ap, fmt);
    *c->err = (struct err){ .msg = arena_vprintf(c->a, fmt, ap) };
    va_end(ap);
    return false;
}

bool compile_more(struct compiler *c, const char *where)
{
    if (c->err != NULL && c->err->msg != NULL)
        c->err->msg = arena_printf(c->a, "%s%s", c->err->msg, where);
    return false;
}

static const char *header_hint(const struct compiler *c)
{
    return c->malformed_header ? " - could be header name not terminated by colon" : "";
}

bool compile_misplaced(struct compiler *c)
{
    return compile_fail(c, "missing or misplaced { or }%s", header_hint(c));
}

void compile_skip_space(struct compiler *c)
{
    c->p = cstr_skip_space(c->p);
}

const char *compile_name(struct compiler *c, const char *more)
{
    const char *start = c->p;

    while (is_alnum(*c->p) || *c->p == '_' ||
           (*c->p != '\0' && strchr(more, *c->p) != NULL))
        c->p++;
    return arena_strndup(c->a, start, (size_t)(c->p - start));
}

/* ---- nodes ---- */

static enum expand_rc eval_literal(struct expand_ctx *ctx, const struct expr_node *n,
                                   const char **out)
{
    (void)ctx;
    *out = ((const struct literal_node *)n)->text;
    return EXPAND_OK;
}

static enum expand_rc eval_capture(struct expand_ctx *ctx, const struct expr_node *n,
                                   const char **out)
{
    int i = ((const struct capture_node *)n)->number;

    *out =
        i < ctx->captures.count && ctx->captures.v[i] != NULL ? ctx->captures.v[i] : "";
    return EXPAND_OK;
}

static enum expand_rc eval_header(struct expand_ctx *ctx, const struct expr_node *n,
                                  const char **out)
{
    return variable_header(ctx, &((const struct header_node *)n)->ref, out);
}

static enum expand_rc eval_variable(struct expand_ctx *ctx, const struct expr_node *n,
                                    const char **out)
{
    return variable_eval(ctx, &((const struct variable_node *)n)->ref, out);
}

struct expr_node *compile_literal(struct arena *a, const char *text, size_t len)
{
    struct literal_node *n = arena_new_obj(a, struct literal_node);

    n->node.eval = eval_literal;
    n->text = arena_strndup(a, text, len);
    return &n->node;
}

const char *compile_constant(const struct expr_node *n)
{
    if (n == NULL)
        return "";
    if (n->next != NULL || n->eval != eval_literal)
        return NULL;
    return ((const struct literal_node *)n)->text;
}

const struct variable *compile_lone_variable(const struct expr_node *n)
{
    if (n == NULL || n->next != NULL || n->eval != eval_variable)
        return NULL;
    return ((const struct variable_node *)n)->ref.row;
}

static struct expr_node *capture_new(struct compiler *c, long number)
{
    struct capture_node *n = arena_new_obj(c->a, struct capture_node);

    n->node.eval = eval_capture;
    n->number = number < CAPTURE_MAX ? (int)number : CAPTURE_MAX;
    return &n->node;
}

static struct expr_node *variable_new(struct compiler *c, const char *name,
                                      bool in_braces)
{
    struct variable_ref ref;
    const char *why = "";

    if (!variable_find(c->a, name, &ref, &why)) {
        if (in_braces)
            compile_fail(c, "unknown variable in \"${%s}\"%s", name, why);
        else
            compile_fail(c, "unknown variable name \"%s\"%s", name, why);
        return NULL;
    }
    struct variable_node *n = arena_new_obj(c->a, struct variable_node);
    n->node.eval = eval_variable;
    n->ref = ref;
    return &n->node;
}

/* ---- headers ---- */

size_t compile_header_prefix(const char *name, enum header_want *want)
{
    static const struct {
        const char *text;
        enum header_want want;
    } prefixes[] = {
        { "h_", HEADER_WANT_DECODED },      { "header_", HEADER_WANT_DECODED },
        { "rh_", HEADER_WANT_RAW },         { "rheader_", HEADER_WANT_RAW },
        { "bh_", HEADER_WANT_BASE64_ONLY }, { "bheader_", HEADER_WANT_BASE64_ONLY },
        { "lh_", HEADER_WANT_LIST },        { "lheader_", HEADER_WANT_LIST },
    };

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (cstr_starts(name, prefixes[i].text)) {
            *want = prefixes[i].want;
            return strlen(prefixes[i].text);
        }
    return 0;
}

/* Printing characters but the colon; white space may end it too. */
const char *compile_header_name(struct compiler *c)
{
    const char *start = c->p;

    while (*c->p != '\0' && *c->p != ':' && !is_space(*c->p) && !is_cntrl(*c->p))
        c->p++;
    const char *name = arena_strndup(c->a, start, (size_t)(c->p - start));
    if (*c->p == ':')
        c->p++;
    else if (strchr(name, '}') != NULL)
        c->malformed_header = true;
    return name;
}

static struct expr_node *header_new(struct compiler *c, enum header_want want)
{
    struct header_node *n = arena_new_obj(c->a, struct header_node);

    n->node.eval = eval_header;
    n->ref = (struct header_ref){ compile_header_name(c), want };
    return &n->node;
}

/* ---- what follows a dollar ---- */

static long read_number(struct compiler *c)
{
    long v = 0;

    for (; is_digit(*c->p); c->p++)
        if (v <= CAPTURE_MAX)
            v = v * 10 + (*c->p - '0');
    return v;
}

static struct expr_node *parse_plain_name(struct compiler *c)
{
    enum header_want want;
    size_t prefix = compile_header_prefix(c->p, &want);

    if (prefix > 0) {
        c->p += prefix;
        return header_new(c, want);
    }
    return variable_new(c, compile_name(c, ""), false);
}

static struct expr_node *parse_braced_number(struct compiler *c)
{
    long number = read_number(c);

    if (*c->p != '}') {
        compile_fail(c, "} expected after number");
        return NULL;
    }
    c->p++;
    return capture_new(c, number);
}

/* After "${": an item, an operator or a variable. */
static struct expr_node *parse_braces(struct compiler *c)
{
    if (is_digit(*c->p))
        return parse_braced_number(c);
    if (!is_alpha(*c->p)) {
        compile_fail(c, "letter or digit expected after ${");
        return NULL;
    }
    const char *name = compile_name(c, "-");
    const struct item *item = item_find(name);
    if (item != NULL)
        return item_compile(c, item);
    char next = *c->p;
    if (next != ':' && next != '}') {
        compile_fail(c,
                     "\"${%s\" is not a known operator (or a } is missing in a variable "
                     "reference)",
                     name);
        return NULL;
    }
    c->p++;
    return next == ':' ? operator_compile(c, name) : variable_new(c, name, true);
}

static struct expr_node *parse_dollar(struct compiler *c)
{
    if (*c->p == '{') {
        c->p++;
        return parse_braces(c);
    }
    if (is_digit(*c->p))
        return capture_new(c, read_number(c));
    if (is_alpha(*c->p))
        return parse_plain_name(c);
    compile_fail(c, "$ not followed by letter, digit, or {");
    return NULL;
}

/* ---- text ---- */

static char read_octal(struct compiler *c)
{
    int v = 0;

    for (int i = 0; i < 3 && *c->p >= '0' && *c->p <= '7'; i++)
        v = v * 8 + (*c->p++ - '0');
    return (char)v;
}

static char read_hex(struct compiler *c)
{
    int v = 0;

    for (int i = 0; i < 2 && is_xdigit(*c->p); i++)
        v = v * 16 + hex_value(*c->p++);
    return (char)v;
}

static void add_unexpanded(struct compiler *c, struct buf *text)
{
    const char *end = strstr(c->p, "\\N");
    size_t len = end == NULL ? strlen(c->p) : (size_t)(end - c->p);

    buf_add(text, c->p, len);
    c->p += len + (end == NULL ? 0 : 2);
}

/* After a backslash. */
static bool add_escape(struct compiler *c, struct buf *text)
{
    static const char from[] = "nrt", to[] = "\n\r\t";

    if (*c->p == '\0')
        return compile_fail(c, "\\ at end of string");
    if (*c->p >= '0' && *c->p <= '7') {
        buf_add_char(text, read_octal(c));
        return true;
    }
    char what = *c->p++;
    const char *known = strchr(from, what);
    if (what == 'N')
        add_unexpanded(c, text);
    else if (what == 'x')
        buf_add_char(text, read_hex(c));
    else
        buf_add_char(text, known == NULL ? what : to[known - from]);
    return true;
}

struct node_list {
    const struct expr_node *first, **tail;
};

static void append(struct node_list *l, struct expr_node *n)
{
    *l->tail = n;
    l->tail = &n->next;
}

static void flush_literal(struct compiler *c, struct node_list *l, struct buf *text)
{
    if (text->len > 0)
        append(l, compile_literal(c->a, text->p, text->len));
    buf_clear(text);
}

static bool add_plain(struct compiler *c, struct buf *text, const char *special)
{
    size_t len = strcspn(c->p, special);

    buf_add(text, c->p, len);
    c->p += len;
    return !text->full;
}

static bool parse_text(struct compiler *c, const char *special, struct node_list *l)
{
    struct buf text = buf_init(c->a, EXPAND_RESULT_MAX);

    for (;;) {
        if (!add_plain(c, &text, special))
            return compile_fail(c, "the string to be expanded is too long");
        if (*c->p == '\0' || *c->p == '}')
            break;
        if (*c->p++ == '\\') {
            if (!add_escape(c, &text))
                return false;
            continue;
        }
        flush_literal(c, l, &text);
        struct expr_node *n = parse_dollar(c);
        if (n == NULL)
            return false;
        append(l, n);
    }
    flush_literal(c, l, &text);
    return true;
}

bool compile_text(struct compiler *c, enum compile_until until, bool literal,
                  const struct expr_node **out)
{
    struct node_list l = { .tail = &l.first };
    const char *special = literal ? (until == UNTIL_BRACE ? "\\}" : "\\")
                                  : (until == UNTIL_BRACE ? "\\$}" : "\\$");

    if (c->depth >= COMPILE_DEPTH_MAX)
        return compile_fail(c, "expansion items are nested too deeply");
    c->depth++;
    bool ok = parse_text(c, special, &l);
    c->depth--;
    *out = l.first;
    return ok;
}

bool compile_braced(struct compiler *c, bool literal, const struct expr_node **out)
{
    c->p++;
    if (!compile_text(c, UNTIL_BRACE, literal, out))
        return false;
    if (*c->p != '}')
        return compile_fail(c, "missing } at end of string%s", header_hint(c));
    c->p++;
    return true;
}

bool compile_arg(struct compiler *c, const char *what, const char *item,
                 const struct expr_node **out)
{
    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing '{' for %s of %s", what, item);
    return compile_braced(c, false, out);
}

bool compile_close(struct compiler *c, const char *item)
{
    compile_skip_space(c);
    if (*c->p != '}')
        return compile_fail(c, "missing } at end of \"%s\"", item);
    c->p++;
    return true;
}
