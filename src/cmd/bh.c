#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/debug.h"
#include "cmd/be_message.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "exim.h"
#include "smtp/proxy_negotiate.h"
#include "smtp_in.h"

static bool set_end(struct arena *a, const char *text, struct ip *ip, uint16_t *port)
{
    const char *address = NULL;
    int number = 0;

    be_split_address(a, text, &address, &number);
    if (address == NULL || !ip_parse(address, ip))
        return false;
    *port = (uint16_t)number;
    return true;
}

/* A session as if from that host, in which nothing is delivered (manual 5.2, -bh). */
int cmd_bh(struct exim *e, const struct cmd_line *c)
{
    struct arena *a = arena_new("-bh");
    struct smtp_peer peer = { .in_fd = STDIN_FILENO,
                              .out_fd = STDOUT_FILENO,
                              .host_checking = true };
    char text[IP_TEXT_MAX];

    if (c->mode_arg == NULL ||
        !set_end(a, c->mode_arg, &peer.client, &peer.client_port)) {
        fprintf(stderr, "exim: option -bh: \"%s\" is not an IP address\n",
                c->mode_arg != NULL ? c->mode_arg : "");
        arena_destroy(&a);
        return EXIT_FAILURE;
    }
    (void)set_end(a, c->oMi, &peer.local, &peer.local_port);
    peer.sender_ident = c->oMt;
    peer.authenticated_id = c->oMai;
    peer.host_name = c->oMs;
    peer.host_authenticated = c->oMaa;
    peer.authenticated_sender = c->oMas;
    e->host_checking = true;
    e->callout_checking = strcmp(c->mode->name, "bhc") == 0;
    debug_mask |= (debug_mask == 0 ? D_TESTING : 0) | D_ACL | D_AUTH | D_DNSBL |
                  D_HOST_LOOKUP | D_LISTS | D_VERIFY;
    printf("\n**** SMTP testing session as if from host %s\n"
           "**** but without any ident (RFC 1413) callback.\n"
           "**** This is not for real!\n\n",
           ip_print(&peer.client, text));
    (void)fflush(stdout);
    smtp_proxy_negotiate(e, a, &peer);
    (void)smtp_serve(e, &peer, &c->receive);
    arena_destroy(&a);
    return EXIT_SUCCESS;
}
