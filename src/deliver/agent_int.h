/* agent_int.h - the agent's side: requests about files. Each reads its request from body and answers on sock;
 * false: nobody is there. */
#ifndef EXIM_DELIVER_AGENT_INT_H
#define EXIM_DELIVER_AGENT_INT_H

#include <stdbool.h>

#include "base/str.h"

struct arena;

bool agent_on_read_file(int sock, struct arena *a, struct str body);
bool agent_on_exists(int sock, struct arena *a, struct str body);
bool agent_on_run(int sock, struct arena *a, struct str body);

#endif
