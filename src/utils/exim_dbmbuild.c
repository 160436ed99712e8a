/* exim_dbmbuild - makes a DBM file, for dbm lookups, of a text file as lsearch reads it.
 *
 * The new file is built beside the old one and renamed over it when it is complete. */
#include <ctype.h>
#include <db.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

enum {
    EXIT_DUPLICATES = 1,
    EXIT_BAD = 2,
    ENTRY_MAX = 16 * 1024 * 1024,
    FILE_MODE = 0640
};

struct build {
    struct arena *arena;
    DB *db;
    bool lower, zero, warn, duplicate_error, last_wins;
    unsigned long count, duplicates;
};

static bool complain(const char *what, const char *name, int error)
{
    fprintf(stderr, "exim_dbmbuild: %s %s: %s\n", what, name, db_strerror(error));
    return false;
}

/* A key ends at a colon or blank; in quotes at the quote, with \ before what is special.
 */
static char *take_key(struct build *b, const char **line)
{
    const char *s = *line;
    char *key = arena_alloc(b->arena, strlen(s) + 1, 1), *out = key;

    if (*s == '"') {
        for (s++; *s != 0 && *s != '"'; s++) {
            if (*s == '\\' && s[1] != 0)
                s++;
            *out++ = *s;
        }
        if (*s == '"')
            s++;
    } else {
        while (*s != 0 && *s != ':' && !isspace((unsigned char)*s))
            *out++ = *s++;
    }
    *out = 0;
    if (b->lower)
        for (char *p = key; *p != 0; p++)
            *p = (char)tolower((unsigned char)*p);
    while (isspace((unsigned char)*s))
        s++;
    if (*s == ':')
        s++;
    while (isspace((unsigned char)*s))
        s++;
    *line = s;
    return key;
}

static bool store(struct build *b, const char *text)
{
    const char *data = text;
    char *key = take_key(b, &data);
    DBT k = { .data = key, .size = (u_int32_t)(strlen(key) + b->zero) };
    DBT d = { .data = arena_strdup(b->arena, data),
              .size = (u_int32_t)(strlen(data) + b->zero) };
    int rc = b->db->put(b->db, NULL, &k, &d, DB_NOOVERWRITE);

    if (rc == DB_KEYEXIST) {
        b->duplicates++;
        if (b->warn)
            fprintf(stderr, "** Duplicate key \"%s\"\n", key);
        if (!b->last_wins)
            return true;
        rc = b->db->put(b->db, NULL, &k, &d, 0);
    } else {
        b->count++;
    }
    return rc == 0 || complain("cannot store", key, rc);
}

/* Puts a line that begins with a blank to the entry before it. */
static bool add_line(struct build *b, char **entry, char *line)
{
    size_t n = strlen(line);

    while (n > 0 && isspace((unsigned char)line[n - 1]))
        line[--n] = 0;
    if (n == 0 || line[0] == '#')
        return true;
    if (!isspace((unsigned char)line[0])) {
        if (*entry != NULL && !store(b, *entry))
            return false;
        *entry = arena_strdup(b->arena, line);
        return true;
    }
    while (isspace((unsigned char)*line))
        line++;
    if (*entry == NULL) {
        fprintf(stderr, "exim_dbmbuild: the first line is a continuation\n");
        return false;
    }
    if (strlen(*entry) + n > ENTRY_MAX) {
        fprintf(stderr, "exim_dbmbuild: an entry of more than %d bytes\n", ENTRY_MAX);
        return false;
    }
    *entry = arena_printf(b->arena, "%s %s", *entry, line);
    return true;
}

static bool read_all(struct build *b, FILE *in, const char *name)
{
    char *line = NULL, *entry = NULL;
    size_t size = 0;
    bool ok = true;

    while (ok && getline(&line, &size, in) >= 0)
        ok = add_line(b, &entry, line);
    free(line);
    if (ok && ferror(in))
        ok = complain("cannot read", name, errno);
    return ok && (entry == NULL || store(b, entry));
}

static bool make(struct build *b, FILE *in, const char *name, const char *out)
{
    const char *temp = arena_printf(b->arena, "%s.dbmbuild_temp", out);
    int rc = unlink(temp) < 0 && errno != ENOENT ? errno : db_create(&b->db, NULL, 0);

    if (rc != 0)
        return complain("cannot make", temp, rc);
    rc = b->db->open(b->db, NULL, temp, NULL, DB_HASH, DB_CREATE | DB_EXCL, FILE_MODE);
    bool ok = rc == 0 ? read_all(b, in, name) : complain("cannot make", temp, rc);
    rc = b->db->close(b->db, 0);
    if (rc != 0)
        ok = complain("cannot write", temp, rc);
    if (ok && rename(temp, out) < 0)
        ok = complain("cannot rename to", out, errno);
    if (!ok)
        (void)unlink(temp);
    return ok;
}

static bool set_option(struct build *b, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
        bool value;
    } options[] = {
        { "-nolc", &b->lower, false },       { "-nozero", &b->zero, false },
        { "-nowarn", &b->warn, false },      { "-noduperr", &b->duplicate_error, false },
        { "-lastdup", &b->last_wins, true },
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (strcmp(name, options[i].name) == 0) {
            *options[i].flag = options[i].value;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    struct build b = {
        .lower = true, .zero = true, .warn = true, .duplicate_error = true
    };
    int i = 1;

    while (i < argc && argv[i][0] == '-' && argv[i][1] != 0 && set_option(&b, argv[i]))
        i++;
    if (argc - i != 2 || (argv[i][0] == '-' && argv[i][1] != 0)) {
        fprintf(stderr,
                "Usage: exim_dbmbuild [-nolc] [-nozero] [-nowarn] [-noduperr] [-lastdup] "
                "<input file or -> <DBM file>\n");
        return EXIT_BAD;
    }
    if (strcmp(argv[i], argv[i + 1]) == 0) {
        fprintf(stderr, "exim_dbmbuild: input and output are the same file\n");
        return EXIT_BAD;
    }
    FILE *in = strcmp(argv[i], "-") == 0 ? stdin : fopen(argv[i], "r");
    if (in == NULL) {
        (void)complain("cannot open", argv[i], errno);
        return EXIT_BAD;
    }
    b.arena = arena_new("dbmbuild");
    bool ok = make(&b, in, argv[i], argv[i + 1]);
    if (in != stdin)
        (void)fclose(in);
    arena_destroy(&b.arena);
    if (!ok)
        return EXIT_BAD;
    if (b.warn)
        printf("%lu entries written\n", b.count);
    if (b.warn && b.duplicates > 0)
        printf("%lu duplicate key%s\n", b.duplicates, b.duplicates == 1 ? "" : "s");
    return b.duplicates > 0 && b.duplicate_error ? EXIT_DUPLICATES : EXIT_SUCCESS;
}
