/* ids.h - message ids as arguments of the modes of the queue. */
#ifndef EXIM_CMD_IDS_H
#define EXIM_CMD_IDS_H

#include <stdbool.h>

struct cmd_line;

/* Says on stderr what is wrong: there is none, or one of the first `count` is malformed. */
bool cmd_check_ids(const struct cmd_line *c, int count);

#endif
