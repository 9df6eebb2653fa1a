/*
 * fuzz_radius.c - replies as a forger, and as a mad server, would send them
 *
 * The input is a datagram.  First it is checked as it is, which a forger gets
 * past only by luck; then it is decoded as if it had been in order, and
 * signed with the secret and checked again, as a server's own would be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "radius_attr.h"

#define SECRET	"fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t request[RADIUS_AUTH_LEN] = "request authent";

static void
want(bool ok)
{
	if (!ok)
		abort();
}

/* Signs what has been decoded; the copy is ours to write on. */
static void
sign(uint8_t *buf, const struct radius_packet *p)
{
	struct digest_part part[] = {
		{ buf, p->len }, { SECRET, strlen(SECRET) }
	};
	uint8_t sum[DIGEST_MD5];

	memcpy(buf + RADIUS_AUTHENTICATOR, request, RADIUS_AUTH_LEN);
	if (p->message_authenticator != NULL) {
		uint8_t *ma = buf + (p->message_authenticator - p->start);

		memset(ma, 0, DIGEST_MD5);
		digest_hmac_md5(sum, SECRET, strlen(SECRET), part, 1);
		memcpy(ma, sum, sizeof(sum));
	}
	digest_md5(sum, part, 2);
	memcpy(buf + RADIUS_AUTHENTICATOR, sum, sizeof(sum));
}

static void
check_text(const char *text, size_t size)
{
	want(memchr(text, '\0', size) != NULL);
}

static void
check_result(const struct radius_packet *p)
{
	struct auth_result res;
	struct radius_notes notes;
	struct rd r;
	unsigned int i;

	memset(&res, 0xa5, sizeof(res));
	radius_result_decode(p, &res, &notes);
	want(res.verdict == AUTH_REJECT ||
	    (res.verdict == AUTH_ACCEPT && p->code == RADIUS_ACCESS_ACCEPT &&
	    notes.rejected == NULL));
	want((res.address == AUTH_IP_FIXED || res.framed_ip == 0) &&
	    res.framed_ip < FRAMED_IP_NAS);
	want(res.interim == 0 || res.interim >= ACCT_INTERIM_MIN);
	want(res.framed_mtu == 0 || res.framed_mtu >= FRAMED_MTU_MIN);
	check_text(res.message, sizeof(res.message));
	check_text(res.filter_id, sizeof(res.filter_id));
	check_text(res.user, sizeof(res.user));
	want(res.nroutes <= ROUTES_MAX);
	for (i = 0; i < res.nroutes; i++) {
		want(res.routes[i].len <= 32);
		want(res.routes[i].len == 32 || (res.routes[i].addr &
		    0xffffffffu >> res.routes[i].len) == 0);
	}
	want(res.class_len <= CLASS_MAX);
	r = rd_init(res.class, res.class_len);
	while (rd_left(&r) > 0)
		rd_bytes(&r, rd_u8(&r));
	want(!r.bad);
	want(res.avpair_len <= AVPAIR_MAX);
	want(res.avpair_len == 0 || res.avpair[res.avpair_len - 1] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct radius_packet p;
	struct prefix route;
	uint8_t *buf = malloc(len > 0 ? len : 1);

	if (buf == NULL)
		abort();
	memcpy(buf, data, len);
	radius_route_parse(buf, len, &route);
	if (radius_decode(buf, len, &p) == RADIUS_OK) {
		radius_verify(&p, request, SECRET);
		check_result(&p);
		sign(buf, &p);
		want(radius_verify(&p, request, SECRET) == RADIUS_OK);
		want(radius_verify(&p, request, "other") != RADIUS_OK);
	}
	free(buf);
	return 0;
}
