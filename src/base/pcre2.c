#include "base/pcre2.h"

#include "base/dynlib.h"

const struct pcre2 *pcre2(void)
{
    static const char names[] =
        "pcre2_code_free_8\0pcre2_compile_8\0pcre2_config_8\0pcre2_get_error_message_8\0"
        "pcre2_get_ovector_pointer_8\0pcre2_jit_compile_8\0pcre2_match_8\0"
        "pcre2_match_context_create_8\0pcre2_match_context_free_8\0"
        "pcre2_match_data_create_8\0pcre2_match_data_free_8\0pcre2_set_heap_limit_8\0"
        "pcre2_set_match_limit_8\0";
    static const struct pcre2 *functions;

    if (functions == NULL)
        functions = dynlib_need("libpcre2-8.so.0", names);
    return functions;
}
