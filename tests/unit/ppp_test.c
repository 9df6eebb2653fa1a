/*
 * ppp_test.c - conversations with a subscriber, on a clock that stands still
 *
 * The peer's side is written out as bytes.  give() hands a frame to ppp.c,
 * expect() takes the next one it sent.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ppp_fakes.h"
#include "ppp_proto.h"
#include "wire.h"

static struct session *const s = &fake.session;
static struct ppp *const p = &fake.local.ppp;

static const uint8_t peer_magic[4] = { 0xca, 0xfe, 0xba, 0xbe };

static int
setup(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

/* --- the peer -------------------------------------------------------- */

static void
give_raw(uint16_t protocol, const void *info, size_t len)
{
	/* Exactly so long: a byte past the end is found by ASan. */
	uint8_t *copy = test_malloc(len > 0 ? len : 1);

	memcpy(copy, info, len);
	ppp_input(s, protocol, copy, len);
	test_free(copy);
}

static void
give(uint16_t protocol, uint8_t code, uint8_t id, const void *data, size_t len)
{
	uint8_t buf[70000];
	struct wr w = wr_init(buf, sizeof(buf));

	wr_u8(&w, code);
	wr_u8(&w, id);
	wr_u16(&w, (uint16_t)(PPP_HEADER + len));
	wr_bytes(&w, data, len);
	give_raw(protocol, buf, wr_done(&w));
}

/* With a string that holds no NUL. */
#define GIVE(protocol, code, id, text) \
	give(protocol, code, id, text, sizeof(text) - 1)

/* The next frame must be this. */
static const struct fake_frame *
expect(uint16_t protocol, uint8_t code)
{
	const struct fake_frame *f = fake_take();

	if (f == NULL)
		fail_msg("nothing was sent, awaited %04x code %u", protocol,
		    code);
	else if (f->protocol != protocol || f->data[0] != code)
		fail_msg("sent %04x code %u, awaited %04x code %u",
		    f->protocol, f->data[0], protocol, code);
	return f;
}

static void
expect_data(uint16_t protocol, uint8_t code, const void *data, size_t len)
{
	const struct fake_frame *f = expect(protocol, code);

	assert_int_equal(f->len, PPP_HEADER + len);
	assert_memory_equal(f->data + PPP_HEADER, data, len);
}

#define EXPECT(protocol, code, text) \
	expect_data(protocol, code, text, sizeof(text) - 1)

static void
expect_none(void)
{
	const struct fake_frame *f = fake_take();

	if (f != NULL)
		fail_msg("sent %04x code %u, awaited nothing", f->protocol,
		    f->data[0]);
}

/* Acknowledges our Configure-Request of that protocol, which must be next. */
static void
ack(uint16_t protocol)
{
	const struct fake_frame *f = expect(protocol, CONFIGURE_REQUEST);

	give(protocol, CONFIGURE_ACK, f->data[1], f->data + PPP_HEADER,
	    f->len - PPP_HEADER);
}

/* The peer's own LCP request: a magic number and what else is given. */
static void
lcp_request(uint8_t id, const void *more, size_t len)
{
	uint8_t buf[256] = { LCP_MAGIC, 6 };

	memcpy(buf + 2, peer_magic, 4);
	memcpy(buf + 6, more, len);
	give(PPP_LCP, CONFIGURE_REQUEST, id, buf, 6 + len);
}

static void
lcp_up_with(const void *more, size_t len)
{
	ppp_start(s);
	ack(PPP_LCP);
	lcp_request(1, more, len);
	expect(PPP_LCP, CONFIGURE_ACK);
	assert_int_equal(p->lcp.state, CP_OPENED);
	assert_int_equal(p->phase, PPP_AUTHENTICATE);
}

static void
lcp_up(void)
{
	lcp_up_with("", 0);
}

/* Answers the Challenge that must be next; the verdict is still to come. */
static uint8_t
chap_answer(const char *name)
{
	uint8_t buf[300] = { CHAP_MD5_LEN }, id;
	const struct fake_frame *f = expect(PPP_CHAP, CHAP_CHALLENGE);

	id = f->data[1];
	memset(buf + 1, 0xa5, CHAP_MD5_LEN);
	memcpy(buf + 17, name, strlen(name));
	give(PPP_CHAP, CHAP_RESPONSE, id, buf, 17 + strlen(name));
	return id;
}

/* What session.c does on a good answer, as far as PPP can see it. */
static void
accept_user(void)
{
	s->authenticated = true;
	ppp_auth_result(s, true, NULL);
}

static void
network_up(void)
{
	lcp_up();
	chap_answer("bob");
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	assert_int_equal(p->phase, PPP_NETWORK);
}

static void
ipcp_up(void)
{
	ack(PPP_IPCP);
	GIVE(PPP_IPCP, CONFIGURE_REQUEST, 1, "\x03\x06\x0a\x01\x02\x03");
	expect(PPP_IPCP, CONFIGURE_ACK);
	assert_true(s->flags & SF_OPEN);
}

static void
online(void)
{
	network_up();
	ipcp_up();
	expect_none();
}

/* LCP Terminate-Request is next; the peer agrees, and the session is over. */
static void
expect_end(enum terminate_cause cause)
{
	const struct fake_frame *f = expect(PPP_LCP, TERMINATE_REQUEST);

	assert_int_equal(fake.finishes, 0);
	assert_int_equal(p->phase, PPP_TERMINATE);
	give(PPP_LCP, TERMINATE_ACK, f->data[1], "", 0);
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, cause);
	assert_non_null(fake.reason);
	assert_int_equal(p->phase, PPP_DEAD);
	expect_none();
	timer_fake(600000);
	expect_none();
	assert_int_equal(fake.finishes, 1);
}

/* --- bring-up -------------------------------------------------------- */

static void
test_chap_bring_up(void **state)
{
	const struct fake_frame *f;
	uint8_t challenge[16], id;

	(void)state;
	ppp_start(s);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	/* MRU 1500 - 38, CHAP with MD5, a magic number that is not 0. */
	assert_int_equal(f->len, 4 + 4 + 5 + 6);
	assert_memory_equal(f->data + 4, "\1\4\5\xb6\3\5\xc2\x23\5\5\6", 11);
	assert_memory_not_equal(f->data + 15, "\0\0\0\0", 4);
	give(PPP_LCP, CONFIGURE_ACK, f->data[1], f->data + 4, f->len - 4);
	lcp_request(1, "\1\4\5\xdc\2\6\0\0\0\0\7\2\x08\2", 14);
	f = expect(PPP_LCP, CONFIGURE_ACK);
	assert_int_equal(f->len, 24);	/* the request as it was */
	assert_memory_equal(f->data + 4, "\5\6\xca\xfe\xba\xbe\1\4\5\xdc"
	    "\2\6\0\0\0\0\7\2\x08\2", 20);
	assert_true((s->flags & SF_ACFC) && (s->flags & SF_PFC));
	assert_int_equal(p->peer_magic, 0xcafebabe);

	f = expect(PPP_CHAP, CHAP_CHALLENGE);
	assert_int_equal(f->len, 4 + 1 + 16 + 8);
	assert_int_equal(f->data[4], 16);
	assert_memory_equal(f->data + 21, "lns.test", 8);
	memcpy(challenge, f->data + 5, 16);
	id = f->data[1];
	GIVE(PPP_CHAP, CHAP_RESPONSE, id, "\x10""0123456789abcdefbob@isp");
	assert_int_equal(fake.asked, 1);
	assert_int_equal(fake.request.protocol, PPP_CHAP);
	assert_string_equal(fake.request.user, "bob@isp");
	assert_string_equal(s->user, "bob@isp");
	assert_int_equal(fake.request.chap_id, id);
	assert_int_equal(fake.request.challenge_len, 16);
	assert_memory_equal(fake.request.challenge, challenge, 16);
	assert_memory_equal(fake.request.response, "0123456789abcdef", 16);
	expect_none();
	s->authenticated = true;
	ppp_auth_result(s, true, "Welcome");
	f = expect(PPP_CHAP, CHAP_SUCCESS);
	assert_int_equal(f->data[1], id);
	assert_memory_equal(f->data + 4, "Welcome", 7);

	/* Our address, and then the subscriber's. */
	f = expect(PPP_IPCP, CONFIGURE_REQUEST);
	assert_int_equal(f->len, 10);
	assert_memory_equal(f->data + 4, "\3\6\1\1\1\1", 6);
	give(PPP_IPCP, CONFIGURE_ACK, f->data[1], f->data + 4, 6);
	give(PPP_IPCP, CONFIGURE_REQUEST, 4, "\3\6\0\0\0\0\x81\6\0\0\0\0"
	    "\x83\6\0\0\0\0", 18);
	expect_data(PPP_IPCP, CONFIGURE_NAK, "\3\6\x0a\1\2\3\x81\6\x08\x08"
	    "\x08\x08\x83\6\x08\x08\4\4", 18);
	assert_int_equal(fake.ups, 0);
	give(PPP_IPCP, CONFIGURE_REQUEST, 5, "\3\6\x0a\1\2\3\x81\6\x08\x08"
	    "\x08\x08\x83\6\x08\x08\4\4", 18);
	expect(PPP_IPCP, CONFIGURE_ACK);
	assert_int_equal(fake.ups, 1);
	assert_int_equal(fake.finishes, 0);
	expect_none();
}

static void
test_pap_bring_up(void **state)
{
	const struct fake_frame *f;

	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	ppp_start(s);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 8, "\3\4\xc0\x23", 4);
	give(PPP_LCP, CONFIGURE_ACK, f->data[1], f->data + 4, f->len - 4);
	lcp_request(1, "", 0);
	expect(PPP_LCP, CONFIGURE_ACK);
	expect_none();
	/* A password may hold anything, NULs too. */
	give(PPP_PAP, PAP_REQUEST, 9, "\3bob\5a\0b\0c", 10);
	assert_int_equal(fake.asked, 1);
	assert_int_equal(fake.request.protocol, PPP_PAP);
	assert_string_equal(fake.request.user, "bob");
	assert_int_equal(fake.request.password_len, 5);
	assert_memory_equal(fake.request.password, "a\0b\0c", 5);
	/* Asked again while we ask: once is enough, but the id has changed. */
	give(PPP_PAP, PAP_REQUEST, 10, "\3bob\5a\0b\0c", 10);
	assert_int_equal(fake.asked, 1);
	expect_none();
	accept_user();
	f = expect(PPP_PAP, PAP_ACK);
	assert_int_equal(f->data[1], 10);
	assert_int_equal(f->len, 5);
	assert_int_equal(f->data[4], 0);
	ipcp_up();
	/* Our Ack was lost: the same again, for the new id (RFC 1334 2.2.1). */
	give(PPP_PAP, PAP_REQUEST, 11, "\3bob\5a\0b\0c", 10);
	f = expect(PPP_PAP, PAP_ACK);
	assert_int_equal(f->data[1], 11);
	assert_int_equal(fake.asked, 1);
	assert_int_equal(fake.downs, 0);
	expect_none();
}

static void
let_in(struct session *session)
{
	session->authenticated = true;
	ppp_auth_result(session, true, NULL);
}

/* The verdict may come while auth_start() still runs. */
static void
test_verdict_at_once(void **state)
{
	(void)state;
	fake.on_auth = let_in;
	lcp_up();
	chap_answer("bob");
	expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	assert_int_equal(fake.ups, 1);
}

static void
test_refused(void **state)
{
	const struct fake_frame *f;
	char text[300];
	uint8_t id;

	(void)state;
	memset(text, 'n', sizeof(text));
	text[253] = '\0';
	lcp_up();
	id = chap_answer("bob");
	ppp_auth_result(s, false, text);
	f = expect(PPP_CHAP, CHAP_FAILURE);
	assert_int_equal(f->data[1], id);
	assert_int_equal(f->len, 4 + 253);	/* all that RADIUS said */
	assert_int_equal(ppp_ending(s), CAUSE_USER_ERROR);
	expect_end(CAUSE_USER_ERROR);
	assert_int_equal(fake.ups, 0);
	/* A second verdict finds nobody. */
	ppp_auth_result(s, true, NULL);
	expect_none();
}

static void
test_pap_refused(void **state)
{
	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	GIVE(PPP_PAP, PAP_REQUEST, 9, "\3bob\2pw");
	ppp_auth_result(s, false, NULL);
	EXPECT(PPP_PAP, PAP_NAK, "\x0fLogin incorrect");
	/* From here on it is not even parsed. */
	GIVE(PPP_PAP, PAP_REQUEST, 10, "\3bob\2pw");
	assert_int_equal(fake.asked, 1);
	expect_end(CAUSE_USER_ERROR);
}

/* --- loss and silence ------------------------------------------------ */

static void
test_nobody_there(void **state)
{
	(void)state;
	ppp_start(s);
	timer_fake(29990);
	for (int i = 0; i < 10; i++)
		expect(PPP_LCP, CONFIGURE_REQUEST);
	expect_none();
	assert_int_equal(fake.finishes, 0);
	timer_fake(20);
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_LOST_CARRIER);
	expect_none();
}

/* RFC 1994 4.1: each Challenge has a new id and a new value. */
static void
test_challenge_lost(void **state)
{
	uint8_t seen[10][17];
	const struct fake_frame *f;

	(void)state;
	lns.config.echo_timeout = 3600;
	lns.config.idle_echo_timeout = 3600;
	lcp_up();
	timer_fake(29990);
	for (int i = 0; i < 10; i++) {
		f = expect(PPP_CHAP, CHAP_CHALLENGE);
		seen[i][0] = f->data[1];
		memcpy(seen[i] + 1, f->data + 5, 16);
		for (int j = 0; j < i; j++) {
			assert_int_not_equal(seen[i][0], seen[j][0]);
			assert_memory_not_equal(seen[i] + 1, seen[j] + 1, 16);
		}
	}
	/* A Response to an older one is worth nothing. */
	GIVE(PPP_CHAP, CHAP_RESPONSE, seen[8][0], "\x10""0123456789abcdefbob");
	assert_int_equal(fake.asked, 0);
	expect_none();
	timer_fake(20);
	expect_end(CAUSE_USER_ERROR);
}

static void
test_no_pap_request(void **state)
{
	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	timer_fake(29990);
	while (fake.queued > 0)		/* echoes */
		expect(PPP_LCP, ECHO_REQUEST);
	timer_fake(20);
	expect_end(CAUSE_USER_ERROR);
}

static void
test_success_lost(void **state)
{
	struct fake_frame first;
	const struct fake_frame *f;
	uint8_t id, answer[20] = { CHAP_MD5_LEN };

	(void)state;
	memcpy(answer + 17, "bob", 3);
	lcp_up();
	id = chap_answer("bob");
	give(PPP_CHAP, CHAP_RESPONSE, id, answer, sizeof(answer));
	assert_int_equal(fake.asked, 1);
	accept_user();
	first = *expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	give(PPP_CHAP, CHAP_RESPONSE, id, answer, sizeof(answer));
	f = expect(PPP_CHAP, CHAP_SUCCESS);
	assert_int_equal(f->len, first.len);
	assert_memory_equal(f->data, first.data, f->len);
	give(PPP_CHAP, CHAP_RESPONSE, (uint8_t)(id - 1), answer, 20);
	expect_none();
	assert_int_equal(fake.asked, 1);
	assert_int_equal(fake.downs, 0);
}

/* A message on success is cut to what can be said again in the same words. */
static void
test_long_welcome(void **state)
{
	struct fake_frame first;
	uint8_t id, answer[20] = { CHAP_MD5_LEN };
	char text[254];

	(void)state;
	memset(text, 'w', sizeof(text) - 1);
	text[253] = '\0';
	memcpy(answer + 17, "bob", 3);
	lcp_up();
	id = chap_answer("bob");
	s->authenticated = true;
	ppp_auth_result(s, true, text);
	first = *expect(PPP_CHAP, CHAP_SUCCESS);
	assert_int_equal(first.len, sizeof(p->reply));
	expect(PPP_IPCP, CONFIGURE_REQUEST);
	give(PPP_CHAP, CHAP_RESPONSE, id, answer, sizeof(answer));
	assert_memory_equal(expect(PPP_CHAP, CHAP_SUCCESS)->data, first.data,
	    first.len);
}

static void
test_ipcp_silence(void **state)
{
	int n = 0;

	(void)state;
	network_up();
	timer_fake(29990);
	while (fake.queued > 0)
		n += fake_take()->protocol == PPP_IPCP;
	assert_int_equal(n, 10);
	timer_fake(20);
	while (fake.queued > 1)
		expect(PPP_CHAP, CHAP_SUCCESS);
	expect_end(CAUSE_LOST_CARRIER);
}

/* The Success was lost: again, until the peer goes on. */
static void
test_success_repeated(void **state)
{
	const struct fake_frame *f;
	struct fake_frame first, request = { 0 };
	int n = 0;

	(void)state;
	lcp_up();
	chap_answer("bob");
	accept_user();
	first = *expect(PPP_CHAP, CHAP_SUCCESS);
	assert_int_equal(p->phase, PPP_NETWORK);
	timer_fake(9500);
	while (fake.queued > 0) {
		f = fake_take();
		if (f->protocol == PPP_IPCP) {
			request = *f;
			continue;
		}
		n++;
		assert_int_equal(f->protocol, PPP_CHAP);
		assert_int_equal(f->len, first.len);
		assert_memory_equal(f->data, first.data, first.len);
	}
	assert_int_equal(n, 3);
	give(PPP_IPCP, CONFIGURE_ACK, request.data[1],
	    request.data + PPP_HEADER, request.len - PPP_HEADER);
	timer_fake(8000);
	while (fake.queued > 0)
		assert_int_not_equal(fake_take()->protocol, PPP_CHAP);
	assert_int_equal(fake.finishes, 0);
}

/* Duplicates of every answer of the peer leave the link as it is. */
static void
test_duplicates(void **state)
{
	const struct fake_frame *f;
	struct fake_frame request;

	(void)state;
	ppp_start(s);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	request = *f;
	lcp_request(1, "", 0);
	lcp_request(1, "", 0);
	expect(PPP_LCP, CONFIGURE_ACK);
	expect(PPP_LCP, CONFIGURE_ACK);
	for (int i = 0; i < 3; i++)
		give(PPP_LCP, CONFIGURE_ACK, request.data[1],
		    request.data + 4, request.len - 4);
	assert_int_equal(p->lcp.state, CP_OPENED);
	chap_answer("bob");
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	assert_int_equal(fake.downs, 0);
	expect_none();
}

/* --- which authentication -------------------------------------------- */

static void
give_auth_nak(const char *option, size_t len)
{
	const struct fake_frame *f = expect(PPP_LCP, CONFIGURE_REQUEST);

	give(PPP_LCP, CONFIGURE_NAK, f->data[1], option, len);
}

static void
test_nak_to_pap(void **state)
{
	const struct fake_frame *f;

	(void)state;
	ppp_start(s);
	give_auth_nak("\3\4\xc0\x23", 4);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 8, "\3\4\xc0\x23", 4);
	give(PPP_LCP, CONFIGURE_ACK, f->data[1], f->data + 4, f->len - 4);
	lcp_request(1, "", 0);
	expect(PPP_LCP, CONFIGURE_ACK);
	assert_int_equal(p->auth_protocol, PPP_PAP);
	/* It then stays PAP when the link is negotiated again. */
	lcp_request(2, "", 0);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 8, "\3\4\xc0\x23", 4);
}

/* A suggestion that we do not allow: the next on our own list. */
static void
test_nak_to_eap(void **state)
{
	const struct fake_frame *f;

	(void)state;
	ppp_start(s);
	give_auth_nak("\3\4\xc2\x27", 4);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 8, "\3\4\xc0\x23", 4);
	give(PPP_LCP, CONFIGURE_NAK, f->data[1], "\3\5\xc2\x23\x81", 5);
	expect_end(CAUSE_USER_ERROR);
}

/* PAP is not allowed here, so wishing for it does not help. */
static void
test_no_downgrade(void **state)
{
	(void)state;
	strcpy(lns.config.radius_authtypes, "chap");
	ppp_start(s);
	give_auth_nak("\3\4\xc0\x23", 4);
	expect_end(CAUSE_USER_ERROR);
}

static void
test_auth_rejected(void **state)
{
	const struct fake_frame *f;

	(void)state;
	ppp_start(s);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	give(PPP_LCP, CONFIGURE_REJECT, f->data[1], f->data + 8, 5);
	expect_end(CAUSE_USER_ERROR);
	assert_int_equal(fake.ups, 0);
}

static void
test_nothing_allowed(void **state)
{
	(void)state;
	lns.config.radius_authtypes[0] = '\0';
	ppp_start(s);
	ack(PPP_LCP);
	lcp_request(1, "", 0);
	expect(PPP_LCP, CONFIGURE_ACK);
	expect_end(CAUSE_NAS_ERROR);
}

/* The peer would have us authenticate: no. */
static void
test_peer_wants_auth(void **state)
{
	(void)state;
	ppp_start(s);
	expect(PPP_LCP, CONFIGURE_REQUEST);
	lcp_request(1, "\3\4\xc0\x23", 4);
	EXPECT(PPP_LCP, CONFIGURE_REJECT, "\3\4\xc0\x23");
}

/* What was not agreed on is not parsed, before and after the verdict. */
static void
test_other_auth_protocol(void **state)
{
	uint8_t junk[64];

	(void)state;
	memset(junk, 0x10, sizeof(junk));
	lcp_up();
	GIVE(PPP_PAP, PAP_REQUEST, 1, "\3bob\2pw");
	expect(PPP_CHAP, CHAP_CHALLENGE);
	expect(PPP_LCP, PROTOCOL_REJECT);
	for (size_t n = 0; n < sizeof(junk); n++) {
		give_raw(PPP_EAP, junk, n);
		assert_memory_equal(expect(PPP_LCP, PROTOCOL_REJECT)->data + 4,
		    "\xc2\x27", 2);
	}
	assert_int_equal(fake.asked, 0);
	timer_fake(3000);
	chap_answer("bob");
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	GIVE(PPP_PAP, PAP_REQUEST, 1, "\3bob\2pw");
	expect(PPP_LCP, PROTOCOL_REJECT);
	assert_int_equal(fake.asked, 1);
	assert_int_equal(fake.downs, 0);
}

static void
test_chap_on_pap(void **state)
{
	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	GIVE(PPP_CHAP, CHAP_RESPONSE, 0, "\x10""0123456789abcdefbob");
	assert_memory_equal(expect(PPP_LCP, PROTOCOL_REJECT)->data + 4,
	    "\xc2\x23", 2);
	assert_int_equal(fake.asked, 0);
}

/* --- bad credentials ------------------------------------------------- */

/* An empty name, whatever the password, asks nobody. */
static void
test_pap_empty(void **state)
{
	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	give(PPP_PAP, PAP_REQUEST, 1, "\0\0", 2);
	expect(PPP_PAP, PAP_NAK);
	assert_int_equal(fake.asked, 0);
	assert_int_equal(counters.ppp_auth_failed, 1);
	expect_end(CAUSE_USER_ERROR);
}

static void
test_pap_nul_in_user(void **state)
{
	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	give(PPP_PAP, PAP_REQUEST, 1, "\5bob\0x\2pw", 9);
	expect(PPP_PAP, PAP_NAK);
	assert_int_equal(fake.asked, 0);
	expect_end(CAUSE_USER_ERROR);
}

/* 253 octets are a name, 254 are none; lengths past the end, nothing. */
static void
test_pap_lengths(void **state)
{
	uint8_t data[600];

	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	memset(data, 'u', sizeof(data));
	data[0] = 255;
	for (size_t n = 0; n < 256 + 1; n++)
		give(PPP_PAP, PAP_REQUEST, (uint8_t)n, data, n % 100);
	expect_none();
	assert_int_equal(fake.asked, 0);
	timer_fake(1000);
	data[0] = 253;
	data[254] = 254;
	give(PPP_PAP, PAP_REQUEST, 1, data, 255 + 254);
	assert_int_equal(fake.asked, 1);
	assert_int_equal(strlen(fake.request.user), 253);
	assert_int_equal(fake.request.password_len, 254);
}

static void
test_pap_too_long(void **state)
{
	uint8_t data[600];

	(void)state;
	strcpy(lns.config.radius_authtypes, "pap");
	lcp_up();
	memset(data, 'u', sizeof(data));
	data[0] = 254;
	data[255] = 1;
	give(PPP_PAP, PAP_REQUEST, 1, data, 257);
	expect(PPP_PAP, PAP_NAK);
	assert_int_equal(fake.asked, 0);
	expect_end(CAUSE_USER_ERROR);
}

/* A value of any size but 16 is no Response. */
static void
test_chap_value_size(void **state)
{
	static const uint8_t sizes[] = { 0, 1, 15, 17, 255 };
	uint8_t data[300], id;

	(void)state;
	lcp_up();
	id = expect(PPP_CHAP, CHAP_CHALLENGE)->data[1];
	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < sizeof(sizes); i++) {
		data[0] = sizes[i];
		give(PPP_CHAP, CHAP_RESPONSE, id, data, sizeof(data));
		give(PPP_CHAP, CHAP_RESPONSE, id, data, sizes[i]);
	}
	give(PPP_CHAP, CHAP_RESPONSE, id, "", 0);
	assert_int_equal(fake.asked, 0);
	expect_none();
	assert_int_equal(counters.ppp_rx_malformed, 2 * sizeof(sizes) + 1);
	/* 16 without a name: refused without asking. */
	data[0] = 16;
	give(PPP_CHAP, CHAP_RESPONSE, id, data, 17);
	expect(PPP_CHAP, CHAP_FAILURE);
	assert_int_equal(fake.asked, 0);
	expect_end(CAUSE_USER_ERROR);
}

/* Codes that are the authenticator's own are not for us. */
static void
test_auth_codes(void **state)
{
	(void)state;
	lcp_up();
	expect(PPP_CHAP, CHAP_CHALLENGE);
	for (int code = 0; code < 256; code++)
		if (code != CHAP_RESPONSE && code % 2 == 0)
			GIVE(PPP_CHAP, (uint8_t)code, p->auth_id,
			    "\x10""0123456789abcdefbob");
	expect_none();
	assert_int_equal(fake.asked, 0);
}

/* --- phases ---------------------------------------------------------- */

/* RFC 1661 3.4: until LCP is Opened nothing else counts. */
static void
test_before_lcp(void **state)
{
	static const uint16_t others[] = { PPP_PAP, PPP_CHAP, PPP_IPCP,
	    PPP_CCP, PPP_IPV6CP, PPP_EAP, 0x1235, PPP_IP };

	(void)state;
	ppp_start(s);
	expect(PPP_LCP, CONFIGURE_REQUEST);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		GIVE(others[i], 1, 1, "\3bob\2pw");
	GIVE(PPP_LCP, ECHO_REQUEST, 1, "\1\1\1\1");
	GIVE(PPP_LCP, PROTOCOL_REJECT, 1, "\x80\x21");
	expect_none();
	assert_int_equal(fake.asked, 0);
	assert_int_equal(counters.ppp_rx_unexpected, 9);
}

/* IPCP that comes before the verdict is no loss: the peer asks again. */
static void
test_early_ipcp(void **state)
{
	(void)state;
	lcp_up();
	GIVE(PPP_IPCP, CONFIGURE_REQUEST, 1, "\x03\x06\x0a\x01\x02\x03");
	chap_answer("bob");
	GIVE(PPP_IPCP, CONFIGURE_REQUEST, 1, "\x03\x06\x0a\x01\x02\x03");
	expect_none();
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	assert_int_equal(fake.ups, 1);
}

static void
test_unknown_protocols(void **state)
{
	static const uint16_t others[] = { PPP_CCP, PPP_IPV6CP, PPP_IPV6,
	    0x8053, 0x0000, 0x1234, 0xffff };
	const struct fake_frame *f;

	(void)state;
	online();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		GIVE(others[i], CONFIGURE_REQUEST, 3, "\x11\6\1\2\3\4");
		f = expect(PPP_LCP, PROTOCOL_REJECT);
		assert_int_equal(f->data[4] << 8 | f->data[5], others[i]);
		assert_int_equal(f->len, 6 + 10);
		assert_memory_equal(f->data + 6, "\1\3\0\x0a\x11\6\1\2\3\4",
		    10);
	}
	GIVE(PPP_CCP, TERMINATE_REQUEST, 3, "");
	expect(PPP_LCP, PROTOCOL_REJECT);
	expect_none();
	assert_true(s->flags & SF_OPEN);
	assert_int_equal(fake.downs + fake.finishes, 0);
}

/* Every short frame of every protocol, in every phase. */
static void
test_short_frames(void **state)
{
	static const uint16_t protocols[] = { PPP_LCP, PPP_PAP, PPP_CHAP,
	    PPP_IPCP, PPP_CCP, PPP_IP, 0 };
	uint8_t buf[4] = { 1, 1, 0, 4 };

	(void)state;
	for (int phase = 0; phase < 3; phase++) {
		fake_reset();
		if (phase == 0)
			ppp_start(s);
		else if (phase == 1)
			lcp_up();
		else
			online();
		for (size_t i = 0; i < 7; i++)
			for (size_t n = 0; n < 4; n++)
				give_raw(protocols[i], buf, n);
		assert_int_equal(fake.finishes + fake.downs, 0);
		assert_int_equal(fake.asked, phase == 2);
	}
	/* Nothing was ever started: quiet, too. */
	fake_reset();
	give_raw(PPP_LCP, buf, 4);
	expect_none();
}

/* --- renegotiation --------------------------------------------------- */

static void
test_renegotiation(void **state)
{
	const struct fake_frame *f;
	uint32_t magic;

	(void)state;
	online();
	magic = p->magic;
	lcp_request(50, "", 0);
	assert_int_equal(fake.downs, 1);
	assert_false(s->flags & SF_OPEN);
	assert_int_equal(p->phase, PPP_ESTABLISH);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 8, "\3\5\xc2\x23\5", 5);
	assert_int_not_equal(p->magic, magic);
	give(PPP_LCP, CONFIGURE_ACK, f->data[1], f->data + 4, f->len - 4);
	f = expect(PPP_LCP, CONFIGURE_ACK);
	assert_int_equal(f->data[1], 50);
	/* IPCP waits for the verdict again. */
	GIVE(PPP_IPCP, CONFIGURE_REQUEST, 1, "\x03\x06\x0a\x01\x02\x03");
	chap_answer("bob");
	assert_int_equal(fake.asked, 2);
	expect_none();
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	assert_int_equal(fake.ups, 2);
	assert_int_equal(fake.finishes, 0);
}

/* Who logs in again must be who it was. */
static void
test_other_user(void **state)
{
	(void)state;
	online();
	lcp_request(50, "", 0);
	ack(PPP_LCP);
	expect(PPP_LCP, CONFIGURE_ACK);
	chap_answer("eve");
	assert_int_equal(fake.asked, 1);
	assert_string_equal(s->user, "bob");
	expect(PPP_CHAP, CHAP_FAILURE);
	expect_end(CAUSE_USER_ERROR);
}

/* The verdict on a link that was negotiated again meanwhile. */
static void
test_verdict_too_late(void **state)
{
	(void)state;
	lcp_up();
	chap_answer("bob");
	lcp_request(50, "", 0);
	assert_int_equal(fake.cancelled, 1);
	ppp_auth_result(s, true, NULL);
	ack(PPP_LCP);
	expect(PPP_LCP, CONFIGURE_ACK);
	ppp_auth_result(s, true, NULL);
	expect(PPP_CHAP, CHAP_CHALLENGE);
	expect_none();
	assert_int_equal(p->phase, PPP_AUTHENTICATE);
}

static void
test_ipcp_renegotiation(void **state)
{
	(void)state;
	online();
	GIVE(PPP_IPCP, CONFIGURE_REQUEST, 9, "\x03\x06\x0a\x01\x02\x03");
	assert_int_equal(fake.downs, 1);
	assert_false(s->flags & SF_OPEN);
	ack(PPP_IPCP);
	expect(PPP_IPCP, CONFIGURE_ACK);
	assert_int_equal(fake.ups, 2);
	assert_int_equal(p->phase, PPP_NETWORK);
}

/* A link that opens over and over costs RADIUS a request each time. */
static void
test_flapping(void **state)
{
	int i;

	(void)state;
	lcp_up();
	for (i = 0; i < 50 && p->phase != PPP_TERMINATE; i++) {
		while (fake_take() != NULL)
			;
		lcp_request((uint8_t)i, "", 0);
		if (p->phase != PPP_TERMINATE)
			ack(PPP_LCP);
	}
	assert_int_equal(i, lns.config.ppp_max_configure + 1);
	expect_end(CAUSE_USER_ERROR);
}

static void
test_slow_flapping(void **state)
{
	(void)state;
	lcp_up();
	for (int i = 0; i < 50; i++) {
		chap_answer("bob");
		accept_user();
		expect(PPP_CHAP, CHAP_SUCCESS);
		ipcp_up();
		timer_fake(61000);
		while (fake_take() != NULL)
			;
		lcp_request((uint8_t)i, "", 0);
		ack(PPP_LCP);
		expect(PPP_LCP, CONFIGURE_ACK);
	}
	assert_int_equal(fake.ups, 50);
	assert_int_equal(fake.finishes, 0);
}

/* --- MRU ------------------------------------------------------------- */

static void
test_mru(void **state)
{
	static const struct { uint16_t mru; bool good; } cases[] = {
		{ 0, false }, { 1, false }, { 64, false }, { 127, false },
		{ 128, true }, { 576, true }, { 1462, true }, { 1500, true },
		{ 65535, true } };
	uint8_t option[4] = { LCP_MRU, 4 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_reset();
		ppp_start(s);
		ack(PPP_LCP);
		option[2] = (uint8_t)(cases[i].mru >> 8);
		option[3] = (uint8_t)cases[i].mru;
		lcp_request(1, option, 4);
		if (cases[i].good) {
			expect(PPP_LCP, CONFIGURE_ACK);
			assert_int_equal(ppp_mtu(s), cases[i].mru < 1462 ?
			    cases[i].mru : 1462);
		} else
			EXPECT(PPP_LCP, CONFIGURE_NAK, "\1\4\5\xb6");
	}
	/* Not mentioned: 1500, and again after it was something else. */
	fake_reset();
	lcp_up_with("\1\4\2\0", 4);
	assert_int_equal(ppp_mtu(s), 512);
	lcp_request(2, "", 0);
	assert_int_equal(ppp_mtu(s), 1462);
}

static void
test_our_mru(void **state)
{
	const struct fake_frame *f;

	(void)state;
	lns.config.l2tp_mtu = 1400;
	ppp_start(s);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 4, "\1\4\5\x52", 4);
	/* Less is fine... */
	give(PPP_LCP, CONFIGURE_NAK, f->data[1], "\1\4\4\0", 4);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_memory_equal(f->data + 4, "\1\4\4\0", 4);
	/* ...more is left to the default... */
	give(PPP_LCP, CONFIGURE_NAK, f->data[1], "\1\4\5\xdc", 4);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_int_equal(f->data[4], LCP_AUTH);
	/* ...and a peer without magic numbers gets echoes without. */
	give(PPP_LCP, CONFIGURE_REJECT, f->data[1], f->data + 9, 6);
	f = expect(PPP_LCP, CONFIGURE_REQUEST);
	assert_int_equal(f->len, 9);
	give(PPP_LCP, CONFIGURE_ACK, f->data[1], f->data + 4, 5);
	lcp_request(1, "", 0);
	expect(PPP_LCP, CONFIGURE_ACK);
	expect(PPP_CHAP, CHAP_CHALLENGE);
	GIVE(PPP_LCP, ECHO_REQUEST, 3, "\1\1\1\1abc");
	expect_data(PPP_LCP, ECHO_REPLY, "\0\0\0\0abc", 7);
}

/* Nothing we send is longer than the peer's MRU, nor torn. */
static void
test_small_mru(void **state)
{
	uint8_t big[1500];
	const struct fake_frame *f;

	(void)state;
	lcp_up_with("\1\4\0\x80", 4);	/* 128 */
	chap_answer("bob");
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	ipcp_up();
	memset(big, 3, sizeof(big));

	GIVE(PPP_LCP, 99, 1, "");
	give(PPP_LCP, 99, 1, big, sizeof(big));
	assert_int_equal(expect(PPP_LCP, CODE_REJECT)->len, 8);
	f = expect(PPP_LCP, CODE_REJECT);
	assert_int_equal(f->len, 128);
	assert_int_equal(f->data[4], 99);
	give(PPP_CCP, 1, 1, big, sizeof(big));
	assert_int_equal(expect(PPP_LCP, PROTOCOL_REJECT)->len, 128);
	give(PPP_LCP, ECHO_REQUEST, 7, big, sizeof(big));
	f = expect(PPP_LCP, ECHO_REPLY);
	assert_int_equal(f->len, 128);
	assert_int_equal(f->data[1], 7);

	/* 1500 octets of options that we do not know: as many as fit. */
	for (size_t i = 0; i < sizeof(big); i += 10)
		big[i] = 200, big[i + 1] = 10;
	give(PPP_IPCP, CONFIGURE_REQUEST, 8, big, sizeof(big));
	expect(PPP_IPCP, CONFIGURE_REQUEST);
	f = expect(PPP_IPCP, CONFIGURE_REJECT);
	assert_int_equal(f->len, 124);
	/* One that fits in no answer gets none. */
	big[1] = 200;
	give(PPP_IPCP, CONFIGURE_REQUEST, 9, big, 200);
	expect_none();
	/* Options that want a Nak each, and one to be appended. */
	for (size_t i = 0; i < sizeof(big); i += 2)
		big[i] = IPCP_DNS1, big[i + 1] = 2;
	give(PPP_IPCP, CONFIGURE_REQUEST, 10, big, sizeof(big));
	f = expect(PPP_IPCP, CONFIGURE_REJECT);
	assert_int_equal(f->len, 128);
}

/* MRU 65535 and a huge echo. */
static void
test_huge(void **state)
{
	static uint8_t big[65000];

	(void)state;
	lcp_up_with("\1\4\xff\xff", 4);
	expect(PPP_CHAP, CHAP_CHALLENGE);
	give(PPP_LCP, ECHO_REQUEST, 1, big, sizeof(big));
	assert_int_equal(expect(PPP_LCP, ECHO_REPLY)->len, 1462);
	give(PPP_LCP, 99, 1, big, sizeof(big));
	assert_int_equal(expect(PPP_LCP, CODE_REJECT)->len, 1462);
	give(PPP_IPV6, 0, 1, big, sizeof(big));
	assert_int_equal(expect(PPP_LCP, PROTOCOL_REJECT)->len, 1462);
}

/* --- endless peers --------------------------------------------------- */

static unsigned int
drain(void)
{
	unsigned int n = 0;

	while (fake_take() != NULL)
		n++;
	return n;
}

/* All that we say comes back to us. */
static void
test_loopback(void **state)
{
	struct fake_frame f;
	const struct fake_frame *next;

	(void)state;
	ppp_start(s);
	for (int i = 0; i < 1000 && (next = fake_take()) != NULL; i++) {
		f = *next;
		give_raw(f.protocol, f.data, f.len);
	}
	assert_true(fake.sent <= 30);
	timer_fake(60000);
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_PORT_ERROR);
}

/* The same from a peer that is cleverer about it: only our magic comes back. */
static void
test_own_magic(void **state)
{
	uint8_t option[6] = { LCP_MAGIC, 6 };

	(void)state;
	ppp_start(s);
	expect(PPP_LCP, CONFIGURE_REQUEST);
	for (int i = 0; i < 3; i++) {
		/* By chance: both choose anew, and all is well. */
		memcpy(option + 2, &(uint32_t){ htonl(p->magic) }, 4);
		give(PPP_LCP, CONFIGURE_REQUEST, 1, option, 6);
		assert_memory_not_equal(expect(PPP_LCP, CONFIGURE_NAK)->data +
		    6, option + 2, 4);
	}
	lcp_request(2, "", 0);
	expect(PPP_LCP, CONFIGURE_ACK);
	for (int i = 0; i < lns.config.ppp_max_failure; i++) {
		assert_int_not_equal(p->phase, PPP_TERMINATE);
		give(PPP_LCP, CONFIGURE_REQUEST, 1, option, 6);
	}
	while (fake.queued > 1)
		expect(PPP_LCP, CONFIGURE_NAK);
	expect_end(CAUSE_PORT_ERROR);
}

/* Rejects are not rejected. */
static void
test_reject_loop(void **state)
{
	const struct fake_frame *f;

	(void)state;
	online();
	GIVE(PPP_LCP, 99, 1, "what");
	f = expect(PPP_LCP, CODE_REJECT);
	give_raw(PPP_LCP, f->data, f->len);
	GIVE(PPP_IPCP, 99, 1, "what");
	f = expect(PPP_IPCP, CODE_REJECT);
	give_raw(PPP_IPCP, f->data, f->len);
	GIVE(PPP_CCP, 1, 1, "");
	f = expect(PPP_LCP, PROTOCOL_REJECT);
	give_raw(PPP_LCP, f->data, f->len);
	expect_none();
	assert_true(s->flags & SF_OPEN);
}

static void
test_endless_naks(void **state)
{
	(void)state;
	ppp_start(s);
	for (int i = 0; i < 100 && p->phase != PPP_DEAD; i++)
		GIVE(PPP_LCP, CONFIGURE_NAK, p->lcp.id, "\5\6\1\2\3\4");
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_USER_ERROR);
	assert_true(fake.sent <= 20);
	drain();
	expect_none();
}

/* A peer that never asks for anything we can grant. */
static void
test_endless_requests(void **state)
{
	(void)state;
	ppp_start(s);
	ack(PPP_LCP);
	for (int i = 0; i < 1000 && p->phase != PPP_DEAD; i++) {
		lcp_request((uint8_t)i, "\1\4\0\1", 4);
		timer_fake(100);
	}
	assert_int_equal(fake.finishes, 1);
}

/* --- keepalive ------------------------------------------------------- */

static void
test_echo_request(void **state)
{
	const struct fake_frame *f;
	uint8_t reply[8] = { ECHO_REPLY, 0, 0, 8 };
	unsigned int n = 0;

	(void)state;
	online();
	timer_fake(9990);
	expect_none();
	/* Twenty minutes of a peer that does nothing but answer. */
	for (int i = 0; i < 120000; i++) {
		timer_fake(10);
		if ((f = fake_take()) == NULL)
			continue;
		n++;
		assert_int_equal(timer_now() % 50, 0);	/* in step */
		assert_int_equal(f->protocol, PPP_LCP);
		assert_int_equal(f->data[0], ECHO_REQUEST);
		assert_int_equal(f->len, 8);
		assert_int_equal((uint32_t)f->data[4] << 24 |
		    f->data[5] << 16 | f->data[6] << 8 | f->data[7], p->magic);
		reply[1] = f->data[1];
		memcpy(reply + 4, peer_magic, 4);
		give_raw(PPP_LCP, reply, 8);
	}
	/* One in 10 s, up to an eighth later. */
	assert_in_range(n, 1200 * 8 / 90 - 1, 120);
	assert_int_equal(fake.finishes + fake.downs, 0);
}

static void
test_echo_timeout(void **state)
{
	unsigned int n = 0;

	(void)state;
	online();
	timer_fake(239990);
	while (fake.queued > 0) {
		expect(PPP_LCP, ECHO_REQUEST);
		n++;
	}
	assert_in_range(n, 18, 24);
	assert_int_equal(fake.finishes, 0);
	timer_fake(11300);
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_LOST_CARRIER);
	assert_int_equal(counters.ppp_echo_timeout, 1);
}

/* User packets from the subscriber show life; those to it do not. */
static void
test_echo_traffic(void **state)
{
	(void)state;
	online();
	for (int i = 0; i < 400; i++) {
		s->rx_packets++;
		timer_fake(1000);
	}
	assert_int_equal(fake.finishes, 0);
	assert_int_equal(fake.queued, 0);
	for (int i = 0; i < 300; i++) {
		s->tx_packets++;
		s->last_data = (uint32_t)(timer_now() / 1000);
		timer_fake(1000);
	}
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_LOST_CARRIER);
}

/* An echo that comes back as it went is not answered, nor life. */
static void
test_echo_looped(void **state)
{
	const struct fake_frame *f;
	struct fake_frame echo;

	(void)state;
	online();
	for (int i = 0; i < 3000 && fake.finishes == 0; i++) {
		timer_fake(100);
		if ((f = fake_take()) == NULL || fake.finishes > 0)
			continue;
		echo = *f;
		assert_int_equal(echo.data[0], ECHO_REQUEST);
		give_raw(echo.protocol, echo.data, echo.len);
		expect_none();
	}
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_LOST_CARRIER);
}

/* One answer to a request, and in a second only so many. */
static void
test_echo_flood(void **state)
{
	(void)state;
	online();
	timer_fake(2000);
	fake.sent = 0;
	for (int i = 0; i < 10000; i++)
		GIVE(PPP_LCP, ECHO_REQUEST, (uint8_t)i, "\1\1\1\1");
	assert_int_equal(fake.sent, 200);
	drain();
	timer_fake(1000);
	GIVE(PPP_LCP, ECHO_REQUEST, 1, "\1\1\1\1");
	expect(PPP_LCP, ECHO_REPLY);
	assert_int_equal(fake.finishes, 0);
}

static void
test_quiet_codes(void **state)
{
	(void)state;
	online();
	GIVE(PPP_LCP, DISCARD_REQUEST, 1, "\1\1\1\1");
	GIVE(PPP_LCP, ECHO_REPLY, 1, "\1\1\1\1");
	GIVE(PPP_LCP, IDENTIFICATION, 1, "\1\1\1\1me");
	GIVE(PPP_LCP, TIME_REMAINING, 1, "\1\1\1\1\1\1\1\1");
	GIVE(PPP_LCP, ECHO_REQUEST, 1, "\1\1\1");	/* no magic */
	expect_none();
	/* These three are LCP's alone. */
	GIVE(PPP_IPCP, ECHO_REQUEST, 1, "\1\1\1\1");
	expect(PPP_IPCP, CODE_REJECT);
	assert_int_equal(fake.downs, 0);
}

/* --- the end --------------------------------------------------------- */

static void
test_peer_terminates(void **state)
{
	const struct fake_frame *f;

	(void)state;
	online();
	GIVE(PPP_LCP, TERMINATE_REQUEST, 77, "User request");
	f = expect(PPP_LCP, TERMINATE_ACK);
	assert_int_equal(f->data[1], 77);
	assert_int_equal(f->len, 4);
	assert_int_equal(fake.downs, 1);
	assert_int_equal(p->phase, PPP_TERMINATE);
	assert_int_equal(ppp_ending(s), CAUSE_USER_REQUEST);
	/* The Ack was lost: again. */
	GIVE(PPP_LCP, TERMINATE_REQUEST, 78, "User request");
	expect(PPP_LCP, TERMINATE_ACK);
	assert_int_equal(fake.finishes, 0);
	timer_fake(3000);
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_USER_REQUEST);
	expect_none();
}

static void
test_peer_closes_ipcp(void **state)
{
	(void)state;
	online();
	GIVE(PPP_IPCP, TERMINATE_REQUEST, 77, "");
	expect(PPP_IPCP, TERMINATE_ACK);
	assert_int_equal(fake.downs, 1);
	timer_fake(3000);
	expect_end(CAUSE_USER_REQUEST);
}

/* Nobody answers our Terminate-Request: two, then over. */
static void
test_terminate_unanswered(void **state)
{
	(void)state;
	lcp_up();
	chap_answer("bob");
	ppp_auth_result(s, false, NULL);
	expect(PPP_CHAP, CHAP_FAILURE);
	timer_fake(5990);
	expect(PPP_LCP, TERMINATE_REQUEST);
	expect(PPP_LCP, TERMINATE_REQUEST);
	assert_int_equal(fake.finishes, 0);
	timer_fake(20);
	assert_int_equal(fake.finishes, 1);
	assert_int_equal(fake.cause, CAUSE_USER_ERROR);
	expect_none();
}

static void
test_rejects_received(void **state)
{
	(void)state;
	online();
	GIVE(PPP_LCP, PROTOCOL_REJECT, 1, "\x80\x57\1\1\1\1");
	GIVE(PPP_LCP, PROTOCOL_REJECT, 1, "\x80");
	GIVE(PPP_LCP, CODE_REJECT, 1, "\x09\1\1\1");
	GIVE(PPP_LCP, CODE_REJECT, 1, "");
	expect_none();
	assert_int_equal(fake.downs, 0);
	GIVE(PPP_LCP, PROTOCOL_REJECT, 1, "\x80\x21\1\1");
	assert_int_equal(fake.downs, 1);
	GIVE(PPP_IPCP, TERMINATE_ACK, 1, "");
	expect(PPP_IPCP, TERMINATE_REQUEST);
	expect_end(CAUSE_USER_ERROR);
}

static void
test_lcp_rejected(void **state)
{
	(void)state;
	online();
	GIVE(PPP_LCP, CODE_REJECT, 1, "\1\1\1\1");
	assert_int_equal(fake.downs, 1);
	expect_end(CAUSE_USER_ERROR);
	fake_reset();
	online();
	assert_int_equal(ppp_ending(s), 0);
	GIVE(PPP_LCP, PROTOCOL_REJECT, 1, "\xc0\x21\1\1");
	expect_end(CAUSE_USER_ERROR);
}

static void
test_auth_protocol_rejected(void **state)
{
	(void)state;
	lcp_up();
	expect(PPP_CHAP, CHAP_CHALLENGE);
	GIVE(PPP_LCP, PROTOCOL_REJECT, 1, "\xc2\x23\1\1");
	expect_end(CAUSE_USER_ERROR);
}

static void
test_goodbye(void **state)
{
	(void)state;
	ppp_goodbye(s);		/* nothing was started */
	expect_none();
	online();
	ppp_goodbye(s);
	expect(PPP_LCP, TERMINATE_REQUEST);
	ppp_goodbye(s);
	expect_none();
	GIVE(PPP_LCP, TERMINATE_ACK, 1, "");
	lcp_request(1, "", 0);
	timer_fake(600000);
	expect_none();
	assert_int_equal(fake.finishes, 0);
}

/* A goodbye in the midst of an ending does not say it twice. */
static void
test_goodbye_while_closing(void **state)
{
	(void)state;
	lcp_up();
	chap_answer("bob");
	ppp_auth_result(s, false, NULL);
	expect(PPP_CHAP, CHAP_FAILURE);
	expect(PPP_LCP, TERMINATE_REQUEST);
	ppp_goodbye(s);
	ppp_stop(s);
	timer_fake(600000);
	expect_none();
}

static void
test_no_address(void **state)
{
	(void)state;
	s->ip = 0;
	lcp_up();
	chap_answer("bob");
	accept_user();
	expect(PPP_CHAP, CHAP_SUCCESS);
	expect_end(CAUSE_NAS_ERROR);
}

/* --- IPCP ------------------------------------------------------------ */

static void
test_ipcp_options(void **state)
{
	(void)state;
	s->dns2 = 0;
	network_up();
	expect(PPP_IPCP, CONFIGURE_REQUEST);
	/* What we have nothing for: first of all, and all at once. */
	give(PPP_IPCP, CONFIGURE_REQUEST, 1, "\2\6\0\x2d\x0f\1\3\6\1\2\3\4"
	    "\x81\6\0\0\0\0\x82\6\0\0\0\0\x83\6\0\0\0\0\x84\6\0\0\0\0"
	    "\1\x0a\0\0\0\0\0\0\0\0", 46);
	expect_data(PPP_IPCP, CONFIGURE_REJECT, "\2\6\0\x2d\x0f\1"
	    "\x82\6\0\0\0\0\x83\6\0\0\0\0\x84\6\0\0\0\0"
	    "\1\x0a\0\0\0\0\0\0\0\0", 34);
	/* Then what it should be. */
	give(PPP_IPCP, CONFIGURE_REQUEST, 2, "\3\6\1\2\3\4\x81\6\0\0\0\0", 12);
	EXPECT(PPP_IPCP, CONFIGURE_NAK, "\3\6\x0a\1\2\3\x81\6\x08\x08\x08\x08");
	/* No address asked for: it is told one all the same. */
	give(PPP_IPCP, CONFIGURE_REQUEST, 3, "\x81\6\x08\x08\x08\x08", 6);
	EXPECT(PPP_IPCP, CONFIGURE_NAK, "\3\6\x0a\1\2\3");
	give(PPP_IPCP, CONFIGURE_REQUEST, 4, "", 0);
	EXPECT(PPP_IPCP, CONFIGURE_NAK, "\3\6\x0a\1\2\3");
	/* Of the wrong length. */
	give(PPP_IPCP, CONFIGURE_REQUEST, 5, "\3\4\1\2", 4);
	EXPECT(PPP_IPCP, CONFIGURE_NAK, "\3\6\x0a\1\2\3");
	expect_none();
}

/* A peer that has an address of its own and will not speak of it. */
static void
test_ipcp_stubborn(void **state)
{
	(void)state;
	network_up();
	ack(PPP_IPCP);
	for (int i = 0; i < lns.config.ppp_max_failure; i++) {
		give(PPP_IPCP, CONFIGURE_REQUEST, (uint8_t)i, "", 0);
		expect(PPP_IPCP, CONFIGURE_NAK);
	}
	give(PPP_IPCP, CONFIGURE_REQUEST, 99, "", 0);
	expect(PPP_IPCP, CONFIGURE_ACK);
	assert_int_equal(fake.ups, 1);
}

/* The peer insists on another address for us: let it think so. */
static void
test_ipcp_our_address(void **state)
{
	const struct fake_frame *f;

	(void)state;
	network_up();
	for (int i = 0; i < 2; i++) {
		f = expect(PPP_IPCP, CONFIGURE_REQUEST);
		assert_memory_equal(f->data + 4, "\3\6\1\1\1\1", 6);
		GIVE(PPP_IPCP, CONFIGURE_NAK, f->data[1], "\3\6\x09\1\1\1");
	}
	f = expect(PPP_IPCP, CONFIGURE_REQUEST);
	assert_int_equal(f->len, 4);
	give(PPP_IPCP, CONFIGURE_ACK, f->data[1], "", 0);
	GIVE(PPP_IPCP, CONFIGURE_REQUEST, 1, "\x03\x06\x0a\x01\x02\x03");
	expect(PPP_IPCP, CONFIGURE_ACK);
	assert_int_equal(fake.ups, 1);
}

/* Options of length 0, 1 and too much, in LCP and in IPCP. */
static void
test_torn_options(void **state)
{
	static const uint8_t torn[][3] = { { 3, 0, 0 }, { 3, 1, 0 },
	    { 3, 4, 0 }, { 3, 255, 0 }, { 200, 0, 0 }, { 200, 1, 0 } };

	(void)state;
	network_up();
	expect(PPP_IPCP, CONFIGURE_REQUEST);
	for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++)
		for (uint8_t code = 1; code <= 4; code++) {
			give(PPP_IPCP, code, p->ipcp.id, torn[i], 3);
			give(PPP_IPCP, code, p->ipcp.id, torn[i], 1);
			give(PPP_LCP, code, p->lcp.id, torn[i], 3);
		}
	expect_none();
	assert_int_equal(p->lcp.state, CP_OPENED);
	assert_int_equal(p->ipcp.state, CP_REQSENT);
	assert_int_equal(counters.ppp_rx_malformed, 6 * 4 * 3);
}

/* LCP: what has no row, multilink and callback among it. */
static void
test_lcp_rejects(void **state)
{
	(void)state;
	ppp_start(s);
	expect(PPP_LCP, CONFIGURE_REQUEST);
	lcp_request(1, "\x11\4\5\xdc\x13\3\0\x0d\3\6\4\4\xc0\x25", 14);
	EXPECT(PPP_LCP, CONFIGURE_REJECT,
	    "\x11\4\5\xdc\x13\3\0\x0d\3\6\4\4\xc0\x25");
	/* Known ones, but crippled: Naked with the right length. */
	give(PPP_LCP, CONFIGURE_REQUEST, 2, "\7\3\1\x08\3\1\2\2\5\3\1\1\3\1",
	    14);
	assert_memory_equal(expect(PPP_LCP, CONFIGURE_NAK)->data + 4,
	    "\7\2\x08\2\2\6\0\0\0\0\5\6", 12);
	/* A magic number of 0 is none. */
	give(PPP_LCP, CONFIGURE_REQUEST, 3, "\5\6\0\0\0\0", 6);
	expect(PPP_LCP, CONFIGURE_NAK);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(ppp_phase_name(PPP_NETWORK), "Network");
	assert_string_equal(ppp_phase_name((enum ppp_phase)99), "?");
	assert_string_equal(cp_state_name(CP_ACKRCVD), "Ack-Rcvd");
	assert_string_equal(cp_state_name((enum cp_state)99), "?");
	assert_true(sizeof(struct session_local) <= 700);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_chap_bring_up), T(test_pap_bring_up),
		T(test_verdict_at_once), T(test_refused), T(test_pap_refused),
		T(test_nobody_there), T(test_challenge_lost),
		T(test_no_pap_request), T(test_success_lost),
		T(test_long_welcome), T(test_ipcp_silence), T(test_duplicates),
		T(test_success_repeated),
		T(test_nak_to_pap), T(test_nak_to_eap), T(test_no_downgrade),
		T(test_auth_rejected), T(test_nothing_allowed),
		T(test_peer_wants_auth), T(test_other_auth_protocol),
		T(test_chap_on_pap), T(test_pap_empty),
		T(test_pap_nul_in_user), T(test_pap_lengths),
		T(test_pap_too_long), T(test_chap_value_size),
		T(test_auth_codes), T(test_before_lcp), T(test_early_ipcp),
		T(test_unknown_protocols), T(test_short_frames),
		T(test_renegotiation), T(test_other_user),
		T(test_verdict_too_late), T(test_ipcp_renegotiation),
		T(test_flapping), T(test_slow_flapping), T(test_mru),
		T(test_our_mru), T(test_small_mru), T(test_huge),
		T(test_loopback), T(test_own_magic), T(test_reject_loop),
		T(test_endless_naks),
		T(test_endless_requests), T(test_echo_request),
		T(test_echo_timeout), T(test_echo_traffic),
		T(test_echo_looped), T(test_echo_flood), T(test_quiet_codes),
		T(test_peer_terminates), T(test_peer_closes_ipcp),
		T(test_terminate_unanswered), T(test_rejects_received),
		T(test_lcp_rejected), T(test_auth_protocol_rejected),
		T(test_goodbye), T(test_goodbye_while_closing),
		T(test_no_address), T(test_ipcp_options),
		T(test_ipcp_stubborn), T(test_ipcp_our_address),
		T(test_torn_options), T(test_lcp_rejects), T(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
