/* be_message.h - what an expansion test (-be, -bem) needs of a message and a host. */
#ifndef EXIM_CMD_BE_MESSAGE_H
#define EXIM_CMD_BE_MESSAGE_H

#include "base/err.h"

struct arena;
struct exim;
struct message;

/* Without one: only an envelope of the caller's. */
struct message *be_no_message(struct exim *e);
/* The file as a message of the caller's that was just read: header lines and body. NULL with err. */
struct message *be_read_message(struct exim *e, const char *file, struct err *err);
/* "address.port" of -oMa and -oMi, or an address alone; text NULL: nothing is set. */
void be_split_address(struct arena *a, const char *text, const char **address, int *port);

#endif
