/* link: base ipc */
#include "ipc.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "unit.h"

static const struct ipc_record samples[] = {
    { .kind = IPC_AGENT, .agent = { 1000, 100, NULL, 2 } },
    { .kind = IPC_AGENT, .agent = { 1000, 100, "joe", 0 } },
    { .kind = IPC_ANSWER, .answer = { false, 13, "no" } },
    { .kind = IPC_CONNECTION, .connection = { .client = { 4, { 1, 2, 3, 4 } }, .client_port = 65535,
                                              .local = { 6, { 1 } }, .tls_on_connect = true, .count = 7 } },
    { .kind = IPC_CONNECTION,
      .connection = { .has_proxy = true, .proxy_session = true,
                      .proxy = { .ok = true, .header = { .version = 2, .tlvs = { "\4\0\0", 3 },
                                                         .client = { 4, { 9 } }, .used = 31 } } } },
    { .kind = IPC_CONNECTION,
      .connection = { .has_proxy = true, .proxy = { .failure = "none came", .first_bytes = { "a\0b", 3 } } } },
    { .kind = IPC_IDLE, .idle = { true } },
    { .kind = IPC_NOTICE, .notice = { "1xV2aW-0002qH-2W", IPC_NOTICE_CHANGED, UINT64_C(1) << 40 } },
    { .kind = IPC_DELIVER, .deliver = { "1xV2aW-0002qH-2W", IPC_FORCE, 77 } },
    { .kind = IPC_REPORT, .report = { "1xV2aW-0002qH-2W", 3, -1, true } },
    { .kind = IPC_STATUS },
};

static struct str encode(struct arena *a, const struct ipc_record *r)
{
    struct buf b = buf_init(a, IPC_RECORD_MAX);

    ipc_encode(&b, r);
    return buf_view(&b);
}

static void what_is_sent_is_received(void **state)
{
    struct arena *a = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct ipc_record back;
        struct str packet = encode(a, &samples[i]);

        assert_true(ipc_decode(a, packet, &back));
        assert_int_equal(back.kind, samples[i].kind);
        assert_true(str_eq(encode(a, &back), packet));
    }
}

static void cut_and_longer_packets_are_refused(void **state)
{
    struct arena *a = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct ipc_record back;
        struct str packet = encode(a, &samples[i]);
        char *longer = arena_strndup(a, packet.p, packet.len);

        for (size_t len = 0; len < packet.len; len++) {
            char *exact = malloc(len == 0 ? 1 : len);

            memcpy(exact, packet.p, len);
            assert_false(ipc_decode(a, (struct str){ exact, len }, &back));
            free(exact);
        }
        assert_false(ipc_decode(a, (struct str){ longer, packet.len + 1 }, &back));
    }
}

static void malformed_values_are_refused(void **state)
{
    static const struct {
        const char *row, *bytes;
        size_t len;
    } rows[] = {
        { "kind 0", "\0", 1 },
        { "kind 200", "\xc8", 1 },
        { "bool 2", "\4\2", 2 },
        { "id", "\5\0\0\0\x10" "1xV2aW_0002qH-2W" "\0", 22 },
        { "id length", "\5\0\0\0\x0f" "1xV2aW-0002qH-2" "\0", 21 },
        { "what", "\5\0\0\0\x10" "1xV2aW-0002qH-2W" "\x09", 22 },
    };
    struct ipc_record back;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK(rows[i].row, !ipc_decode(*state, (struct str){ rows[i].bytes, rows[i].len }, &back));
}

static void a_descriptor_travels_along(void **state)
{
    struct ipc_record back;
    int ends[2], fd, none;

    assert_true(ipc_pair(ends));
    int null = fd_open("/dev/null", O_RDONLY, 0);
    assert_true(ipc_send(ends[0], &samples[0], null));
    assert_true(ipc_send(ends[0], &samples[6], -1));
    assert_int_equal(ipc_receive(ends[1], *state, &back, &fd), IPC_OK);
    assert_int_equal(back.agent.uid, 1000);
    assert_true(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    assert_int_equal(ipc_receive(ends[1], *state, &back, &none), IPC_OK);
    assert_int_equal(none, -1);
    assert_true(fd_set_nonblock(ends[1], true));
    assert_int_equal(ipc_receive(ends[1], *state, &back, &none), IPC_NONE);
    assert_int_equal(send(ends[0], "junk", 4, 0), 4);
    assert_int_equal(ipc_receive(ends[1], *state, &back, &none), IPC_FAILED);
    (void)fd_close(ends[0]);
    assert_int_equal(ipc_receive(ends[1], *state, &back, &none), IPC_END);
    (void)fd_close(ends[1]);
    (void)fd_close(fd);
    (void)fd_close(null);
}

/* Of every size about those that matter to who receives it. */
static void records_of_any_size_arrive_whole(void **state)
{
    static const size_t sizes[] = { 1, 900, 1000, 1010, 1011, 1012, 1013, 1014, 1015, 1024, 1100, 5000, 80000 };
    struct ipc_record back;
    int ends[2], fd;

    assert_true(ipc_pair(ends));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *text = arena_alloc(*state, sizes[i] + 1, 1);

        for (size_t at = 0; at < sizes[i]; at++)
            text[at] = (char)('a' + at % 23);
        text[sizes[i]] = '\0';
        const struct ipc_record r = { .kind = IPC_ANSWER, .answer = { .sys_errno = 5, .text = text } };
        assert_true(ipc_send(ends[0], &r, -1));
        assert_int_equal(ipc_receive(ends[1], *state, &back, &fd), IPC_OK);
        assert_string_equal(back.answer.text, text);
    }
    static const char junk[IPC_RECORD_MAX + 1];
    assert_int_equal(send(ends[0], junk, sizeof(junk), 0), sizeof(junk));
    assert_int_equal(ipc_receive(ends[1], *state, &back, &fd), IPC_FAILED);
    (void)fd_close(ends[0]);
    (void)fd_close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(what_is_sent_is_received),
        UNIT_TEST(cut_and_longer_packets_are_refused),
        UNIT_TEST(malformed_values_are_refused),
        UNIT_TEST(a_descriptor_travels_along),
        UNIT_TEST(records_of_any_size_arrive_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
