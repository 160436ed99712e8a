/* main_options.h - the options of the main section, and those that are not built yet. */
#ifndef EXIM_CONFIG_MAIN_OPTIONS_H
#define EXIM_CONFIG_MAIN_OPTIONS_H

#include <stddef.h>

#include "config/option.h"

extern const struct option main_options_table[]; /* sorted by name; of struct main_options */
extern const size_t main_options_count;

#endif
