#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "config/config.h"
#include "exim.h"

/* The caller's rights are in force already: see the row of -bi in flags.c. */
int cmd_bi(struct exim *e, const struct cmd_line *c)
{
    const char *command = e->config->main.bi_command;

    if (command == NULL || *command == '\0')
        return EXIT_SUCCESS;
    const char *argv[] = { command, c->oA, NULL };
    (void)execv(command, (char *const *)(void *)argv);
    fprintf(stderr, "exim: exec of %s failed: %s\n", command, strerror(errno));
    return EXIT_FAILURE;
}
