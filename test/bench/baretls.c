/* baretls - the least server that does a STARTTLS handshake: what OpenSSL costs by itself.
 *
 *   baretls port file    (certificate chain and key in one file)
 * One connection after another: greeting, EHLO, STARTTLS, handshake, QUIT. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool say_and_hear(int fd, const char *text, size_t len)
{
    char line[512];

    return write(fd, text, len) == (ssize_t)len && read(fd, line, sizeof line) > 0;
}

static void serve(SSL_CTX *ctx, int fd)
{
    static const char greeting[] = "220 bare ESMTP\r\n", features[] = "250-bare\r\n250 STARTTLS\r\n";
    char line[512];

    if (!say_and_hear(fd, greeting, sizeof greeting - 1) || !say_and_hear(fd, features, sizeof features - 1) ||
        write(fd, "220 go\r\n", 8) != 8)
        return;
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, line, sizeof line) > 0)
        SSL_write(ssl, "221 bye\r\n", 9);
    SSL_shutdown(ssl);
    SSL_free(ssl);
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (argc != 3 || SSL_CTX_use_certificate_chain_file(ctx, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1)
        return 2;
    at.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 128) != 0)
        return 1;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            serve(ctx, fd);
            close(fd);
        }
    }
}
