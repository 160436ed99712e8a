/* operator_handlers.h - the functions that the table of operators names, by file. */
#ifndef EXIM_EXPAND_OPERATOR_HANDLERS_H
#define EXIM_EXPAND_OPERATOR_HANDLERS_H

#include "expand/expand_int.h"

#define OPERATOR(name)                                                                       \
    enum expand_rc name(struct expand_ctx *ctx, const struct operator_node *n, const char *in, \
                        const char **out)
#define CHECK(name) bool name(struct compiler *c, struct operator_node *n)

/* operators.c: numbers after underscores. */
CHECK(op_numbers_check);
/* ops_string.c */
OPERATOR(op_escape);
OPERATOR(op_escape8bit);
OPERATOR(op_expand);
OPERATOR(op_hash);
OPERATOR(op_hexquote);
OPERATOR(op_lc);
OPERATOR(op_length);
OPERATOR(op_nhash);
OPERATOR(op_quote);
OPERATOR(op_quote_lookup);
CHECK(op_quote_lookup_check);
OPERATOR(op_quote_local_part);
OPERATOR(op_rxquote);
OPERATOR(op_strlen);
OPERATOR(op_substr);
OPERATOR(op_uc);
/* ops_number.c */
OPERATOR(op_base32);
OPERATOR(op_base32d);
OPERATOR(op_base62);
OPERATOR(op_base62d);
OPERATOR(op_randint);
OPERATOR(op_time_eval);
OPERATOR(op_time_interval);
/* ops_eval.c */
OPERATOR(op_eval);
OPERATOR(op_eval10);
/* ops_encode.c */
OPERATOR(op_base64);
OPERATOR(op_base64d);
OPERATOR(op_hex2b64);
OPERATOR(op_md5);
OPERATOR(op_sha1);
OPERATOR(op_sha256);
OPERATOR(op_sha2);
CHECK(op_sha2_check);
OPERATOR(op_sha3);
CHECK(op_sha3_check);
/* ops_address.c */
OPERATOR(op_address);
OPERATOR(op_addresses);
OPERATOR(op_domain);
OPERATOR(op_local_part);
OPERATOR(op_rfc2047);
OPERATOR(op_rfc2047d);
OPERATOR(op_xtextd);
/* ops_ip.c */
OPERATOR(op_ipv6denorm);
OPERATOR(op_ipv6norm);
OPERATOR(op_mask);
OPERATOR(op_reverse_ip);
/* ops_list.c */
OPERATOR(op_listcount);
OPERATOR(op_listnamed);
CHECK(op_listnamed_check);
/* ops_utf8.c */
OPERATOR(op_from_utf8);
OPERATOR(op_utf8clean);
OPERATOR(op_utf8_domain_from_alabel);
OPERATOR(op_utf8_domain_to_alabel);
OPERATOR(op_utf8_localpart_from_alabel);
OPERATOR(op_utf8_localpart_to_alabel);
/* ops_file.c */
OPERATOR(op_stat);

#undef OPERATOR
#undef CHECK

#endif
