/* agent_ipc.h - records between a delivery process and an agent, over a seqpacket socket.
 *
 * A small record travels in the packet; a large one in a memfd beside it. */
#ifndef EXIM_DELIVER_AGENT_IPC_H
#define EXIM_DELIVER_AGENT_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum agent_record {
    AGENT_DELIVER = 1, /* message, transport, return path, addresses -> AGENT_RESULTS. The message unless it is the
                        * one of the link's last delivery: -H text without recipients, the body in it or as a
                        * descriptor beside it */
    AGENT_READ_FILE,   /* checks -> AGENT_TEXT or AGENT_ERROR */
    AGENT_EXISTS,      /* path -> AGENT_TEXT (empty) or AGENT_ERROR */
    AGENT_RUN,         /* arguments, directory, timeout -> AGENT_TEXT (output) or AGENT_ERROR */
    AGENT_RESULTS, AGENT_TEXT, AGENT_ERROR,
};

enum { AGENT_RECORD_MAX = 64 * 1024 * 1024 };

/* body_fd -1: none. False with errno. */
bool agent_ipc_send(int sock, enum agent_record kind, const struct buf *body, int body_fd) MUST_USE;
/* False when the peer is gone or the record is bad. *body_fd is the caller's (or -1). */
bool agent_ipc_recv(int sock, struct arena *a, enum agent_record *kind, struct str *body,
                    int *body_fd) MUST_USE;
/* AGENT_ERROR with an errno and words. */
bool agent_ipc_error(int sock, struct arena *a, int sys_errno, const char *msg) MUST_USE;

#endif
