#include "base/table.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *key, const void *row)
{
    return strcmp(key, *(const char *const *)row);
}

const void *table_find(const void *rows, size_t count, size_t row_size, const char *name)
{
    return bsearch(name, rows, count, row_size, compare);
}
