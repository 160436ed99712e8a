/* config.h - everything the configuration file said; const after reading.
 *
 * One struct for the main options (members named after the options), the drivers as instances,
 * ACLs, rewrite and retry rules. Owned by one arena; SIGHUP builds a new one beside it.
 * `bool` is a switch, `long` a number (bytes, counts) or seconds, `int` a fixed-point number in
 * thousandths, `struct expr *` a string expanded when used (NULL: unset), `struct match_list *`
 * a list. -1 stands for "unset" in numbers where 0 means something. */
#ifndef EXIM_CONFIG_H
#define EXIM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/value.h"

struct acl;
struct arena;
struct authenticator;
struct hash;
struct hooks;
struct option;
struct readconf_macro;
struct retry_rule;
struct rewrite_rule;
struct router;
struct transport;

struct main_options {
    bool accept_8bitmime;
    const struct expr *acl_not_smtp;
    const struct expr *acl_not_smtp_start;
    const struct expr *acl_smtp_auth;
    const struct expr *acl_smtp_connect;
    const struct expr *acl_smtp_data;
    const struct expr *acl_smtp_data_prdr;
    const struct expr *acl_smtp_etrn;
    const struct expr *acl_smtp_expn;
    const struct expr *acl_smtp_helo;
    const struct expr *acl_smtp_mail;
    const struct expr *acl_smtp_mailauth;
    const struct expr *acl_smtp_notquit;
    const struct expr *acl_smtp_predata;
    const struct expr *acl_smtp_quit;
    const struct expr *acl_smtp_rcpt;
    const struct expr *acl_smtp_starttls;
    const struct expr *acl_smtp_vrfy;
    const char *add_environment;
    const struct expr *admin_groups;
    bool allow_domain_literals;
    bool allow_mx_to_ip;
    bool allow_utf8_domains;
    const struct match_list *auth_advertise_hosts;
    long auto_thaw;
    const char *bi_command;
    const struct expr *bounce_message_file;
    const char *bounce_message_text;
    bool bounce_return_body;
    long bounce_return_linesize_limit;
    bool bounce_return_message;
    long bounce_return_size_limit;
    const char *bounce_sender_authentication;
    long callout_domain_negative_expire;
    long callout_domain_positive_expire;
    long callout_negative_expire;
    long callout_positive_expire;
    const struct expr *callout_random_local_part;
    long check_log_inodes;
    long check_log_space;
    bool check_rfc2047_length;
    long check_spool_inodes;
    long check_spool_space;
    const struct match_list *chunking_advertise_hosts;
    bool commandline_checks_require_admin;
    const char *daemon_smtp_ports;
    long daemon_startup_retries;
    long daemon_startup_sleep;
    struct time_list *delay_warning;
    const struct expr *delay_warning_condition;
    bool deliver_drop_privilege;
    int deliver_queue_load_max;
    bool delivery_date_remove;
    bool disable_fsync;
    bool disable_ipv6;
    const struct match_list *dns_again_means_nonexist;
    const char *dns_check_names_pattern;
    long dns_cname_loops;
    long dns_csa_search_limit;
    bool dns_csa_use_reverse;
    long dns_dnssec_ok;
    const struct match_list *dns_ipv4_lookup;
    long dns_retrans;
    long dns_retry;
    const struct match_list *dns_trust_aa;
    long dns_use_edns0;
    bool drop_cr;
    const struct match_list *dsn_advertise_hosts;
    const struct expr *dsn_from;
    const char *dsn_message_directory;
    bool envelope_to_remove;
    const struct expr *errors_copy;
    const char *errors_reply_to;
    const struct expr *event_action;
    const char *exim_group;
    const char *exim_path;
    const char *exim_user;
    const char *exim_version;
    const char *extra_local_interfaces;
    bool extract_addresses_remove_arguments;
    long finduser_retries;
    const char *freeze_tell;
    const struct expr *gecos_name;
    const char *gecos_pattern;
    long header_line_maxsize;
    long header_maxsize;
    const char *headers_charset;
    const struct match_list *helo_accept_junk_hosts;
    const char *helo_allow_chars;
    const struct match_list *helo_lookup_domains;
    const struct match_list *helo_try_verify_hosts;
    const struct match_list *helo_verify_hosts;
    const struct match_list *hold_domains;
    const struct match_list *host_lookup;
    const char *host_lookup_order;
    const struct match_list *host_reject_connection;
    const struct match_list *hosts_connection_nolog;
    const struct match_list *proxy_required_hosts; /* also hosts_proxy */
    const struct match_list *proxy_tls_hosts;      /* balancers whose TLS statement is believed */
    long proxy_protocol_max_header;                /* bytes */
    const struct expr *proxy_accept_max_per_client; /* connections of one client after the header */
    const struct match_list *hosts_require_alpn;
    const struct match_list *hosts_require_helo;
    const struct match_list *hosts_treat_as_local;
    long ignore_bounce_errors_after;
    long keep_malformed;
    const struct match_list *ignore_fromline_hosts;
    bool ignore_fromline_local;
    const char *keep_environment;
    bool local_from_check;
    const char *local_from_prefix;
    const char *local_from_suffix;
    const char *local_interfaces;
    bool local_sender_retain;
    const struct expr *localhost_number;
    const struct expr *log_file_path;
    const char *log_selector;
    bool log_timezone;
    long lookup_open_max;
    long max_username_length;
    bool message_body_newlines;
    long message_body_visible;
    const struct expr *message_id_header_domain;
    const struct expr *message_id_header_text;
    bool message_logs;
    const struct expr *message_size_limit;
    bool move_frozen_messages;
    const struct expr *never_users;
    const char *openssl_options;
    const struct match_list *percent_hack_domains;
    const struct expr *pid_file_path;
    const struct match_list *pipelining_advertise_hosts;
    bool prdr_enable;
    bool preserve_message_logs;
    const char *primary_hostname;
    bool print_topbitchars;
    const char *process_log_path;
    bool prod_requires_admin;
    long proxy_protocol_timeout;
    const char *qualify_domain;
    const char *qualify_recipient;
    const struct match_list *queue_domains;
    bool queue_list_requires_admin;
    bool queue_only;
    const char *queue_only_file;
    int queue_only_load;
    bool queue_only_load_latch;
    bool queue_only_override;
    bool queue_run_in_order;
    const struct expr *queue_run_max;
    const struct match_list *queue_smtp_domains;
    long receive_timeout;
    const struct expr *received_header_text;
    long received_headers_max;
    const struct match_list *recipient_unqualified_hosts;
    long recipients_max;
    bool recipients_max_reject;
    long remote_max_parallel;
    const struct match_list *remote_sort_domains;
    long retry_data_expire;
    long retry_interval_max;
    bool return_path_remove;
    long return_size_limit;
    const struct match_list *rfc1413_hosts;
    long rfc1413_query_timeout;
    const struct match_list *sender_unqualified_hosts;
    bool smtp_accept_keepalive;
    long smtp_accept_max;
    long smtp_accept_max_nonmail;
    const struct match_list *smtp_accept_max_nonmail_hosts;
    const struct expr *smtp_accept_max_per_connection;
    const struct expr *smtp_accept_max_per_host;
    long smtp_accept_queue;
    long smtp_accept_queue_per_connection;
    long smtp_accept_reserve;
    const struct expr *smtp_active_hostname;
    const struct expr *smtp_banner;
    bool smtp_check_spool_space;
    long smtp_connect_backlog;
    bool smtp_enforce_sync;
    const struct expr *smtp_etrn_command;
    bool smtp_etrn_serialize;
    int smtp_load_reserve;
    long smtp_max_synprot_errors;
    long smtp_max_unknown_commands;
    const struct match_list *smtp_ratelimit_hosts;
    const char *smtp_ratelimit_mail;
    const char *smtp_ratelimit_rcpt;
    const struct expr *smtp_receive_timeout;
    const struct match_list *smtp_reserve_hosts;
    bool smtp_return_error_details;
    const struct match_list *smtputf8_advertise_hosts;
    bool split_spool_directory;
    const struct expr *spool_directory;
    long sqlite_lock_timeout;
    bool strict_acl_vars;
    bool strip_excess_angle_brackets;
    bool strip_trailing_dot;
    const char *submission_socket; /* not Exim's: where ordinary users' programs find the daemon */
    bool syslog_duplication;
    const char *syslog_facility;
    bool syslog_pid;
    const char *syslog_processname;
    bool syslog_timestamp;
    bool tcp_nodelay;
    long timeout_frozen_after;
    const char *timezone;
    const struct match_list *tls_advertise_hosts;
    const struct expr *tls_alpn;
    const struct expr *tls_certificate;
    const struct expr *tls_crl;
    long tls_dh_max_bits;
    const struct expr *tls_dhparam;
    const struct expr *tls_eccurve;
    const struct expr *tls_ocsp_file;
    const char *tls_on_connect_ports;
    const struct expr *tls_privatekey;
    bool tls_remember_esmtp;
    const struct expr *tls_require_ciphers;
    const struct match_list *tls_resumption_hosts;
    const struct match_list *tls_try_verify_hosts;
    const struct expr *tls_verify_certificates;
    const struct match_list *tls_verify_hosts;
    const struct expr *trusted_groups;
    const struct expr *trusted_users;
    const struct expr *unknown_login;
    const char *unknown_username;
    const struct match_list *untrusted_set_sender;
    const char *uucp_from_pattern;
    const struct expr *uucp_from_sender;
    const struct expr *warn_message_file;
    bool write_ahead_log;
    bool write_rejectlog;
};

struct config {
    struct arena *arena;
    struct main_options main;

    /* Drivers, in the order of the file; each points to its driver's const table. */
    const struct router *const *routers;
    size_t router_count;
    const struct transport *const *transports;
    size_t transport_count;
    const struct authenticator *const *authenticators;
    size_t authenticator_count;
    const struct retry_rule *retry_rules;     /* linked, in order */
    const struct rewrite_rule *rewrite_rules; /* linked, in order */
    const struct hash *acls;                  /* name -> struct acl */
    const struct hash *named_lists[4];        /* by enum list_kind; name -> struct named_list */
    const struct hash *option_set;            /* main option names that the file set */
    const struct hooks *hooks;                /* it was read with */

    /* For -bP. */
    const struct option *const *hidden;       /* options that were set with "hide" */
    size_t hidden_count;
    const struct readconf_macro *macros;      /* -D and those of the file, in order of definition */
    const char *const *text;                  /* the lines as they were read: "-bP config" */
    size_t text_count;

    /* Worked out from the options after reading. */
    const char *filename;                     /* $config_file */
    const char *primary_hostname;             /* never NULL, after the default was applied */
    const char *qualify_domain, *qualify_recipient;
    const char *spool_directory;
    const char *log_file_path;                /* expanded; "" for the built-in default */
    const char *pid_file_path;                /* expanded */
    uint64_t log_selector;
    long localhost_number;                    /* -1: unset */
    uid_t exim_uid;
    gid_t exim_gid;
    bool exim_user_unasked;                   /* exim_uid and exim_gid are those of this process */
    bool exim_user_missing;                   /* root, and no such user: only settings can be shown */
    const uid_t *never_users;
    size_t never_user_count;
    const gid_t *trusted_groups, *admin_groups;
    size_t trusted_group_count, admin_group_count;
    const uid_t *trusted_users;
    size_t trusted_user_count;
};

#endif
