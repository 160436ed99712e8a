/* bm_error.h - tells the sender of a local message what is wrong with it: by mail or on
 * stderr (-oe*). */
#ifndef EXIM_CMD_BM_ERROR_H
#define EXIM_CMD_BM_ERROR_H

struct cmd_line;
struct receive_result;
struct session;

/* Both return the exit status (manual 5.2, -oee, -oem, -oep). bad: "address: reason"
 * lines. */
int bm_error_bad_argument(struct session *s, const struct cmd_line *c, const char *bad);
int bm_error_report(struct session *s, const struct cmd_line *c,
                    const struct receive_result *r);

#endif
