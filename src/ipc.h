/* ipc.h - records between the daemon's processes: typed, length-checked, over seqpacket
 * sockets.
 *
 * One encoder and one decoder for all of them (deliver/agent_ipc.h has those of the
 * agents). A record is one packet; descriptors travel beside it. The decoder trusts
 * nothing. */
#ifndef EXIM_IPC_H
#define EXIM_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/ip.h"
#include "base/str.h"
#include "base/tod.h"
#include "proxy.h"

struct arena;

enum { IPC_RECORD_MAX = 80 * 1024, IPC_USER_MAX = 256 };

enum ipc_kind {
    IPC_AGENT = 1,  /* with the agent's end of a link: to the broker, and from it to an agent */
    IPC_ANSWER,     /* first record from an agent */
    IPC_CONNECTION, /* acceptor to session, with the socket */
    IPC_IDLE,       /* session to acceptor: served it */
    IPC_NOTICE,     /* to the queue: a message came or changed */
    IPC_DELIVER,    /* queue to delivery worker */
    IPC_REPORT,     /* and back */
    IPC_STATUS,     /* to the queue: answer with the counts of the daemon */
    IPC_COUNT
};

struct ipc_agent {
    uid_t uid;
    gid_t gid;
    const char *init_user; /* NULL: no supplementary groups */
    uint8_t shared; /* one of so many will do, to which others have links, too; 0: one of its own */
};
struct ipc_answer {
    bool ok;
    int sys_errno;
    const char *text;
};
struct ipc_connection {
    struct ip client, local;
    uint16_t client_port, local_port;
    bool tls_on_connect, proxy_session;
    bool has_proxy;
    struct proxy_state proxy; /* strings and TLVs in the arena of the decoding */
    uint32_t count;           /* connections there are, with this one */
};
struct ipc_idle {
    bool leaving; /* the session ends: too old or too big */
};
enum ipc_notice_what {
    IPC_NOTICE_DELIVER,
    IPC_NOTICE_KEEP,
    IPC_NOTICE_CHANGED,
    IPC_NOTICE_REST, /* somebody wants its files */
    IPC_NOTICE_LOCAL, /* deliver, but remote addresses are only routed: queue_only_file = smtp... */
    IPC_NOTICE_COUNT
};
struct ipc_notice {
    char id[MSGID_LEN + 1];
    enum ipc_notice_what what;
    uint64_t
        place; /* in the log of the spool; 0: it has files, or the sender does not know */
};
enum {
    IPC_FORCE = 1,
    IPC_FORCE_FROZEN = 2,
    IPC_QUEUE_RUN = 4,
    IPC_LOCAL_ONLY = 8,
    IPC_QUEUE_SMTP = 16,
    IPC_REST = 32,    /* files, no delivery */
    IPC_PRETEND = 64, /* -N */
};
struct ipc_deliver {
    char id[MSGID_LEN + 1];
    unsigned flags;
    uint64_t place;
};
struct ipc_report {
    char id[MSGID_LEN + 1];
    int rc; /* enum deliver_rc */
    int64_t next_try;
    bool leaving; /* the worker ends */
};

struct ipc_record {
    enum ipc_kind kind;
    union {
        struct ipc_agent agent;
        struct ipc_answer answer;
        struct ipc_connection connection;
        struct ipc_idle idle;
        struct ipc_notice notice;
        struct ipc_deliver deliver;
        struct ipc_report report;
    };
};

void ipc_encode(struct buf *out, const struct ipc_record *r);
/* Strings go to a. False: not a record. */
bool ipc_decode(struct arena *a, struct str packet, struct ipc_record *out) MUST_USE;

/* fd: travels with the record; -1 none. False with errno; the descriptor stays the
 * caller's. */
bool ipc_send(int sock, const struct ipc_record *r, int fd) MUST_USE;
enum ipc_rc {
    IPC_OK,
    IPC_END,
    IPC_FAILED,
    IPC_NONE /* a socket that does not block has nothing */
};
/* *fd: -1 or one the caller owns. IPC_FAILED: an error, or a malformed packet (errno
 * EPROTO). */
enum ipc_rc ipc_receive(int sock, struct arena *a, struct ipc_record *out,
                        int *fd) MUST_USE;
bool ipc_pair(int ends[2]) MUST_USE; /* a connected pair; errno on false */

#endif
