/* pcre2.h - PCRE2, loaded when the first regular expression is compiled. Include this instead of
 * <pcre2.h>. */
#ifndef EXIM_BASE_PCRE2_H
#define EXIM_BASE_PCRE2_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct pcre2 {
    __typeof__(pcre2_code_free) *code_free;
    __typeof__(pcre2_compile) *compile;
    __typeof__(pcre2_config) *config;
    __typeof__(pcre2_get_error_message) *get_error_message;
    __typeof__(pcre2_get_ovector_pointer) *get_ovector_pointer;
    __typeof__(pcre2_jit_compile) *jit_compile;
    __typeof__(pcre2_match) *match;
    __typeof__(pcre2_match_context_create) *match_context_create;
    __typeof__(pcre2_match_context_free) *match_context_free;
    __typeof__(pcre2_match_data_create) *match_data_create;
    __typeof__(pcre2_match_data_free) *match_data_free;
    __typeof__(pcre2_set_heap_limit) *set_heap_limit;
    __typeof__(pcre2_set_match_limit) *set_match_limit;
};

/* The functions; the process ends with a message when the library cannot be loaded. */
const struct pcre2 *pcre2(void);

#endif
