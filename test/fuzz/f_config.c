/* link: base parse config readconf readconf_print */
/* Any text is read or refused with words; what was read can be printed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/config_fakes.h"
#include "base/buf.h"
#include "config/main_options.h"
#include "config/option_read.h"
#include "readconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_all(struct arena *a, const struct config *c)
{
    for (size_t i = 0; i < main_options_count; i++) {
        struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

        (void)option_print(a, &main_options_table[i], &c->main, true, &b);
    }
    for (size_t i = 0; i < c->router_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(fake_generic); k++) {
            struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

            (void)option_print(a, &fake_generic[k], c->routers[i], true, &b);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    const struct readconf_request rq = {
        .text = arena_printf(a, "exim_user = 0\nexim_group = 0\nprimary_hostname = h\n%.*s", (int)size,
                             (const char *)data),
        .filenames = "fuzz",
        .hooks = &fake_hooks,
    };
    struct err err;

    /* Files of this machine are no part of the input. */
    if (memmem(data, size, ".include", 8) == NULL) {
        const struct config *c = readconf(a, &rq, &err);

        if (c == NULL && err.msg == NULL)
            abort();
        if (c != NULL)
            print_all(a, c);
    }
    arena_destroy(&a);
    return 0;
}
