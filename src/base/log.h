/* log.h - main, reject and panic log: files, syslog, or stderr.
 *
 * One write per line, O_APPEND; %D and %M in the path follow the date; a file that was renamed
 * (exicyclog) is reopened. Lines begin with Exim's time stamp (and zone, pid by selector).
 * Used by cores and modes, not by libraries. */
#ifndef EXIM_LOG_H
#define EXIM_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct log;

enum log_dest { LOG_MAIN = 1, LOG_REJECT = 2, LOG_PANIC = 4, LOG_PANIC_DIE = 8 /* then exit(1) */ };

/* The selectors of log_selector, in the manual's alphabetical order (manual 53.15). */
enum log_bit {
    L_8bitmime, L_acl_warn_skipped, L_address_rewrite, L_all_parents, L_arguments,
    L_connection_reject, L_delay_delivery, L_deliver_time, L_delivery_size, L_dnslist_defer,
    L_dnssec, L_etrn, L_host_lookup_failed, L_ident_timeout, L_incoming_interface, L_incoming_port,
    L_lost_incoming_connection, L_millisec, L_outgoing_interface, L_outgoing_port, L_pid, L_proxy,
    L_proxy_fail, L_queue_run, L_queue_time, L_queue_time_overall, L_received_recipients,
    L_received_sender, L_receive_time, L_rejected_header, L_retry_defer, L_return_path_on_delivery,
    L_sender_on_delivery, L_sender_verify_fail, L_size_reject, L_skip_delivery, L_smtp_confirmation,
    L_smtp_connection, L_smtp_incomplete_transaction, L_smtp_mailauth, L_smtp_no_mail,
    L_smtp_protocol_error, L_smtp_syntax_error, L_subject, L_tls_certificate_verified,
    L_tls_cipher, L_tls_peerdn, L_tls_sni, L_unknown_in_list, L_tls_verified_name, L_proxy_id,
    L_COUNT
};
/* Beside a destination: the selector that the line is written by. Only debugging output shows it. */
#define LOG_BY(sel) ((L_##sel + 1U) << 8)
_Static_assert(L_COUNT <= 64, "log selectors are one 64-bit set");
#define LOG_BIT(sel) ((uint64_t)1 << L_##sel)

/* "+proxy -tls_cipher"; starts from the default set. Exim's numeric "=..." is refused: its bits
 * changed their meaning between releases. */
bool log_selector_parse(const char *spec, uint64_t *bits, struct arena *a, struct err *err);
uint64_t log_selector_default(void);
const char *log_selector_name(int bit);

struct log_config {
    const char *spool_directory;  /* default place: <spool>/log/%slog */
    const char *log_file_path;    /* Exim's list: "", "syslog", "path/%slog", "syslog:path" */
    const char *built_path;       /* LOG_FILE_PATH: what an empty item means; NULL: none */
    uint64_t selector;
    bool timezone;                /* log_timezone */
    bool to_stderr;               /* -bh, -bt: lines go to stderr prefixed LOG: */
    bool panic_to_stderr;         /* panic lines also go to stderr: not when that is a client */
    bool write_rejectlog;
    bool syslog_timestamp, syslog_pid, syslog_duplication;
    bool syslog_long_lines;       /* SYSLOG_LONG_LINES: not split at 870 bytes */
    const char *syslog_facility, *syslog_processname;
    int file_mode;                /* LOG_MODE; 0: 0640 */
    int directory_mode;           /* LOG_DIRECTORY_MODE; 0: 0750 */
    uid_t file_uid;               /* what root gives a log it creates to; 0: keeps it */
    gid_t file_gid;
};
/* A path that is not absolute or lacks %s, more than two items, an unknown facility. */
bool log_config_check(const struct log_config *c, struct arena *a, struct err *err) MUST_USE;
/* Strings are borrowed. Files are opened by the first line for them. */
struct log *log_open(struct arena *a, const struct log_config *c);
bool log_wants(const struct log *l, int bit);          /* selector bit set? */
uint64_t log_selector(const struct log *l);
/* One line; a NULL log writes to stderr. id: message id ("" or NULL: none), printed after the
 * time stamp. Control characters, newlines too, are written as escapes. */
void log_write(struct log *l, unsigned dest, const char *id, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* As log_write to main|reject with extra lines (headers) appended to the reject log entry,
 * unless the selector rejected_header is off. headers: lines ending in newline, or NULL. */
void log_write_reject(struct log *l, unsigned dest, const char *id, const char *headers,
                      const char *fmt, ...) PRINTF_LIKE(5, 6);
/* For text of ours that Exim writes as more than one line: newlines are kept. */
void log_write_lines(struct log *l, unsigned dest, const char *id, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Lines of the main log are gathered until log_release, or until there are many: one write then for all. For lines
 * that come together, in the order they came, with nothing between that could wait, fork or fail. */
void log_hold(struct log *l);
void log_release(struct log *l);
void log_reopen(struct log *l); /* SIGHUP */
/* For a new process: closes what is open, except descriptors that are in keep; log_fds says which there
 * are (at most LOG_FDS_MAX; the number of them). Lines that are logged later open files again. */
enum { LOG_FDS_MAX = 3 };
void log_close_others(struct log *l, const int *keep, size_t n);
size_t log_fds(const struct log *l, int fds[LOG_FDS_MAX]);

#endif
