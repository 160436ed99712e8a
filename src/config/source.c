#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/str.h"
#include "config/macros.h"
#include "config/owner.h"

enum { FILE_MAX = 16 * 1024 * 1024, LINE_CEILING = 4 * 1024 * 1024, INCLUDE_DEPTH = 100 };

struct file {
    struct file *outer;
    const char *name;
    const char *at, *end; /* not yet read */
    int number;           /* of the last line read */
};

/* One .ifdef that is open. */
struct condition {
    struct condition *outer;
    bool outer_skips; /* nothing in here counts */
    bool done;        /* a branch was taken */
    bool skips;       /* the present branch is left out */
};

struct marker {
    struct marker *next;
    const char *text;
};

struct source {
    struct arena *arena;
    struct macros *macros;
    struct file *file;
    struct condition *condition;
    struct buf line;
    const char *last;
    struct marker *markers, **markers_end;
    int depth;
    bool again;
};

static struct source *new_source(struct arena *a, struct macros *m)
{
    struct source *l = arena_new_obj(a, struct source);

    *l = (struct source){ .arena = a, .macros = m, .line = buf_init(a, LINE_CEILING) };
    l->markers_end = &l->markers;
    return l;
}

static void mark(struct source *l, int number)
{
    struct marker *m = arena_new_obj(l->arena, struct marker);

    m->text = arena_printf(l->arena, "# %d \"%s\"", number, l->file->name);
    *l->markers_end = m;
    l->markers_end = &m->next;
}

static struct file *new_file(struct arena *a, const char *name)
{
    struct file *f = arena_new_obj(a, struct file);

    f->name = name;
    return f;
}

static void push(struct source *l, struct file *f)
{
    f->outer = l->file;
    if (l->file != NULL)
        mark(l, l->file->number);
    l->file = f;
    mark(l, 1);
}

/* Reads the open file and closes it. */
static bool slurp(struct arena *a, int fd, struct file *f, bool check, struct err *err)
{
    const char *name = f->name;
    struct str text;
    struct stat st;

    bool ok = fstat(fd, &st) == 0 ||
              err_sys(err, a, errno, "failed to stat configuration file %s", name);

    if (ok && check && !owner_allowed(&st))
        ok = err_set(err, a,
                     "Exim configuration file %s has the wrong owner, group, or mode",
                     name);
    if (ok && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
        ok = err_set(err, a, "configuration file %s is not a file", name);
    if (ok && !fd_slurp(a, fd, FILE_MAX, &text))
        ok = err_sys(err, a, errno, "failed to read configuration file %s", name);
    if (ok && memchr(text.p, '\0', text.len) != NULL)
        ok = err_set(err, a, "configuration file %s contains a NUL byte", name);
    (void)fd_close(fd);
    if (!ok)
        return false;
    f->at = text.p;
    f->end = text.p + text.len;
    return true;
}

struct source *source_open(struct arena *a, const char *filename, bool check,
                           struct macros *m, struct err *err)
{
    struct source *l = new_source(a, m);
    struct file *f = new_file(a, arena_strdup(a, filename));
    int fd = fd_open(filename, O_RDONLY, 0);

    if (fd < 0)
        err_sys(err, a, errno, "failed to open configuration file %s", filename);
    if (fd < 0 || !slurp(a, fd, f, check, err))
        return NULL;
    push(l, f);
    return l;
}

struct source *source_open_text(struct arena *a, const char *name, const char *text,
                                struct macros *m)
{
    struct source *l = new_source(a, m);

    struct file *f = new_file(a, name);

    f->at = text;
    f->end = text + strlen(text);
    push(l, f);
    return l;
}

int source_number(const struct source *l)
{
    return l->file->number;
}

const char *source_filename(const struct source *l)
{
    return l->file->name;
}

const char *source_marker(struct source *l)
{
    struct marker *m = l->markers;

    if (m == NULL)
        return NULL;
    l->markers = m->next;
    if (m->next == NULL)
        l->markers_end = &l->markers;
    return m->text;
}

void source_again(struct source *l)
{
    l->again = true;
}

/* The next physical line, with white space trimmed; NULL at the end of everything. */
static char *next_physical(struct source *l)
{
    while (l->file->at == l->file->end) {
        if (l->file->outer == NULL)
            return NULL;
        l->file = l->file->outer;
        l->depth--;
        mark(l, l->file->number);
    }
    struct file *f = l->file;
    const char *nl = memchr(f->at, '\n', (size_t)(f->end - f->at));
    const char *end = nl != NULL ? nl : f->end;
    const char *from = f->at;

    f->at = nl != NULL ? nl + 1 : f->end;
    f->number++;
    while (from < end && is_space(*from))
        from++;
    while (end > from && is_space(end[-1]))
        end--;
    return arena_strndup(l->arena, from, (size_t)(end - from));
}

static const char *include_path(struct source *l, const char *name)
{
    const char *slash = strrchr(l->file->name, '/');

    if (name[0] == '/' || slash == NULL)
        return name;
    return arena_printf(l->arena, "%.*s%s", (int)(slash + 1 - l->file->name),
                        l->file->name, name);
}

static bool include(struct source *l, const char *name, bool if_exists, struct err *err)
{
    size_t n = strlen(name);

    if (n >= 2 && name[0] == '"' && name[n - 1] == '"')
        name = arena_strndup(l->arena, name + 1, n - 2);
    if (name[0] == '\0')
        return err_set(err, l->arena, "a file name is missing after .include");
    if (if_exists && name[0] != '/')
        return err_set(err, l->arena, ".include specifies a non-absolute path \"%s\"",
                       name);
    if (l->depth++ >= INCLUDE_DEPTH)
        return err_set(err, l->arena, "files are included more than %d deep",
                       INCLUDE_DEPTH);
    name = arena_strdup(l->arena, include_path(l, name));
    int fd = fd_open(name, O_RDONLY, 0);

    if (fd < 0 && if_exists && errno == ENOENT) {
        l->depth--;
        return true;
    }
    if (fd < 0)
        return err_sys(err, l->arena, errno,
                       "failed to open included configuration file %s", name);
    struct file *f = new_file(l->arena, name);

    if (!slurp(l->arena, fd, f, false, err))
        return false;
    push(l, f);
    return true;
}

static bool skipping(const struct source *l)
{
    return l->condition != NULL && (l->condition->outer_skips || l->condition->skips);
}

static void open_condition(struct source *l, bool taken)
{
    struct condition *c = arena_new_obj(l->arena, struct condition);

    *c = (struct condition){
        .outer = l->condition, .outer_skips = skipping(l), .done = taken, .skips = !taken
    };
    l->condition = c;
}

enum word {
    WORD_IFDEF,
    WORD_IFNDEF,
    WORD_ELIFDEF,
    WORD_ELIFNDEF,
    WORD_ELSE,
    WORD_ENDIF,
    WORD_NONE
};
static const char *const words[] = { ".ifdef",    ".ifndef", ".elifdef",
                                     ".elifndef", ".else",   ".endif" };

static enum word which_word(const char *s)
{
    for (int w = 0; w < WORD_NONE; w++) {
        size_t n = strlen(words[w]);

        if (strncmp(s, words[w], n) == 0 && (s[n] == '\0' || is_space(s[n])))
            return (enum word)w;
    }
    return WORD_NONE;
}

/* replaced: a macro stood in the line. */
static bool conditional(struct source *l, enum word w, bool replaced, struct err *err)
{
    struct condition *c = l->condition;

    if (w == WORD_IFDEF || w == WORD_IFNDEF) {
        open_condition(l, replaced == (w == WORD_IFDEF));
        return true;
    }
    if (c == NULL)
        return err_set(err, l->arena, "%s without matching .ifdef", words[w]);
    if (w == WORD_ENDIF) {
        l->condition = c->outer;
        return true;
    }
    bool take = !c->done && (w == WORD_ELSE || replaced == (w == WORD_ELIFDEF));

    c->skips = !take;
    c->done = c->done || take;
    return true;
}

static const char *after_word(const char *s, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(s, word, n) != 0 || (s[n] != '\0' && !is_space(s[n])))
        return NULL;
    return cstr_skip_space(s + n);
}

/* Conditionals and inclusions. *done: the line was one, or is left out. */
static bool directive(struct source *l, const char *s, bool replaced, bool *done,
                      struct err *err)
{
    enum word w = s[0] == '.' ? which_word(s) : WORD_NONE;
    const char *rest;

    *done = true;
    if (w != WORD_NONE)
        return conditional(l, w, replaced, err);
    if (skipping(l))
        return true;
    if ((rest = after_word(s, ".include")) != NULL)
        return include(l, rest, false, err);
    if ((rest = after_word(s, ".include_if_exists")) != NULL)
        return include(l, rest, true, err);
    *done = false;
    return true;
}

static void drop_space(struct buf *b)
{
    size_t n = b->len;

    while (n > 0 && is_space(b->p[n - 1]))
        n--;
    buf_truncate(b, n);
}

enum got { GOT_ERROR, GOT_END, GOT_NOTHING, GOT_LINE };

/* One physical line with its macros replaced; GOT_NOTHING: it is a comment or was a
 * directive. */
static enum got next_part(struct source *l, const char **part, struct err *err)
{
    char *raw = next_physical(l);
    bool done;

    if (raw == NULL)
        return GOT_END;
    if (raw[0] == '#')
        return GOT_NOTHING;
    size_t keep = l->line.len == 0 ? macros_name_length(raw) : 0;

    if (!macros_replace(l->macros, raw, keep, part)) {
        err_set(err, l->arena, "the line is too long once its macros are replaced");
        return GOT_ERROR;
    }
    bool replaced = *part != raw;

    *part = cstr_skip_space(*part);
    if (!directive(l, *part, replaced, &done, err))
        return GOT_ERROR;
    return done || (*part)[0] == '#' ? GOT_NOTHING : GOT_LINE;
}

static bool finished(struct source *l, const char *part, bool *continued)
{
    buf_add_cstr(&l->line, part);
    drop_space(&l->line);
    *continued = l->line.len > 0 && l->line.p[l->line.len - 1] == '\\';
    if (*continued)
        buf_truncate(&l->line, l->line.len - 1);
    return !*continued;
}

static const char *complete(struct source *l)
{
    drop_space(&l->line);
    l->last = l->line.len == 0 ? NULL : arena_strndup(l->arena, l->line.p, l->line.len);
    return l->last;
}

const char *source_next(struct source *l, struct err *err)
{
    bool continued = false;
    const char *part;

    *err = (struct err){ 0 };
    if (l->again) {
        l->again = false;
        return l->last;
    }
    buf_clear(&l->line);
    for (;;) {
        enum got got = next_part(l, &part, err);

        if (got == GOT_ERROR)
            return NULL;
        if (got == GOT_END)
            break;
        if (got == GOT_LINE && finished(l, part, &continued) && complete(l) != NULL)
            return l->last;
    }
    if (l->condition != NULL) {
        err_set(err, l->arena, "Unexpected end of configuration file: .endif missing");
        return NULL;
    }
    return continued ? complete(l) : NULL;
}
