/* build_info.h - when this binary was linked, for -bV, $compile_number and $compile_date.
 *
 * Defined by a file the Makefile writes at each link. */
#ifndef EXIM_BUILD_INFO_H
#define EXIM_BUILD_INFO_H

extern const char build_info_number[]; /* "17" */
extern const char build_info_date[];   /* "22-Nov-2026 10:15:00" */

#endif
