/* item_handlers.h - the functions that the table of items names, by file. */
#ifndef EXIM_EXPAND_ITEM_HANDLERS_H
#define EXIM_EXPAND_ITEM_HANDLERS_H

#include "expand/expand_int.h"

#define ITEM_EVAL(name) \
    enum expand_rc name(struct expand_ctx *ctx, const struct item_node *n, const char **out)
#define ITEM_PARSE(name) bool name(struct compiler *c, struct item_node *n)

/* items.c */
bool item_plain_args(struct compiler *c, struct item_node *n) MUST_USE;
/* items_acl.c */
ITEM_EVAL(item_acl);
ITEM_PARSE(item_certextract_parse);
ITEM_EVAL(item_certextract);
/* items_extract.c */
ITEM_PARSE(item_extract_parse);
ITEM_EVAL(item_extract);
ITEM_PARSE(item_listextract_parse);
ITEM_EVAL(item_listextract);
ITEM_PARSE(item_env_parse);
ITEM_EVAL(item_env);
/* items_list.c */
ITEM_PARSE(item_filter_parse);
ITEM_EVAL(item_filter);
ITEM_PARSE(item_map_parse);
ITEM_EVAL(item_map);
ITEM_PARSE(item_reduce_parse);
ITEM_EVAL(item_reduce);
/* items_sort.c */
ITEM_PARSE(item_sort_parse);
ITEM_EVAL(item_sort);
/* items_string.c */
ITEM_EVAL(item_hash);
ITEM_EVAL(item_nhash);
ITEM_EVAL(item_hmac);
ITEM_EVAL(item_length);
ITEM_EVAL(item_listquote);
ITEM_EVAL(item_substr);
ITEM_EVAL(item_tr);
ITEM_PARSE(item_sg_parse);
ITEM_EVAL(item_sg);
/* items_imapfolder.c */
ITEM_EVAL(item_imapfolder);
/* items_if.c */
ITEM_PARSE(item_if_parse);
ITEM_EVAL(item_if);
/* items_lookup.c */
ITEM_PARSE(item_lookup_parse);
ITEM_EVAL(item_lookup);
/* items_prvs.c */
ITEM_EVAL(item_prvs);
ITEM_EVAL(item_prvscheck);
/* items_proxy.c */
ITEM_PARSE(item_proxytlv_parse);
ITEM_EVAL(item_proxytlv);
/* items_run.c, items_dlfunc.c, items_file.c */
ITEM_PARSE(item_run_parse);
ITEM_EVAL(item_run);
ITEM_EVAL(item_dlfunc);
ITEM_EVAL(item_readfile);
ITEM_PARSE(item_perl_parse);
ITEM_PARSE(item_dlfunc_parse); /* when it is not built */
/* items_socket.c */
ITEM_EVAL(item_readsocket);

#undef ITEM_EVAL
#undef ITEM_PARSE

#endif
