#include "session.h"

#include <string.h>

#include "base/ip.h"
#include "base/str.h"
#include "host.h"

static bool is_own_name(const struct session *s)
{
    if (s->host_name == NULL)
        return false;
    if (cstr_ieq(s->host_name, s->helo_name))
        return true;
    for (const char *const *p = s->host_aliases; p != NULL && *p != NULL; p++)
        if (cstr_ieq(*p, s->helo_name))
            return true;
    return false;
}

static bool is_literal(const struct session *s)
{
    size_t len = strlen(s->host_address);

    return strncmp(s->helo_name + 1, s->host_address, len) == 0 &&
           strcmp(s->helo_name + 1 + len, "]") == 0;
}

/* By its own names, then by the addresses of the name given. */
static enum rc test_name(struct session *s)
{
    struct ip_list list = { 0 };
    struct err err = { 0 };
    struct ip client;

    if (s->helo_name[0] == '[')
        return is_literal(s) ? RC_OK : RC_FAIL;
    (void)session_host_name(s);
    if (is_own_name(s))
        return RC_OK;
    enum rc rc = host_addresses(s->exim, s->arena, s->helo_name, &list, &err);
    if (rc != RC_OK || !ip_parse(s->host_address, &client))
        return rc == RC_DEFER ? RC_DEFER : RC_FAIL;
    client = ip_unmap(client);
    for (size_t i = 0; i < list.count; i++)
        if (ip_eq(&list.ips[i], &client))
            return RC_OK;
    return RC_FAIL;
}

enum rc session_helo_verify(struct session *s)
{
    if (s->host_address == NULL || s->helo_verified)
        return RC_OK;
    if (s->helo_name == NULL || s->helo_verify_failed)
        return RC_FAIL;
    enum rc rc = test_name(s);
    s->helo_verified = rc == RC_OK;
    s->helo_verify_failed = rc == RC_FAIL;
    session_set_fullhost(s);
    return rc;
}
