#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "parse.h"
#include "regex.h"
#include "transports/appendfile_int.h"

enum { DEPTH_MAX = 32, WARNING_MAX = 1024 * 1024, RECIPIENTS_MAX = 100 };

static const char default_warning[] =
    "To: $local_part@$domain\n"
    "Subject: Your mailbox\n\n"
    "This message is automatically created by mail delivery software.\n\n"
    "The size of your mailbox has exceeded a warning threshold that is\n"
    "set by the system administrator.\n";

/* ---- values ---- */

/* "10", "1.5G", "75%": false when malformed. *rest: what follows the value. */
static bool read_value(const char *s, double *out, bool *percent, const char **rest)
{
    char *end;

    *percent = false;
    if (strspn(s, "0123456789.") == 0)
        return false;
    *out = strtod(s, &end);
    switch (*end) {
    case 'G': case 'g':
        *out *= 1024.0 * 1024 * 1024;
        end++;
        break;
    case 'M': case 'm':
        *out *= 1024.0 * 1024;
        end++;
        break;
    case 'K': case 'k':
        *out *= 1024.0;
        end++;
        break;
    case '%':
        *percent = true;
        end++;
        break;
    default:
        break;
    }
    *rest = cstr_skip_space(end);
    return isfinite(*out) && *out < 9.0e18;
}

/* An expanded number with its modifiers; unset and empty give 0. False: result set. */
static bool get_value(struct append *ap, const struct expr *e, const char *option, bool may_percent, int64_t *out,
                      bool *no_check)
{
    const char *text, *rest = "";
    double v = 0;
    bool percent = false;

    *out = 0;
    if (!append_expand(ap, e, option, false, &text))
        return false;
    if (text == NULL || *(text = cstr_skip_space(text)) == '\0')
        return true;
    bool ok = read_value(text, &v, &percent, &rest) && (may_percent || !percent);
    for (; ok && *rest == '/'; ) {
        if (no_check != NULL && cstr_starts(rest, "/no_check"))
            *no_check = true;
        else
            ok = cstr_starts(rest, "/no_check");
        rest = cstr_skip_space(rest + (ok ? strlen("/no_check") : 0));
    }
    if (!ok || *rest != '\0')
        return append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "Malformed value \"%s\" (expansion of \"%s\") in %s transport",
                            text, e->text, ap->t->base.name);
    /* A percentage of no quota is no threshold. */
    *out = (int64_t)(percent ? v * (double)ap->quota / 100 : v);
    return true;
}

bool append_read_quota(struct append *ap)
{
    const struct appendfile *t = ap->t;
    const char *size;

    if (!get_value(ap, t->quota, "quota", false, &ap->quota, &ap->no_check) ||
        !get_value(ap, t->quota_filecount, "quota_filecount", false, &ap->filecount, &ap->no_check) ||
        !get_value(ap, t->quota_warn_threshold, "quota_warn_threshold", true, &ap->threshold, NULL))
        return false;
    if (!append_expand(ap, t->mailbox_size, "mailbox_size", true, &size))
        return false;
    if (size != NULL && size[0] != '\0' &&
        !get_value(ap, t->mailbox_size, "mailbox_size", false, &ap->size_before, NULL))
        return false;
    if (!append_expand(ap, t->mailbox_filecount, "mailbox_filecount", true, &size))
        return false;
    return size == NULL || size[0] == '\0' ||
           get_value(ap, t->mailbox_filecount, "mailbox_filecount", false, &ap->files_before, NULL);
}

/* ---- counting ---- */

struct counter {
    struct append *ap;
    const struct regex *only; /* first level: directories that count; NULL: all */
    int64_t size, files;
};

static bool size_from_name(struct append *ap, const char *name, int64_t *size)
{
    struct captures c;
    long v;

    if (ap->t->size_re == NULL || regex_match(ap->t->size_re, ap->arena, str_from(name), &c, NULL) != RC_OK ||
        c.count < 2 || !cstr_to_long(c.v[1], &v) || v < 0)
        return false;
    *size = v;
    return true;
}

static bool count_level(struct counter *c, int dirfd, int depth);

static void count_entry(struct counter *c, int dirfd, const char *name, int depth)
{
    struct stat st;
    int64_t size;

    if (size_from_name(c->ap, name, &size)) {
        c->size += size;
        c->files++;
        return;
    }
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* gone in the meantime */
    if (S_ISREG(st.st_mode)) {
        c->size += st.st_size / (st.st_nlink > 0 ? (off_t)st.st_nlink : 1);
        c->files++;
    } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
        /* maildir++: tmp of a folder holds no messages either */
        if (c->only != NULL && (depth == 0 ? !regex_test(c->only, str_from(name)) : strcmp(name, "tmp") == 0))
            return;
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            (void)count_level(c, fd, depth + 1);
    }
}

/* Takes over the descriptor. */
static bool count_level(struct counter *c, int dirfd, int depth)
{
    DIR *d = fdopendir(dirfd);

    if (d == NULL) {
        fd_close(dirfd);
        return false;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct arena_mark m = arena_mark(c->ap->arena);
        bool dots = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        /* Exim: files right in the top of a maildir (maildirsize ...) are no messages. */
        bool skip = depth == 0 && c->only != NULL && e->d_type == DT_REG;
        if (!dots && !skip)
            count_entry(c, dirfd, e->d_name, depth);
        arena_reset(c->ap->arena, m);
    }
    closedir(d);
    return true;
}

bool append_count_directory(struct append *ap, const char *dir, const struct regex *only, int64_t *size,
                            int64_t *files)
{
    struct counter c = { .ap = ap, .only = only };
    int fd = fd_open(dir, O_RDONLY | O_DIRECTORY, 0);

    *size = *files = 0;
    if (fd < 0)
        return errno == ENOENT ? true : append_sys(ap, errno, "cannot open %s to count its size", dir);
    if (!count_level(&c, fd, 0))
        return append_sys(ap, errno, "cannot read %s to count its size", dir);
    *size = c.size;
    *files = c.files;
    return true;
}

bool append_check_quota(struct append *ap)
{
    bool inclusive = ap->t->quota_is_inclusive;

    if (ap->quota <= 0 || ap->no_check)
        return true;
    if (ap->size_before + (inclusive ? ap->message_size : 0) > ap->quota)
        return append_full(ap, false);
    if (ap->filecount > 0 && ap->files_before + (inclusive ? 1 : 0) > ap->filecount)
        return append_full(ap, true);
    return true;
}

/* ---- the warning ---- */

struct collect {
    struct arena *a;
    const char **to;
    size_t n;
};

static bool collect_one(void *arg, const struct parsed_address *p, const char *raw)
{
    struct collect *c = arg;

    (void)raw;
    if (p->address != NULL && p->address[0] != '\0' && c->n < RECIPIENTS_MAX)
        c->to[c->n++] = p->address;
    return true;
}

/* The addresses of the To: line, which comes first and may go on over several lines. */
static struct collect warning_recipients(struct arena *a, const char *text)
{
    struct collect c = { .a = a, .to = arena_new_array(a, const char *, RECIPIENTS_MAX) };
    const char *end = text;

    if (!cstr_istarts(text, "to:"))
        return c;
    while ((end = strchr(end, '\n')) != NULL && (end[1] == ' ' || end[1] == '\t'))
        end++;
    size_t n = end == NULL ? strlen(text) : (size_t)(end - text);
    (void)parse_each_address(a, arena_strndup(a, text + 3, n - 3), 0, collect_one, &c);
    return c;
}

static bool has_header(const char *text, const char *name)
{
    for (const char *line = text; *line != '\0' && *line != '\n';) {
        if (cstr_istarts(line, name))
            return true;
        line = strchr(line, '\n');
        if (line++ == NULL)
            return false;
    }
    return false;
}

static const char *warning_text(struct append *ap, const char *text)
{
    struct buf b = buf_init(ap->arena, WARNING_MAX);
    const struct config *c = ap->call->ctx->exim->config;

    if (!has_header(text, "from:"))
        buf_printf(&b, "From: Mail Delivery System <Mailer-Daemon@%s>\n", c->qualify_domain);
    if (c->main.errors_reply_to != NULL && !has_header(text, "reply-to:"))
        buf_printf(&b, "Reply-To: %s\n", c->main.errors_reply_to);
    buf_printf(&b, "Auto-Submitted: auto-replied\n%s%s", text, cstr_ends(text, "\n") ? "" : "\n");
    return buf_cstr(&b);
}

void append_warn(struct append *ap)
{
    struct address *addr = ap->call->addrs;
    const char *text;

    if (ap->threshold <= 0 || ap->size_before > ap->threshold ||
        ap->size_before + ap->message_size <= ap->threshold)
        return;
    struct expand_ctx *ctx = ap->call->ctx;
    enum expand_rc rc = ap->t->quota_warn_message != NULL ? expand(ctx, ap->t->quota_warn_message, &text)
                                                          : expand_text(ctx, default_warning, &text);
    if (rc != EXPAND_OK)
        return; /* the delivery itself is done */
    struct collect c = warning_recipients(ap->arena, text);
    if (c.n == 0)
        return;
    struct transport_submission *sub = arena_new_obj(ap->arena, struct transport_submission);
    sub->recipients = c.to;
    sub->recipient_count = c.n;
    sub->text = warning_text(ap, text);
    sub->next = addr->submissions;
    addr->submissions = sub;
}
