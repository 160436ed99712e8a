#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auths/auth.h"
#include "base/arena.h"
#include "base/berkeley.h"
#include "base/buf.h"
#include "base/debug.h"
#include "base/list.h"
#include "base/pcre2.h"
#include "build_info.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "config/owner.h"
#include "dsn_language.h"
#include "exim.h"
#include "routers/router.h"
#include "search.h"
#include "tls.h"
#include "transports/transport.h"
#include "version.h"

/* clang-format off */
static const char support[] =
    "Support for: crypteq iconv() IPv6 OpenSSL DNSSEC"
#ifndef DISABLE_OCSP
    " OCSP"
#endif
#ifdef EXPERIMENTAL_PROXY
    " Experimental_Proxy"
#endif
#ifdef EXPERIMENTAL_DSN
    " Experimental_DSN"
#endif
#ifdef EXPERIMENTAL_CERTNAMES
    " Experimental_Certnames"
#endif
    "\n";
/* clang-format on */

#ifdef SUPPORT_MAILDIR
#define MAILBOX_FORMATS "/maildir"
#else
#define MAILBOX_FORMATS ""
#endif

static void print_drivers(void)
{
    size_t count;

    printf("Lookups (built-in):");
    const struct lookup_driver *const *lookups = lookup_drivers(&count);
    for (size_t i = 0; i < count; i++)
        printf(" %s", lookups[i]->name);
    printf("\nAuthenticators:");
    const struct auth_driver *const *auths = auth_drivers(&count);
    for (size_t i = 0; i < count; i++)
        printf(" %s", auths[i]->name);
    printf("\nRouters:");
    const struct router_driver *const *routers = router_drivers(&count);
    for (size_t i = 0; i < count; i++)
        printf(" %s", routers[i]->name);
    printf("\nTransports:");
    const struct transport_driver *const *transports = transport_drivers(&count);
    for (size_t i = 0; i < count; i++)
        printf(" %s%s", transports[i]->name,
               strcmp(transports[i]->name, "appendfile") == 0 ? MAILBOX_FORMATS : "");
    printf("\n");
}

static void print_owners(struct arena *a)
{
    const uid_t *never = NULL;
    size_t count = 0;
    uid_t uid = 0;
    gid_t gid = 0;

    printf("Fixed never_users:");
    if (owner_user_list(a, FIXED_NEVER_USERS, &never, &count, NULL))
        for (size_t i = 0; i < count; i++)
            printf("%s%lu", i == 0 ? " " : ":", (unsigned long)never[i]);
    if (!owner_configure(&uid, &gid))
        uid = 0;
    printf("\nConfigure owner: %lu:%lu\n", (unsigned long)uid, (unsigned long)gid);
    printf("Size of off_t: %zu\n", sizeof(off_t));
}

static void print_library(const char *name, const char *compiled, const char *running)
{
    printf("Library version: %s: Compile: %s\n%*sRuntime: %s\n", name, compiled,
           (int)strlen(name) + 19, "", running);
}

#define TEXT_OF(x)    #x
#define NUMBERS(a, b) TEXT_OF(a) "." TEXT_OF(b)

/* As Exim 4.89: for those who debug. Asking some of them for their version loads them. */
static void print_libraries(struct arena *a)
{
    char pcre[64] = "";

    (void)pcre2()->config(PCRE2_CONFIG_VERSION, pcre);
    print_library("Glibc", NUMBERS(__GLIBC__, __GLIBC_MINOR__), gnu_get_libc_version());
    print_library("BDB", DB_VERSION_STRING, berkeley()->db_version(NULL, NULL, NULL));
    print_library("OpenSSL", tls_library_version(a, false), tls_library_version(a, true));
    print_library("PCRE2", NUMBERS(PCRE2_MAJOR, PCRE2_MINOR), pcre);
}

int cmd_bV(struct exim *e, const struct cmd_line *c)
{
    struct err err = { 0 };

    (void)c;
    if (!dsn_language_check(e, &err)) { /* as any other fault of the configuration */
        fprintf(stderr, "exim: %s\n", err.msg);
        return EXIT_FAILURE;
    }
    printf("Exim version %s #%s built %s\n", e->config->main.exim_version,
           build_info_number, build_info_date);
    printf("This is an " EXIM_IMPLEMENTATION ".\n"
           "Copyright (c) 2026 its authors; free software under the GPL, version 2 or "
           "later.\n");
    printf("Berkeley DB: %s\n", DB_VERSION_STRING);
    fputs(support, stdout);
    print_drivers();
    print_owners(e->arena);
    if (debug_mask != 0)
        print_libraries(e->arena);
    if (WHITELIST_D_MACROS[0] != '\0')
        printf("WHITELIST_D_MACROS: \"%s\"\n", WHITELIST_D_MACROS);
    if (TRUSTED_CONFIG_LIST[0] != '\0')
        printf("TRUSTED_CONFIG_LIST: \"%s\"\n", TRUSTED_CONFIG_LIST);
    printf("Configuration file is %s\n", e->config->filename);
    return EXIT_SUCCESS;
}
