#include "base/digest.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/openssl.h"
#include "base/table.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct algorithm {
    const char *name;
    const EVP_MD *(*md)(void);
};

/* The library is not there before it is asked for: no static table can name its functions. */
static const EVP_MD *digest_named(const char *name)
{
    /* clang-format off */
    const struct algorithm algorithms[] = {
        { "md5",      EVP_md5 },
        { "sha1",     EVP_sha1 },
        { "sha224",   EVP_sha224 },
        { "sha256",   EVP_sha256 },
        { "sha3-224", EVP_sha3_224 },
        { "sha3-256", EVP_sha3_256 },
        { "sha3-384", EVP_sha3_384 },
        { "sha3-512", EVP_sha3_512 },
        { "sha384",   EVP_sha384 },
        { "sha512",   EVP_sha512 },
    };
    /* clang-format on */
    const struct algorithm *alg = TABLE_FIND(algorithms, name);

    return alg == NULL ? NULL : alg->md();
}

size_t digest(const char *name, struct str in, unsigned char out[DIGEST_MAX])
{
    const EVP_MD *md = digest_named(name);
    unsigned len = 0;

    if (md == NULL || EVP_Digest(in.p, in.len, out, &len, md, NULL) != 1)
        return 0;
    return len;
}

size_t digest_hmac(const char *name, struct str key, struct str in,
                   unsigned char out[DIGEST_MAX])
{
    const EVP_MD *md = digest_named(name);
    unsigned len = 0;

    if (md == NULL || key.len > INT32_MAX ||
        HMAC(md, key.p, (int)key.len, (const unsigned char *)in.p, in.len, out,
             &len) == NULL)
        return 0;
    return len;
}

static uint32_t crc32c_by_table(uint32_t crc, const unsigned char *s, size_t n)
{
    /* The reflected polynomial 0x82f63b78, four bits at a time. */
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (size_t i = 0; i < n; i++) {
        crc ^= s[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
static __attribute__((target("sse4.2"))) uint32_t
crc32c_by_instruction(uint32_t crc, const unsigned char *s, size_t n)
{
    uint64_t sum = crc, word;

    for (; n >= sizeof(word); s += sizeof(word), n -= sizeof(word)) {
        memcpy(&word, s, sizeof(word));
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; n > 0; s++, n--)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *s);
    return (uint32_t)sum;
}

/* Not __builtin_cpu_supports: that asks for everything at the start of every program, and where the machine
 * is a virtual one, each question costs. */
static bool has_instruction(void)
{
    static enum { UNKNOWN, NO, YES } has;
    unsigned a, b, c = 0, d;

    if (has == UNKNOWN)
        has = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0 ? YES : NO;
    return has == YES;
}
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
#if defined(__x86_64__)
    if (has_instruction())
        return ~crc32c_by_instruction(~crc, p, n);
#endif
    return ~crc32c_by_table(~crc, p, n);
}

uint32_t random_below(uint32_t n)
{
    if (n < 2)
        return 0;
    const uint32_t fair =
        UINT32_MAX - UINT32_MAX % n; /* a multiple of n: no bias below it */
    for (;;) {
        uint32_t v;
        ssize_t got = getrandom(&v, sizeof(v), 0);

        if (got == (ssize_t)sizeof(v) && v < fair)
            return v % n;
        if (got < 0 && errno != EINTR)
            die("no random numbers: getrandom failed");
    }
}
