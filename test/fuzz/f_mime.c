/* A message in MIME parts that is to go out again in ASCII: the first bytes until an empty line are its header. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "dsn_int.h"
#include "header.h"
#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_headers(struct message *m, const char *text)
{
    for (const char *line = text, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n');
        next = next == NULL ? line + strlen(line) : next + 1;
        const char *one = arena_printf(m->arena, "%.*s\n", (int)strcspn(line, "\n"), line);
        if (strchr(one, ':') != NULL)
            (void)header_append(&m->headers, m->arena, header_type_of(one), one);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *blank = size == 0 ? NULL : memmem(data, size, "\n\n", 2);
    size_t head = blank == NULL ? 0 : (size_t)(blank - (const char *)data) + 1;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct message *m = message_new("fuzz");
    struct buf out = buf_init(m->arena, BUF_DEFAULT_CEILING);
    struct err err = { 0 };

    add_headers(m, arena_strndup(m->arena, (const char *)data, head));
    if (fd < 0 || !fd_write_all(fd, data + head, size - head))
        abort();
    m->body = (struct body){ .fd = fd, .start = 0, .size = (off_t)(size - head) };
    if (!dsn_7bit_print(m->arena, m, &out, &err)) {
        if (err.msg == NULL)
            abort();
    } else if (header_find(&m->headers, "Content-Type") == NULL) {
        abort();
    }
    m->body.fd = -1;
    (void)fd_close(fd);
    message_free(&m);
    return 0;
}
