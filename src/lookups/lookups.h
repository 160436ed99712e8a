/* lookups.h - the lookup drivers, and what several of them share.
 *
 * Which of them a binary has is said by LOOKUP_xxx in Local/Makefile; drtables.c lists them. */
#ifndef EXIM_LOOKUPS_H
#define EXIM_LOOKUPS_H

#include <stdbool.h>

#include "base/str.h"
#include "search.h"

struct arena;

extern const struct lookup_driver lookup_cdb;
extern const struct lookup_driver lookup_dbm;
extern const struct lookup_driver lookup_dbmjz;
extern const struct lookup_driver lookup_dbmnz;
extern const struct lookup_driver lookup_dnsdb;
extern const struct lookup_driver lookup_dsearch;
extern const struct lookup_driver lookup_iplsearch;
extern const struct lookup_driver lookup_lsearch;
extern const struct lookup_driver lookup_nwildlsearch;
extern const struct lookup_driver lookup_passwd;
extern const struct lookup_driver lookup_sqlite;
extern const struct lookup_driver lookup_wildlsearch;

#endif
