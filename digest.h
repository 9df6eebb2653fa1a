/*
 * digest.h - MD5, SHA-256, HMAC, constant-time compare and random bytes, over nettle
 */
#ifndef DIGEST_H
#define DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

#define DIGEST_MD5	16
#define DIGEST_SHA256	32

/* A run of bytes; len 0 is allowed with any p. */
struct digest_part {
	const void *p;
	size_t len;
};

/* MD5 over the concatenation of n parts. */
void digest_md5(uint8_t out[DIGEST_MD5], const struct digest_part *, size_t n);

/* HMAC-MD5 (RFC 2104) over the concatenation of n parts. */
void digest_hmac_md5(uint8_t out[DIGEST_MD5], const void *key, size_t keylen,
    const struct digest_part *, size_t n);

/* HMAC-SHA256 over the concatenation of n parts. */
void digest_hmac_sha256(uint8_t out[DIGEST_SHA256], const void *key,
    size_t keylen, const struct digest_part *, size_t n);

/* SHA-256 of what comes in pieces: begin, add, end. */
struct digest_sha256 { struct sha256_ctx ctx; };
void digest_sha256_begin(struct digest_sha256 *);
void digest_sha256_add(struct digest_sha256 *, const void *, size_t len);
void digest_sha256_end(struct digest_sha256 *, uint8_t out[DIGEST_SHA256]);

/* Equal?  Takes the same time wherever they differ. */
bool digest_equal(const void *a, const void *b, size_t len);

/* Unpredictable bytes from getrandom(2), buffered; never fails. */
void digest_random(void *buf, size_t len);
uint32_t digest_random_u32(void);

#endif
