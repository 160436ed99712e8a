/* link: base spool spool_in spool_out spool_tree spool_fields spool_file spool_write spool_scan spool_rest spool_wal spool_wal_sync spool_wal_make spool_wal_read message header parse_rfc2047 */
/* A log that a crash, or somebody else, left behind. Its bytes are the input itself, or records that the
 * input describes, with sums that are right: else next to none would be read. Recovering it makes the
 * files of the messages that are live, no others, and the same ones when it is done twice. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "config/config.h"
#include "exim.h"
#include "spool.h"
#include "spool_wal_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SPEC = 8, RECORDS_MAX = 24, LIVE_MAX = 64 };

static char top[64], input[80], path[96];
static struct config config;
static struct exim server;

static void need(bool ok)
{
    if (!ok)
        abort();
}

static void forget_folder(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", top);
    (void)!system(command);
}

static void make_folder(void)
{
    struct err err = { 0 };

    if (top[0] != '\0')
        return;
    (void)snprintf(top, sizeof(top), "%s/f_wal.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    need(mkdtemp(top) != NULL && atexit(forget_folder) == 0);
    (void)snprintf(input, sizeof(input), "%s/input", top);
    (void)snprintf(path, sizeof(path), "%s/wal", top);
    server.arena = arena_new("f_wal");
    server.config = &config;
    config.spool_directory = top;
    config.main.disable_fsync = true;
    need(spool_prepare(&server, &err));
}

/* ---- the file ---- */

static const char *id_of(uint8_t choice)
{
    static const char *const ids[] = { "1aaaaa-000001-00", "1aaaaa-000002-00", "1aaaab-000003-00",
                                       "zzzzzz-zzzzzz-zz", "../../../../etc/", "1aaaaa/000001-00",
                                       "1aaaaa-000001-0\n", "" };

    return ids[choice % ARRAY_LEN(ids)];
}

/* Bytes of a description: kind, id, segment, length of head, of body, what it is of, a field that lies, its
 * value. */
static void put_record(int fd, const uint8_t *s, uint64_t end[WAL_SEGMENTS])
{
    static const char bytes[2 * 255 + 1] = "1aaaaa-000001-00-H\nmail 8 8\n<>\n";
    struct wal_record r = { .kind = (enum wal_kind)(s[0] % (WAL_KINDS + 1)),
                            .of = (uint64_t)s[5] * WAL_ALIGN,
                            .head = { bytes, s[3] },
                            .body = { bytes + 255, s[4] } };
    struct wal_header h;
    uint64_t *at = &end[s[2] % WAL_SEGMENTS];

    memcpy(r.id, id_of(s[1]), strlen(id_of(s[1])));
    wal_header_fill(&h, &r, 0);
    size_t size = wal_size(&h);
    switch (s[6] % 8) {
    case 1: h.head_len = s[7]; break;
    case 2: h.body_len = (uint32_t)s[7] << 16; break;
    case 3: h.data_crc ^= s[7]; break;
    case 4: h.head_len = UINT32_MAX - s[7]; break;
    case 5: *at += (uint64_t)s[7] * WAL_SEGMENT * WAL_SEGMENTS; break; /* of another lap */
    default: break;
    }
    wal_header_fill(&h, &r, *at);
    if (s[6] % 8 == 6)
        ((char *)&h)[s[7] % sizeof(h)] ^= 1;
    struct iovec parts[] = { { &h, sizeof(h) }, { (void *)(size_t)r.head.p, r.head.len },
                             { (void *)(size_t)r.body.p, r.body.len } };
    need(fd_pwritev_all(fd, parts, 3, wal_position(*at)));
    *at += size;
}

static void make_log(const uint8_t *data, size_t size)
{
    int fd = fd_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint64_t end[WAL_SEGMENTS];

    need(fd >= 0);
    for (unsigned i = 0; i < WAL_SEGMENTS; i++)
        end[i] = (uint64_t)(WAL_SEGMENTS + i) * WAL_SEGMENT;
    if (size > 0 && data[0] == 0xff)
        need(fd_write_all(fd, data + 1, size - 1));
    else
        for (size_t i = 0; i + SPEC <= size && i < (size_t)RECORDS_MAX * SPEC; i += SPEC)
            put_record(fd, data + i, end);
    (void)fd_close(fd);
}

/* ---- what is to come of it ---- */

struct live {
    char id[MSGID_LEN + 1];
    size_t body, journal;
    bool gone;
};
struct model {
    struct live list[LIVE_MAX];
    size_t n;
};

static struct live *find(struct model *m, const char *id)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->list[i].id, id) == 0)
            return &m->list[i];
    return NULL;
}

static bool learn(void *arg, const struct wal_record *r)
{
    struct model *m = arg;
    struct live *l = find(m, r->id);

    need(msgid_valid(r->id) && r->kind >= WAL_MESSAGE && r->kind < WAL_KINDS);
    if (r->kind == WAL_MESSAGE) {
        if (l == NULL)
            l = &m->list[m->n++];
        *l = (struct live){ .body = r->body.len };
        memcpy(l->id, r->id, sizeof(l->id));
    } else if (l != NULL && r->kind == WAL_GONE) {
        l->gone = true;
    } else if (l != NULL) {
        l->journal += r->head.len;
    }
    return m->n < LIVE_MAX;
}

static void assert_size(const char *id, enum spool_part part, size_t want)
{
    need(spool_file_size(&server, id, part) == (off_t)want);
}

static void compare(struct model *m)
{
    DIR *dir = opendir(input);
    size_t want = 0, found = 0;

    need(dir != NULL);
    for (size_t i = 0; i < m->n; i++) {
        if (m->list[i].gone)
            continue;
        want += m->list[i].journal > 0 ? 3 : 2;
        assert_size(m->list[i].id, SPOOL_PART_DATA, SPOOL_DATA_START + m->list[i].body);
        need(spool_file_size(&server, m->list[i].id, SPOOL_PART_HEADER) >= 0);
    }
    for (struct dirent *d; (d = readdir(dir)) != NULL;)
        found += d->d_name[0] != '.';
    (void)closedir(dir);
    need(found == want && access(path, F_OK) < 0);
}

static void clear(const struct model *m)
{
    struct err err = { 0 };
    bool there;

    for (size_t i = 0; i < m->n; i++)
        need(spool_purge(&server, m->list[i].id, &there, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model m = { .n = 0 };
    struct err err = { 0 };

    make_folder();
    for (int round = 0; round < 2; round++) {
        make_log(data, size);
        m.n = 0;
        int fd = fd_open(path, O_RDONLY, 0);
        need(wal_scan(fd, 0, learn, &m, &err));
        (void)fd_close(fd);
        need(spool_recover(&server, &err));
        compare(&m);
    }
    clear(&m);
    return 0;
}
