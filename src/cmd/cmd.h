/* cmd.h - the command line: one table of flags, one file a mode. */
#ifndef EXIM_CMD_H
#define EXIM_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"
#include "queue.h"
#include "readconf.h"
#include "receive.h"

struct exim;

/* What the flags said; filled by cmd_parse, read by the modes. */
struct cmd_line {
    const struct cmd_mode *mode;
    char **argv;
    int argc;
    char **args; /* what is left: addresses, ids, options, strings */
    int nargs;
    const char *mode_arg;                 /* text right after the mode flag, or its argument */
    const char *config_files;             /* -C */
    const struct readconf_macro *macros;  /* -D */
    const char *sender, *sender_name;     /* -f -F */
    bool extract_recipients;              /* -t */
    struct receive_options receive;       /* -i -od* -oe* -N */
    struct queue_run_options queue;       /* -q... -R -S */
    struct daemon_options daemon;         /* -bd -q<time> -oX -oP */
    /* -oMa -oMaa -oMai -oMas -oMi -oMm -oMr -oMs -oMt */
    const char *oMa, *oMaa, *oMai, *oMas, *oMi, *oMm, *oMr, *oMs, *oMt;
    const char *oA;                       /* -oA, for -bi */
    bool suppress_fixups;                 /* -G */
    uint32_t debug;
    bool debug_set, verbose, no_labels;   /* -d -v -n */
    long receive_timeout, smtp_timeout;   /* -or -os; -1 unset */
    const char *log_tag, *log_text;       /* -L -z */
    const char *be_message;               /* -bem */
    const char *be_id;                    /* -Mset */
    long connection_max_messages;         /* -oB; 0: unset */
    const char *dsn_ret, *dsn_envid, *dsn_notify; /* long options */
    bool no_qualify;                      /* -bnq */
    /* submission.h: is the end of the input the end of the message? NULL: it is. */
    bool (*input_ended)(const struct cmd_line *c);
    int control_fd;
};

enum {
    CMD_NEEDS_ADMIN = 1, CMD_NEEDS_TRUSTED = 2, CMD_NO_CONFIG = 4, CMD_DROPS_ROOT = 8 /* to exim */,
    CMD_NEEDS_BROKER = 16,
    CMD_DROPS_TO_CALLER = 32,
    CMD_PROD_ADMIN = 64,  /* admin, while prod_requires_admin */
    CMD_LIST_ADMIN = 128, /* admin, while queue_list_requires_admin */
    CMD_CHECK_ADMIN = 256, /* admin, if commandline_checks_require_admin */
};
struct cmd_mode {
    const char *name; /* "bd", "bt" ... */
    unsigned flags;
    int (*run)(struct exim *e, const struct cmd_line *c); /* exit status */
};
/* False: message printed to stderr, *status is the exit code. */
bool cmd_parse(struct exim *e, int argc, char **argv, struct cmd_line *out, int *status);
/* What stops the caller, as Exim words it, or NULL: rights of the mode and of single flags. */
const char *cmd_forbidden(const struct exim *e, const struct cmd_line *c);

/* The modes, each in its own file. */
int cmd_bt(struct exim *e, const struct cmd_line *c);       /* -bt */
int cmd_btls(struct exim *e, const struct cmd_line *c);     /* -btls */
int cmd_bv(struct exim *e, const struct cmd_line *c);       /* -bv -bvs */
int cmd_be(struct exim *e, const struct cmd_line *c);       /* -be -bem */
int cmd_bh(struct exim *e, const struct cmd_line *c);       /* -bh -bhc */
int cmd_bp_queue(struct exim *e, const struct cmd_line *c); /* -bp.. */
int cmd_bI_proxy(struct exim *e, const struct cmd_line *c); /* -bI:proxy */
int cmd_bP(struct exim *e, const struct cmd_line *c);       /* -bP */
int cmd_bV(struct exim *e, const struct cmd_line *c);       /* -bV */
int cmd_bd(struct exim *e, const struct cmd_line *c);       /* -bd -bdf -q<time> */
int cmd_bs(struct exim *e, const struct cmd_line *c);       /* -bs -bS */
int cmd_bm(struct exim *e, const struct cmd_line *c);       /* -bm -t, default */
int cmd_bi(struct exim *e, const struct cmd_line *c);       /* -bi */
int cmd_brt(struct exim *e, const struct cmd_line *c);      /* -brt */
int cmd_brw(struct exim *e, const struct cmd_line *c);      /* -brw */
int cmd_M(struct exim *e, const struct cmd_line *c);        /* -M -Mc */
int cmd_Mop(struct exim *e, const struct cmd_line *c);      /* -Mf -Mt -Mrm -Mg -Mvh ... */
int cmd_z(struct exim *e, const struct cmd_line *c);        /* -z */
int cmd_q(struct exim *e, const struct cmd_line *c);        /* -q -qf -R -S */

#endif
