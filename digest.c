/*
 * digest.c - MD5, SHA-256, HMAC, constant-time compare and random bytes
 *
 * The arithmetic is nettle's; here are only the shapes in which the L2TP, PPP
 * and RADIUS RFCs ask for it: a digest over several runs of bytes laid end to
 * end (RFC 2661 4.3, RFC 1994 4.1, RFC 2865 3).
 *
 * Random bytes come from the kernel in blocks, since a call for each 16-bit
 * tunnel id would cost more than the id.  What has been handed out is wiped,
 * so the buffer never tells what earlier secrets were made of.
 *
 * Owns:     the buffer of random bytes.
 * Calls:    nettle, getrandom(2).
 * Lifetime: none; usable from the first instruction on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>

#include "digest.h"

/* getrandom(2) gives up to 256 bytes in one piece, whatever signals come. */
#define RANDOM_BLOCK	256

static uint8_t pool[RANDOM_BLOCK];
static size_t pool_left;		/* the last so many bytes are fresh */

/* nettle does not promise to leave a null pointer alone when len is 0. */
static const uint8_t *
bytes_of(const void *p)
{
	return p != NULL ? p : (const uint8_t *)"";
}

void
digest_md5(uint8_t out[DIGEST_MD5], const struct digest_part *part, size_t n)
{
	struct md5_ctx ctx;
	size_t i;

	md5_init(&ctx);
	for (i = 0; i < n; i++)
		md5_update(&ctx, part[i].len, bytes_of(part[i].p));
	md5_digest(&ctx, DIGEST_MD5, out);
}

void
digest_hmac_md5(uint8_t out[DIGEST_MD5], const void *key, size_t keylen,
    const struct digest_part *part, size_t n)
{
	struct hmac_md5_ctx ctx;
	size_t i;

	hmac_md5_set_key(&ctx, keylen, bytes_of(key));
	for (i = 0; i < n; i++)
		hmac_md5_update(&ctx, part[i].len, bytes_of(part[i].p));
	hmac_md5_digest(&ctx, DIGEST_MD5, out);
}

void
digest_hmac_sha256(uint8_t out[DIGEST_SHA256], const void *key, size_t keylen,
    const struct digest_part *part, size_t n)
{
	struct hmac_sha256_ctx ctx;
	size_t i;

	hmac_sha256_set_key(&ctx, keylen, bytes_of(key));
	for (i = 0; i < n; i++)
		hmac_sha256_update(&ctx, part[i].len, bytes_of(part[i].p));
	hmac_sha256_digest(&ctx, DIGEST_SHA256, out);
}

void
digest_sha256_begin(struct digest_sha256 *d)
{
	sha256_init(&d->ctx);
}

void
digest_sha256_add(struct digest_sha256 *d, const void *p, size_t len)
{
	sha256_update(&d->ctx, len, bytes_of(p));
}

void
digest_sha256_end(struct digest_sha256 *d, uint8_t out[DIGEST_SHA256])
{
	sha256_digest(&d->ctx, DIGEST_SHA256, out);
}

bool
digest_equal(const void *a, const void *b, size_t len)
{
	return len == 0 || memeql_sec(a, b, len) != 0;
}

/*
 * With flags 0 a kernel of this century fails only by EINTR.  Should one fail
 * otherwise, going on would mean ids and challenges that an attacker can
 * guess: there is no answer to give.
 */
static void
random_fill(uint8_t *p, size_t len)
{
	ssize_t got;

	while (len > 0) {
		got = getrandom(p, len < RANDOM_BLOCK ? len : RANDOM_BLOCK, 0);
		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			p += got;
			len -= (size_t)got;
		}
	}
}

void
digest_random(void *buf, size_t len)
{
	uint8_t *from;

	if (len > RANDOM_BLOCK) {
		random_fill(buf, len);
		return;
	}
	if (len > pool_left) {
		random_fill(pool, sizeof(pool));
		pool_left = sizeof(pool);
	}
	if (len == 0)
		return;
	from = pool + sizeof(pool) - pool_left;
	memcpy(buf, from, len);
	explicit_bzero(from, len);
	pool_left -= len;
}

uint32_t
digest_random_u32(void)
{
	uint32_t v;

	digest_random(&v, sizeof(v));
	return v;
}
