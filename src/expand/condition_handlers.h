/* condition_handlers.h - the functions that the table of conditions names, by file. */
#ifndef EXIM_EXPAND_CONDITION_HANDLERS_H
#define EXIM_EXPAND_CONDITION_HANDLERS_H

#include "expand/expand_int.h"

#define CONDITION(name) \
    enum expand_rc name(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
#define PARSE(name) bool name(struct compiler *c, struct cond_node *n)

/* conditions.c */
bool cond_plain_args(struct compiler *c, struct cond_node *n, bool last_is_literal) MUST_USE;
/* {{arg}{arg}...} */
bool cond_braced_args(struct compiler *c, struct cond_node *n, int min, int max) MUST_USE;
/* conditions_logic.c */
PARSE(cond_group_parse);
CONDITION(cond_and);
CONDITION(cond_or);
PARSE(cond_each_parse);
CONDITION(cond_forall);
CONDITION(cond_forany);
CONDITION(cond_forall_json);
CONDITION(cond_forany_json);
CONDITION(cond_forall_jsons);
CONDITION(cond_forany_jsons);
PARSE(cond_def_parse);
CONDITION(cond_def);
/* conditions_compare.c */
CONDITION(cond_num_eq);
CONDITION(cond_num_gt);
CONDITION(cond_num_ge);
CONDITION(cond_num_lt);
CONDITION(cond_num_le);
CONDITION(cond_eq);
CONDITION(cond_eqi);
CONDITION(cond_ge);
CONDITION(cond_gei);
CONDITION(cond_gt);
CONDITION(cond_gti);
CONDITION(cond_le);
CONDITION(cond_lei);
CONDITION(cond_lt);
CONDITION(cond_lti);
CONDITION(cond_bool);
CONDITION(cond_bool_lax);
CONDITION(cond_inlist);
CONDITION(cond_inlisti);
CONDITION(cond_isip);
CONDITION(cond_isip4);
CONDITION(cond_isip6);
/* conditions_match.c */
PARSE(cond_match_parse);
CONDITION(cond_match);
PARSE(cond_match_list_parse);
CONDITION(cond_match_address);
CONDITION(cond_match_domain);
CONDITION(cond_match_ip);
CONDITION(cond_match_local_part);
/* conditions_state.c */
PARSE(cond_no_args_parse);
CONDITION(cond_exists);
CONDITION(cond_first_delivery);
CONDITION(cond_queue_running);
PARSE(cond_acl_parse);
CONDITION(cond_acl);
/* conditions_auth.c */
CONDITION(cond_crypteq);
PARSE(cond_not_built_parse);
PARSE(cond_pwcheck_parse);
CONDITION(cond_pwcheck);
PARSE(cond_saslauthd_parse);
CONDITION(cond_saslauthd);

#undef CONDITION
#undef PARSE

#endif
