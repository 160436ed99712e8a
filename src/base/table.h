/* table.h - search of const tables sorted by name, which is their first member. */
#ifndef EXIM_TABLE_H
#define EXIM_TABLE_H

#include <stddef.h>

/* rows: array of structs whose first member is `const char *name`, sorted by strcmp.
 * NULL when absent. Each table has a unit test that it is sorted (test/unit/t_tables.c). */
const void *table_find(const void *rows, size_t count, size_t row_size, const char *name);
#define TABLE_FIND(table, name) \
    ((const __typeof__((table)[0]) *)table_find((table), ARRAY_LEN(table), sizeof((table)[0]), name))

#endif
