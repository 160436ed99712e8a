/* local.h - what the modes that take in mail from the caller share (-bm, -t, -bs, -bS).
 */
#ifndef EXIM_CMD_LOCAL_H
#define EXIM_CMD_LOCAL_H

#include <stdbool.h>

struct arena;
struct cmd_line;
struct exim;
struct session;
struct smtp_peer;

/* -oM options describe another host, for trusted callers only (manual 5.2). */
bool local_host_options(const struct exim *e, const struct cmd_line *c);
/* A session for a message on standard input: the caller, or the host that -oMa and so on
 * give. */
struct session *local_session(struct exim *e, const struct cmd_line *c);
/* -f: in *sender, qualified; "" for <>; NULL when there is none that the caller may set.
 * False: *why says what is wrong with it. */
bool local_sender(struct exim *e, struct arena *a, const struct cmd_line *c,
                  const char **sender, const char **why);
/* The caller's own address. */
const char *local_originator(struct exim *e, struct arena *a);
/* A peer from -oMa, -oMi and so on, or from the socket that inetd left on standard input.
 */
void local_peer(struct exim *e, struct arena *a, const struct cmd_line *c,
                struct smtp_peer *peer);

#endif
