/* dsn_int.h - the insides of reporting: records collected from a run, templates, the MIME parts. */
#ifndef EXIM_DSN_INT_H
#define EXIM_DSN_INT_H

#include "address.h"
#include "dsn.h"

struct expr;

/* One address that a report is about, before it is filtered and grouped. */
struct dsn_item {
    struct dsn_item *next;
    enum dsn_report_kind kind;
    const char *to; /* where the report goes: errors_to or the sender */
    struct address *addr;
    int pno;        /* of the submitted recipient */
    struct dsn_recipient record;
};

/* One report of a run, from what it is about to its way into the spool. */
struct dsn_plan {
    struct dsn_plan *next;
    struct dsn_report report;
    struct dsn_item *items;
    struct submission *submission; /* NULL: it could not be begun, or has gone its way */
    bool committed;
    bool seven;                    /* the message itself, a report of ours, goes out again in ASCII */
    unsigned warning;              /* DSN_REPORT_DELAY: how many of delay_warning's times have passed */
};

/* ---- dsn_plan.c ---- */
/* All reports due after this run, one for each kind and each address they go to. */
struct dsn_plan *dsn_plan_all(struct delivery *d);
/* All delays due were reported, or nobody wants to hear of them. */
void dsn_plan_warned(struct delivery *d, unsigned warning);
/* How many of the times in delay_warning have passed and are not reported; 0: no warning is due. */
unsigned dsn_plan_warning(struct delivery *d);

/* ---- dsn_records.c ---- */
/* All items due after this run, by kind; those that nobody hears of are left out. */
struct dsn_item *dsn_collect_failures(struct delivery *d);
struct dsn_item *dsn_collect_successes(struct delivery *d);
struct dsn_item *dsn_collect_delays(struct delivery *d);

/* ---- dsn_template.c: bounce_message_file, warn_message_file ---- */
enum { DSN_TEMPLATE_PARTS = 6 };
struct dsn_template { const char *part[DSN_TEMPLATE_PARTS]; }; /* expanded; NULL: built-in text */
/* Unreadable or unexpandable files are logged and the built-in texts are used. */
void dsn_template_read(struct expand_ctx *ctx, const char *option, const struct expr *file,
                       struct dsn_template *out);

/* ---- dsn_text.c: the human part ---- */
bool dsn_has_8bit(const char *p, size_t n);
void dsn_text_print(struct expand_ctx *ctx, const struct dsn_report *r, const struct dsn_template *t,
                    struct buf *out);

/* ---- dsn_status.c: the machine part ---- */
void dsn_status_print(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out);
/* "5.1.1" for an address result without one of its own. */
const char *dsn_status_default(enum dsn_outcome outcome);

/* ---- dsn_7bit.c: RFC 6533 section 6, for a report in UTF-8 whose way back does not take that ---- */
bool dsn_7bit_is_wanted(const struct delivery *d, const struct address *addr);
/* The report m in ASCII, encoded where that is not enough. */
bool dsn_7bit_print(struct arena *a, const struct message *m, struct buf *out, struct err *err);

/* ---- dsn_return.c: the message or its header section ---- */
bool dsn_return_print(struct expand_ctx *ctx, const struct dsn_report *r, bool full, const char *info,
                      struct buf *out, struct err *err);

#endif
