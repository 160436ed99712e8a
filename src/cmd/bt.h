/* bt.h - what -bt and -bv have in common: addresses from the arguments or, with a prompt, from
 * standard input. */
#ifndef EXIM_CMD_BT_H
#define EXIM_CMD_BT_H

struct cmd_line;
struct exim;
struct verify_options;
struct verify_print;

/* Exit status: 2 something failed, 1 something could not be told, 0. */
int bt_run(struct exim *e, const struct cmd_line *c, const struct verify_options *o, struct verify_print *how);

#endif
