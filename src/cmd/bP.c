#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "exim.h"
#include "readconf.h"

/* Is it a word that the name of a driver or macro follows? */
static bool takes_name(const char *word)
{
    static const char *const kinds[] = { "router", "transport", "authenticator",
                                         "macro" };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(word, kinds[i]) == 0)
            return true;
    return false;
}

int cmd_bP(struct exim *e, const struct cmd_line *c)
{
    int status = EXIT_SUCCESS;

    if (c->nargs == 0)
        return readconf_print(e->config, "all", NULL, e->admin, c->no_labels);
    for (int i = 0; i < c->nargs; i++) {
        bool pair = i + 1 < c->nargs && takes_name(c->args[i]);
        int one = readconf_print(e->config, c->args[pair ? i + 1 : i],
                                 pair ? c->args[i] : NULL, e->admin, c->no_labels);

        i += pair;
        if (one != EXIT_SUCCESS)
            status = one;
    }
    return status;
}
