#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/local.h"
#include "exim.h"
#include "smtp/proxy_negotiate.h"
#include "smtp_in.h"

/* Standard input is the client: a user's program, or a connection that inetd accepted. */
int cmd_bs(struct exim *e, const struct cmd_line *c)
{
    struct arena *a = arena_new("-bs");
    struct smtp_peer peer = { .batched = strcmp(c->mode->name, "bS") == 0 };

    local_peer(e, a, c, &peer);
    if (peer.batched) {
        peer.client = (struct ip){ 0 };
        peer.authenticated_id = c->oMai;
        peer.authenticated_sender = c->oMas;
    } else if (peer.in_fd == peer.out_fd) {
        peer.tls_on_connect = c->daemon.tls_on_connect;
        smtp_proxy_negotiate(e, a, &peer);
    }
    int status = smtp_serve(e, &peer, &c->receive);
    arena_destroy(&a);
    return status;
}
