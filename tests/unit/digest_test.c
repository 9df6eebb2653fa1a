/*
 * digest_test.c - the test vectors of RFC 1321, RFC 2202 and RFC 4231
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"

static void
assert_hex(const uint8_t *got, size_t len, const char *want)
{
	char hex[2 * DIGEST_SHA256 + 1];
	size_t i;

	for (i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", got[i]);
	assert_string_equal(hex, want);
}

/* RFC 1321 A.5 */
static void
test_md5_rfc1321(void **state)
{
	static const char *const suite[][2] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e" },
		{ "a", "0cc175b9c0f1b6a831c399e269772661" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72" },
		{ "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
		{ "abcdefghijklmnopqrstuvwxyz",
		    "c3fcd3d76192e4007dfb496cca67e13b" },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		    "0123456789", "d174ab98d277d9f5a5611c2c9f419d9f" },
		{ "1234567890123456789012345678901234567890"
		    "1234567890123456789012345678901234567890",
		    "57edf4a22be3c955ac49da2e2107b67a" },
	};
	uint8_t out[DIGEST_MD5];
	size_t i, cut, len;

	(void)state;
	for (i = 0; i < 7; i++) {
		len = strlen(suite[i][0]);
		for (cut = 0; cut <= len; cut++) {
			struct digest_part part[3] = {
				{ suite[i][0], cut },
				{ NULL, 0 },
				{ suite[i][0] + cut, len - cut },
			};

			digest_md5(out, part, 3);
			assert_hex(out, sizeof(out), suite[i][1]);
		}
	}
	digest_md5(out, NULL, 0);
	assert_hex(out, sizeof(out), suite[0][1]);
}

struct hmac_case {
	const char *key;
	size_t keylen;			/* 0: of the string */
	int keybyte;			/* -1: key is a string */
	const char *data;
	size_t datalen;
	int databyte;
	const char *want;
};

static void
run_hmac(const struct hmac_case *c, bool sha)
{
	uint8_t key[256], data[256], out[DIGEST_SHA256];
	size_t klen = c->keylen, dlen = c->datalen, cut, i;

	for (i = 0; i < sizeof(key); i++) {
		key[i] = (uint8_t)(c->keybyte == -2 ? (int)i + 1 :
		    c->keybyte);
		data[i] = (uint8_t)c->databyte;
	}
	if (c->key != NULL) {
		klen = strlen(c->key);
		memcpy(key, c->key, klen);
	}
	if (c->data != NULL) {
		dlen = strlen(c->data);
		memcpy(data, c->data, dlen);
	}
	for (cut = 0; cut <= dlen; cut++) {
		struct digest_part part[2] = {
			{ data, cut }, { data + cut, dlen - cut } };

		if (sha)
			digest_hmac_sha256(out, key, klen, part, 2);
		else
			digest_hmac_md5(out, key, klen, part, 2);
		assert_hex(out, sha ? DIGEST_SHA256 : DIGEST_MD5, c->want);
	}
}

/* RFC 2202 section 2 */
static void
test_hmac_md5_rfc2202(void **state)
{
	static const struct hmac_case cases[] = {
		{ NULL, 16, 0x0b, "Hi There", 0, 0,
		    "9294727a3638bb1c13f48ef8158bfc9d" },
		{ "Jefe", 0, -1, "what do ya want for nothing?", 0, 0,
		    "750c783e6ab0b503eaa86e310a5db738" },
		{ NULL, 16, 0xaa, NULL, 50, 0xdd,
		    "56be34521d144c88dbb8c733f0e8b3f6" },
		{ NULL, 25, -2, NULL, 50, 0xcd,
		    "697eaf0aca3a3aea3a75164746ffaa79" },
		{ NULL, 16, 0x0c, "Test With Truncation", 0, 0,
		    "56461ef2342edc00f9bab995690efd4c" },
		{ NULL, 80, 0xaa,
		    "Test Using Larger Than Block-Size Key - Hash Key First",
		    0, 0, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd" },
		{ NULL, 80, 0xaa, "Test Using Larger Than Block-Size Key and "
		    "Larger Than One Block-Size Data", 0, 0,
		    "6f630fad67cda0ee1fb1f562db3aa53e" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_hmac(&cases[i], false);
}

/* RFC 4231 section 4 */
static void
test_hmac_sha256_rfc4231(void **state)
{
	static const struct hmac_case cases[] = {
		{ NULL, 20, 0x0b, "Hi There", 0, 0,
		    "b0344c61d8db38535ca8afceaf0bf12b"
		    "881dc200c9833da726e9376c2e32cff7" },
		{ "Jefe", 0, -1, "what do ya want for nothing?", 0, 0,
		    "5bdcc146bf60754e6a042426089575c7"
		    "5a003f089d2739839dec58b964ec3843" },
		{ NULL, 20, 0xaa, NULL, 50, 0xdd,
		    "773ea91e36800e46854db8ebd09181a7"
		    "2959098b3ef8c122d9635514ced565fe" },
		{ NULL, 25, -2, NULL, 50, 0xcd,
		    "82558a389a443c0ea4cc819899f2083a"
		    "85f0faa3e578f8077a2e3ff46729665b" },
		{ NULL, 131, 0xaa,
		    "Test Using Larger Than Block-Size Key - Hash Key First",
		    0, 0, "60e431591ee0b67f0d8a26aacbf5b77f"
		    "8e0bc6213728c5140546040f0ee37f54" },
		{ NULL, 131, 0xaa, "This is a test using a larger than "
		    "block-size key and a larger than block-size data. The "
		    "key needs to be hashed before being used by the HMAC "
		    "algorithm.", 0, 0, "9b09ffa71b942fcb27635fbcd5b0e944"
		    "bfdc63644f0713938a7f51535c3a35e2" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_hmac(&cases[i], true);
}

static void
test_empty_key(void **state)
{
	uint8_t a[DIGEST_MD5];

	(void)state;
	digest_hmac_md5(a, NULL, 0, NULL, 0);
	assert_hex(a, sizeof(a), "74e6f7298a9c2d168935f58c001bad88");
}

static void
test_equal(void **state)
{
	uint8_t a[64], b[64];
	size_t i, bit;

	(void)state;
	digest_random(a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(digest_equal(a, b, sizeof(a)));
	assert_true(digest_equal(NULL, NULL, 0));
	for (i = 0; i < sizeof(a); i++) {
		for (bit = 0; bit < 8; bit++) {
			b[i] ^= (uint8_t)(1 << bit);
			assert_false(digest_equal(a, b, sizeof(a)));
			assert_true(digest_equal(a, b, i));
			b[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Pieces of every length: nothing repeats, half of the bits are set. */
static void
test_random(void **state)
{
	static uint8_t buf[1 << 20];
	size_t at = 0, n, ones = 0, i;
	uint64_t x, y;

	(void)state;
	for (n = 0; at + n <= sizeof(buf); n = (n + 1) % 700) {
		digest_random(buf + at, n);
		at += n;
	}
	for (i = 0; i < at; i++)
		ones += (size_t)__builtin_popcount(buf[i]);
	/* 4 * at ones expected, sigma is sqrt(2 * at): allow 8 sigma */
	assert_in_range(ones, 4 * at - 12000, 4 * at + 12000);
	qsort(buf, at / 8, 8, compare_u64);
	for (i = 0; i + 1 < at / 8; i++) {
		memcpy(&x, buf + 8 * i, 8);
		memcpy(&y, buf + 8 * i + 8, 8);
		assert_true(x != y);
	}
}

static void
test_random_stays_inside(void **state)
{
	uint8_t buf[600];
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(buf); n++) {
		memset(buf, 0x5a, sizeof(buf));
		digest_random(buf, n);
		assert_int_equal(buf[n], 0x5a);
	}
	assert_true(digest_random_u32() != digest_random_u32() ||
	    digest_random_u32() != digest_random_u32());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_md5_rfc1321),
		cmocka_unit_test(test_hmac_md5_rfc2202),
		cmocka_unit_test(test_hmac_sha256_rfc4231),
		cmocka_unit_test(test_empty_key),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
