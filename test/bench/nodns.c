/* nodns - a DNS server that knows no name: every question is answered NXDOMAIN, at once.
 *
 *   nodns address port
 * Prints "ready" when it listens. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PACKET = 4096, HEADER = 12, RESPONSE = 0x80, RECURSION = 0x80, NXDOMAIN = 3 };

/* The length of header and question; 0 if there is no whole question. */
static size_t question_end(const unsigned char *p, size_t len)
{
    size_t at = HEADER;

    while (at < len && p[at] != 0)
        at += p[at] + 1U;
    return at + 5 <= len ? at + 5 : 0;
}

int main(int argc, char **argv)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = { .sin_family = AF_INET };

    if (argc != 3 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1)
        return 2;
    at.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        perror("nodns");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        unsigned char p[PACKET];
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t n = recvfrom(fd, p, sizeof p, 0, (struct sockaddr *)&from, &from_len);
        size_t len = n > HEADER ? question_end(p, (size_t)n) : 0;
        if (len == 0)
            continue;
        p[2] |= RESPONSE;
        p[3] = RECURSION | NXDOMAIN;
        p[7] = p[9] = p[11] = p[6] = p[8] = p[10] = 0; /* no other sections: no EDNS either */
        if (sendto(fd, p, len, 0, (struct sockaddr *)&from, from_len) < 0)
            perror("nodns");
    }
}
