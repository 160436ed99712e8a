/* smtp_fuzz.h - a session that fuzzers talk to; nothing of what they say is kept. */
#ifndef TEST_FUZZ_SMTP_FUZZ_H
#define TEST_FUZZ_SMTP_FUZZ_H

#include <stdint.h>

#include "../unit/smtp_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] =
    "smtp_enforce_sync = false\nacl_smtp_rcpt = rcpt\nacl_smtp_data = data\nacl_smtp_vrfy = accept\n"
    "tls_advertise_hosts =\nmessage_size_limit = 20K\nrecipients_max = 30\nheader_line_maxsize = 500\n"
    "header_maxsize = 4K\ndsn_advertise_hosts = *\nprdr_enable\nauth_advertise_hosts = *\nallow_domain_literals\n"
    "smtp_max_synprot_errors = 1000\nsmtp_max_unknown_commands = 1000\nsmtp_accept_max_nonmail = 1000\n"
    "strip_trailing_dot\nstrip_excess_angle_brackets\nallow_utf8_domains\n"
    "begin acl\nrcpt:\n  deny local_parts = deny\n    message = 553 5.7.1 one\\ntwo\n  accept\n"
    "data:\n  accept add_header = X-A: b\n"
    "begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n"
    "  server_condition = ${if eq{$auth2}{u}}\n  server_set_id = $auth2\n"
    "cram:\n  driver = cram_md5\n  public_name = CRAM-MD5\n  server_secret = x\n";

static void remove_world(void);
static struct smtp_world world;

static void no_log(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", world.dir, name);
    if (symlink("/dev/null", path) != 0)
        abort();
}

static void remove_world(void)
{
    smtp_world_close(&world);
}

/* What a client sends: first, then data, where '\xff' is the end of one read. */
static void talk(const char *first, const uint8_t *data, size_t size)
{
    static bool ready;
    struct str pieces[64] = { 0 };
    size_t n = 0, from = 0;

    if (!ready) {
        smtp_world_open(&world, config);
        world.e.host_checking = true;
        no_log("mainlog");
        no_log("rejectlog");
        no_log("paniclog");
        (void)atexit(remove_world);
        ready = true;
    }
    if (first != NULL)
        pieces[n++] = str_from(first);
    for (size_t i = 0; i <= size && n < 64; i++)
        if (i == size || (data[i] == 0xff && n < 63)) {
            pieces[n++] = (struct str){ (const char *)data + from, i - from };
            from = i + 1;
        }
    struct arena *a = arena_new("input");
    (void)smtp_world_talk(&world, a, pieces, n);
    arena_destroy(&a);
}

#endif
