/* agent.h - local deliveries as one (uid, gid): the job records and both ends.
 *
 * The delivery process sends a job (message header text in -H form, body descriptor, transport name,
 * addresses); the agent runs the transport's driver and answers with the results. It also reads
 * .forward files and checks require_files as that user. Records: base/wire.h. */
#ifndef EXIM_DELIVER_AGENT_H
#define EXIM_DELIVER_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct arena;
struct capture_command;
struct exim;
struct transport;
struct transport_call;

struct agent_id { uid_t uid; gid_t gid; const char *init_user; /* for initgroups; or NULL */ };

/* Starts the transport of call->ctx for call->addrs as that user. AGENT_NONE with err: no agent, the caller
 * defers all. AGENT_BUSY: agents have all they should; finish the oldest job first. Several may be under way,
 * AGENT_JOBS_MAX at most, to be finished in the order in which they were started; nothing else is asked of
 * agents until then. Agents are kept per (uid, gid) until the process ends or they have been idle; those for
 * quick transports are shared with other processes, and do what has come from all of them together. */
enum { AGENT_JOBS_MAX = 64 };
enum agent_rc { AGENT_STARTED, AGENT_BUSY, AGENT_NONE };
struct agent_job;
enum agent_rc agent_start(struct exim *e, const struct agent_id *who, struct transport_call *call,
                          struct agent_job **out, struct err *err) MUST_USE;
/* Writes files of its own and waits for no lock or program (transport_driver's independent and begin). */
bool agent_is_quick(const struct transport *t);
bool agent_has_answered(const struct agent_job *job); /* agent_finish of the oldest would not wait */
/* Waits; results are filled in. False with err: the agent is lost, the caller defers all. */
bool agent_finish(struct agent_job *job, struct transport_call *call, struct err *err) MUST_USE;

/* Reads a file as that user with redirect's checks; sys_errno in err on false. */
struct agent_file_check {
    const char *path;
    long modemask; /* bits that must be off */
    bool check_owner, check_group;
    const uid_t *owners;
    size_t owner_count;
    const gid_t *owngroups;
    size_t owngroup_count;
};
bool agent_read_file(struct exim *e, struct arena *a, const struct agent_id *who,
                     const struct agent_file_check *c, struct str *text, struct err *err) MUST_USE;
/* stat as that user (require_files with a user: prefix). false with *sys_errno. */
bool agent_file_exists(struct exim *e, const struct agent_id *who, const char *path, int *sys_errno);
/* Runs a command as that user, for queryprogram: transports/capture.h. */
bool agent_run(struct exim *e, struct arena *a, const struct agent_id *who, const struct capture_command *c,
               struct str *output, struct err *err) MUST_USE;
void agent_close_all(void);
/* The agent's side: its first link; control: where the broker hands it further ones, or -1. */
void agent_main(struct exim *e, int link, int control) NORETURN;

#endif
