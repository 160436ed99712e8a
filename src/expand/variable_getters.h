/* variable_getters.h - the functions that the table of variables names, by file.
 *
 * *out is the row's default when they are called. */
#ifndef EXIM_EXPAND_VARIABLE_GETTERS_H
#define EXIM_EXPAND_VARIABLE_GETTERS_H

#include "expand/variables.h"

/* variables.c */
variable_getter variable_acl, variable_router;
/* variables_message.c */
variable_getter variable_message_age, variable_message_body, variable_message_headers,
    variable_received_time, variable_recipients, variable_reply_address, variable_headers_added,
    variable_sender_part, variable_spam_score, variable_message_body_size;
/* variables_address.c */
variable_getter variable_address_target, variable_origin, variable_return_path,
    variable_driver_name, variable_local_user, variable_dsn, variable_pipe_addresses;
enum { ORIGIN_PARENT, ORIGIN_TOP, ORIGIN_DOMAIN = 0, ORIGIN_LOCAL_PART = 2 };
/* variables_session.c */
variable_getter variable_sender_host_name, variable_fullhost, variable_host_lookup,
    variable_active_hostname, variable_interface_port, variable_sending_port;
/* variables_proxy.c */
variable_getter variable_proxy, variable_proxy_tls;
/* variables_system.c */
variable_getter variable_tod, variable_pid, variable_load, variable_space, variable_config_dir,
    variable_filter_counter, variable_acl_arg, variable_auth, variable_regex,
    variable_localhost_number, variable_exim_user, variable_tls_out_dane, variable_compiled;

enum { SPACE_LOG = 0, SPACE_SPOOL = 1, SPACE_BYTES = 0, SPACE_INODES = 2 };
enum {
    PROXY_VALUE_FAILURE, PROXY_VALUE_VERSION, PROXY_VALUE_COMMAND, PROXY_VALUE_AUTHORITY,
    PROXY_VALUE_ALPN, PROXY_VALUE_UNIQUE_ID, PROXY_VALUE_TLS_VERSION, PROXY_VALUE_TLS_CIPHER,
    PROXY_VALUE_TLS_CN, PROXY_VALUE_TLS_VERIFIED, PROXY_VALUE_TLS_GROUP,
};
enum { DSN_VALUE_ENVID, DSN_VALUE_RET, DSN_VALUE_NOTIFY, DSN_VALUE_ORCPT };

#endif
