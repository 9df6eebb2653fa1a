/*
 * tunnel_ctl_test.c - reliable delivery, alone and over a bad link
 *
 * First one endpoint and a hand that plays the peer, with every datagram
 * looked at and every time checked; then two endpoints against each other
 * over a link that loses, doubles and delays.  Time is faked throughout.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "l2tp_avp.h"
#include "tunnel_ctl.h"

#define WINDOW	64		/* ours */
#define PEER	77		/* the peer's tunnel id */

/* --- one endpoint -------------------------------------------------------- */

struct sent {
	uint64_t at;		/* ms since the start of the test */
	uint16_t Ns, Nr;
	bool zlb;
	uint32_t number;	/* what test_msg() put into it */
};

static struct ctl ctl;
static struct sent *sent;	/* everything that was put on the wire */
static size_t sent_n, sent_room;
static uint32_t *got;		/* the numbers that were delivered */
static size_t got_n, got_room;
static unsigned int deaths;
static uint64_t start;
static void (*on_deliver)(void);

static uint64_t
elapsed(void)
{
	return timer_now() - start;
}

/* A HELLO with a number in it. */
static size_t
test_msg(uint8_t buf[64], uint32_t number)
{
	struct wr w = wr_init(buf, 64);

	l2tp_msg_begin(&w, PEER, 0, L2TP_HELLO);
	l2tp_avp_u32(&w, false, 1000, number);
	return l2tp_msg_end(&w);
}

static uint32_t
test_number(const uint8_t *buf, size_t len)
{
	struct rd r = rd_init(buf, len);

	assert_int_equal(len, L2TP_CTL_HEADER + 8 + 10);
	(void)rd_bytes(&r, len - 4);
	return rd_u32(&r);
}

static void
note_send(void *owner, const void *buf, size_t len)
{
	struct l2tp_header h;
	struct sent *s;

	assert_ptr_equal(owner, &ctl);
	if (sent_n == sent_room) {
		sent_room = sent_room * 2 + 64;
		sent = realloc(sent, sent_room * sizeof(*sent));
		assert_non_null(sent);
	}
	s = &sent[sent_n++];
	assert_int_equal(l2tp_header_decode(buf, len, &h), L2TP_OK);
	assert_true(h.control);
	assert_int_equal(h.tunnel_id, PEER);
	assert_int_equal(h.session_id, 0);
	s->at = elapsed();
	s->Ns = h.Ns;
	s->Nr = h.Nr;
	s->zlb = rd_left(&h.body) == 0;
	s->number = s->zlb ? 0 : test_number(buf, len);
}

static void
note_deliver(void *owner, const uint8_t *buf, size_t len)
{
	assert_ptr_equal(owner, &ctl);
	if (got_n == got_room) {
		got_room = got_room * 2 + 64;
		got = realloc(got, got_room * sizeof(*got));
		assert_non_null(got);
	}
	got[got_n++] = test_number(buf, len);
	if (on_deliver != NULL)
		on_deliver();
}

static void
note_dead(void *owner)
{
	assert_ptr_equal(owner, &ctl);
	deaths++;
}

static const struct ctl_ops ops = { note_send, note_deliver, note_dead };

static void
begin(uint16_t window)
{
	assert_true(ctl_init(&ctl, &ops, &ctl, window));
	ctl.peer_id = PEER;
	sent_n = got_n = 0;
	deaths = 0;
	on_deliver = NULL;
	start = timer_now();
	counters_clear();
}

static int
fresh(void **state)
{
	(void)state;
	timers_init();
	timer_fake(0);
	begin(WINDOW);
	return 0;
}

static int
done(void **state)
{
	(void)state;
	ctl_free(&ctl);
	free(sent);
	free(got);
	sent = NULL;
	got = NULL;
	sent_room = got_room = 0;
	return 0;
}

static void
send_msg(uint32_t number)
{
	uint8_t buf[64];
	size_t len = test_msg(buf, number);

	assert_true(ctl_send(&ctl, buf, len));
}

/* A message with this Ns comes in; its number is its Ns. */
static void
receive(uint16_t Ns, uint16_t Nr)
{
	uint8_t buf[64];
	size_t len = test_msg(buf, Ns);

	ctl_receive(&ctl, Ns, Nr, false, buf, len);
}

static void
receive_zlb(uint16_t Ns, uint16_t Nr)
{
	uint8_t buf[12];
	size_t len = l2tp_zlb(buf, sizeof(buf), 1, Ns, Nr);

	ctl_receive(&ctl, Ns, Nr, true, buf, len);
}

static void
assert_sent(size_t i, uint64_t at, uint16_t Ns, uint16_t Nr, bool zlb)
{
	assert_true(i < sent_n);
	assert_int_equal(sent[i].at, at);
	assert_int_equal(sent[i].Ns, Ns);
	assert_int_equal(sent[i].Nr, Nr);
	assert_int_equal(sent[i].zlb, zlb);
}

static void
test_send_and_acknowledge(void **state)
{
	(void)state;
	assert_true(ctl_idle(&ctl));
	send_msg(500);
	assert_int_equal(sent_n, 1);
	assert_sent(0, 0, 0, 0, false);
	assert_int_equal(sent[0].number, 500);
	assert_false(ctl_idle(&ctl));
	receive_zlb(0, 1);
	assert_true(ctl_idle(&ctl));
	timer_fake(120000);
	assert_int_equal(sent_n, 1);
	assert_int_equal(deaths, 0);
}

/* 5.8: 1, 2, 4, 8, 8 s between the retries, 8 s more, and the end. */
static void
test_retry_shape(void **state)
{
	static const uint64_t at[] = { 0, 1000, 3000, 7000, 15000, 23000 };
	uint8_t buf[64];
	size_t i, len;

	(void)state;
	send_msg(1);
	timer_fake(30990);
	assert_int_equal(sent_n, 6);
	for (i = 0; i < 6; i++)
		assert_sent(i, at[i], 0, 0, false);
	assert_int_equal(deaths, 0);
	timer_fake(20);
	assert_int_equal(deaths, 1);
	assert_true(ctl.dead);
	assert_int_equal(counters.tunnel_retries, 5);

	/* Quiet from now on, whatever comes. */
	len = test_msg(buf, 2);
	assert_false(ctl_send(&ctl, buf, len));
	receive(0, 0);
	receive(0, 1);
	receive_zlb(0, 1);
	ctl_ack_now(&ctl);
	timer_fake(600000);
	assert_int_equal(sent_n, 6);
	assert_int_equal(got_n, 0);
	assert_int_equal(deaths, 1);
}

/* A half-open tunnel: the owner wants fewer. */
static void
test_retry_limit(void **state)
{
	unsigned int max;

	(void)state;
	for (max = 0; max < 9; max++) {
		ctl_free(&ctl);
		begin(WINDOW);
		ctl.max_retries = (uint8_t)max;
		send_msg(1);
		timer_fake(120000);
		assert_int_equal(sent_n, max + 1);
		assert_int_equal(deaths, 1);
	}
}

/* An acknowledgement starts the count and the wait anew. */
static void
test_retry_reset(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		send_msg(i);
		timer_fake(20000);
		assert_int_equal(sent_n, (i + 1) * 5);
		assert_sent(i * 5 + 1, i * 20000 + 1000, (uint16_t)i, 0,
		    false);
		receive_zlb(0, (uint16_t)(i + 1));
		assert_true(ctl_idle(&ctl));
	}
	assert_int_equal(deaths, 0);
}

/* Nr is that of the moment, also in what is sent again (5.8). */
static void
test_retry_has_fresh_Nr(void **state)
{
	(void)state;
	send_msg(1);
	timer_fake(900);
	receive(0, 0);
	receive(1, 0);
	timer_fake(90);
	assert_sent(1, 950, 1, 2, true);
	receive(2, 0);
	timer_fake(10);
	assert_int_equal(sent_n, 3);
	assert_sent(2, 1000, 0, 3, false);	/* and needs no ZLB */
	timer_fake(500);
	assert_int_equal(sent_n, 3);
}

static void
test_ack_is_delayed(void **state)
{
	(void)state;
	receive(0, 0);
	assert_int_equal(got_n, 1);
	assert_int_equal(sent_n, 0);
	timer_fake(250);
	assert_int_equal(sent_n, 1);
	assert_sent(0, 50, 0, 1, true);
	timer_fake(60000);
	assert_int_equal(sent_n, 1);
}

static void
test_ack_rides(void **state)
{
	(void)state;
	receive(0, 0);
	timer_fake(40);
	send_msg(9);
	assert_int_equal(sent_n, 1);
	assert_sent(0, 40, 0, 1, false);
	timer_fake(900);
	assert_int_equal(sent_n, 1);
}

static void
test_ack_now(void **state)
{
	(void)state;
	ctl_ack_now(&ctl);
	assert_int_equal(sent_n, 0);
	receive(0, 0);
	ctl_ack_now(&ctl);
	ctl_ack_now(&ctl);
	timer_fake(60000);
	assert_int_equal(sent_n, 1);
	assert_sent(0, 0, 0, 1, true);
}

/* A peer with a small window must not wait for our timer. */
static void
test_ack_after_a_few(void **state)
{
	uint16_t i;

	(void)state;
	for (i = 0; i < 40; i++)
		receive(i, 0);
	assert_int_equal(got_n, 40);
	assert_int_equal(sent_n, 10);
	for (i = 0; i < 10; i++)
		assert_sent(i, 0, 0, (uint16_t)(4 * i + 4), true);
	timer_fake(1000);
	assert_int_equal(sent_n, 10);
}

/* 5.8: a duplicate is acknowledged again, at once, and not processed. */
static void
test_duplicate(void **state)
{
	uint16_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		receive(i, 0);
	assert_int_equal(sent_n, 1);
	for (i = 0; i < 4; i++) {
		receive(i, 0);
		assert_int_equal(sent_n, i + 2u);
		assert_sent(i + 1u, 0, 0, 4, true);
	}
	receive((uint16_t)(4 - 32768), 0);	/* the oldest there is */
	assert_int_equal(sent_n, 6);
	assert_int_equal(got_n, 4);
	assert_int_equal(counters.tunnel_duplicates, 5);
	timer_fake(1000);
	assert_int_equal(sent_n, 6);
}

/* The acknowledgement of a duplicate rides too, if something may go. */
static void
test_duplicate_rides(void **state)
{
	(void)state;
	receive(0, 0);
	send_msg(1);
	send_msg(2);			/* waits: the window is one at first */
	assert_int_equal(sent_n, 1);
	receive(0, 1);
	assert_int_equal(sent_n, 2);
	assert_sent(1, 0, 1, 1, false);
	assert_int_equal(got_n, 1);
}

/* Whatever is in it, nothing is ever sent for a ZLB. */
static void
test_zlb_is_never_answered(void **state)
{
	unsigned int i;

	(void)state;
	receive(0, 0);
	ctl_ack_now(&ctl);
	assert_int_equal(sent_n, 1);
	for (i = 0; i < 0x10000; i++) {
		receive_zlb((uint16_t)i, 0);
		receive_zlb((uint16_t)i, (uint16_t)i);
		receive_zlb(1, (uint16_t)i);
	}
	timer_fake(60000);
	assert_int_equal(sent_n, 1);
	assert_int_equal(got_n, 1);
	assert_int_equal(ctl.Nr, 1);
}

/* Ns of a ZLB is that of the next new message, also of one still waiting. */
static void
test_zlb_Ns(void **state)
{
	(void)state;
	send_msg(1);
	send_msg(2);
	send_msg(3);
	receive(0, 0);
	timer_fake(100);
	assert_int_equal(sent_n, 2);
	assert_sent(1, 50, 1, 1, true);
	receive(1, 1);
	assert_int_equal(sent_n, 4);
	receive(2, 3);
	timer_fake(100);
	assert_int_equal(sent_n, 5);
	assert_sent(4, 150, 3, 3, true);
}

/* Without the peer's id a ZLB has nowhere to go. */
static void
test_no_peer_id(void **state)
{
	(void)state;
	ctl.peer_id = 0;
	receive(0, 0);
	receive(0, 0);
	timer_fake(1000);
	assert_int_equal(got_n, 1);
	assert_int_equal(sent_n, 0);
}

/* Five messages in all 120 orders: once each, in order. */
static void
test_every_order(void **state)
{
	unsigned int n, i, k, used, pick;
	uint16_t Ns;

	(void)state;
	for (n = 0; n < 120; n++) {
		ctl_free(&ctl);
		begin(8);
		ctl.Nr = (uint16_t)(0xfffd + (n & 1));
		for (i = 5, k = n, used = 0; i > 0; i--) {
			pick = k % i;
			k /= i;
			for (Ns = 0; used & 1u << Ns || pick-- > 0; Ns++)
				;
			used |= 1u << Ns;
			receive((uint16_t)(0xfffd + (n & 1) + Ns), 0);
		}
		assert_int_equal(used, 31);
		assert_int_equal(got_n, 5);
		for (i = 0; i < 5; i++)
			assert_int_equal(got[i],
			    (uint16_t)(0xfffd + (n & 1) + i));
		timer_fake(100);
		assert_true(sent_n >= 1);
		assert_int_equal(sent[sent_n - 1].Nr,
		    (uint16_t)(0xfffd + (n & 1) + 5));
		for (i = 0; i < 8; i++)
			assert_null(ctl.held[i]);
	}
}

/* What is held is bounded by the window and acknowledged only in order. */
static void
test_held_bound(void **state)
{
	static const uint16_t windows[] = { 0, 1, 2, 4, 63, 64, 100 };
	uint16_t window, i, held;
	size_t w;

	(void)state;
	for (w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		window = windows[w] > 0 ? windows[w] : 1;
		ctl_free(&ctl);
		begin(windows[w]);
		for (i = 1; i < 500; i++)
			receive(i, 0);
		receive(1, 0);
		receive(32767, 0);
		held = (uint16_t)(window - 1);
		assert_int_equal(counters.tunnel_held, held);
		assert_int_equal(counters.tunnel_out_of_window,
		    499 - held + 1 + (held == 0));
		assert_int_equal(got_n, 0);
		/* One ZLB for each early one, at once; none beyond. */
		assert_int_equal(sent_n, held + (held > 0));
		for (i = 0; i < sent_n; i++)
			assert_sent(i, elapsed(), 0, 0, true);
		timer_fake(1000);
		assert_int_equal(sent_n, held + (held > 0));
		receive(0, 0);
		assert_int_equal(got_n, window);
		assert_int_equal(ctl.Nr, window);
		for (i = 0; i < window; i++)
			assert_int_equal(got[i], i);
	}
}

/* An Nr that acknowledges what was not sent changes nothing. */
static void
test_Nr_beyond(void **state)
{
	unsigned int n, i;

	(void)state;
	for (n = 4; n < 0x10000; n += n < 100 ? 1 : 97) {
		receive_zlb(0, (uint16_t)n);
		assert_true(ctl_idle(&ctl));
		assert_int_equal(ctl.una, 0);
	}
	for (i = 0; i < 4; i++)
		send_msg(i);
	assert_int_equal(sent_n, 1);
	for (n = 2; n < 0x10000; n++) {
		receive_zlb(0, (uint16_t)n);
		assert_int_equal(ctl.queued, 4);
		assert_int_equal(ctl.cwnd, 1);
	}
	assert_int_equal(sent_n, 1);
	receive_zlb(0, 1);
	assert_int_equal(ctl.queued, 3);
	assert_int_equal(sent_n, 3);
	receive_zlb(0, 0);			/* an old one, overtaken */
	assert_int_equal(ctl.queued, 3);
	receive(0, 60000);			/* its message still counts */
	assert_int_equal(ctl.queued, 3);
	assert_int_equal(got_n, 1);
}

/* Appendix A: one, then two for each round trip until something is lost. */
static void
test_slow_start(void **state)
{
	uint16_t round, acked = 0, flight = 1, i;

	(void)state;
	ctl.peer_window = 40;
	for (i = 0; i < 1000; i++)
		send_msg(i);
	for (round = 0; round < 8; round++) {
		assert_int_equal(sent_n - acked, flight);
		for (i = 0; i < flight; i++)
			receive_zlb(0, (uint16_t)(acked + i + 1));
		acked = (uint16_t)(acked + flight);
		flight = flight < 20 ? (uint16_t)(flight * 2) : 40;
	}
	assert_int_equal(ctl.cwnd, 40);
}

/* After a loss: from four to half; then linear. */
static void
test_congestion_avoidance(void **state)
{
	uint16_t i;

	(void)state;
	ctl.peer_window = 32;
	for (i = 0; i < 1000; i++)
		send_msg(i);
	for (i = 1; i <= 15; i++)
		receive_zlb(0, i);
	assert_int_equal(ctl.cwnd, 16);
	assert_int_equal(sent_n, 31);
	timer_fake(1000);
	assert_int_equal(ctl.cwnd, 4);
	assert_int_equal(ctl.ssthresh, 8);
	assert_int_equal(sent_n, 35);
	for (i = 0; i < 4; i++)
		assert_sent(31u + i, 1000, (uint16_t)(15 + i), 0, false);

	/* All of it had been held: nothing else is sent again. */
	receive_zlb(0, 31);
	assert_int_equal(counters.tunnel_retries, 4);
	assert_int_equal(sent[35].Ns, 31);
	assert_int_equal(ctl.cwnd, 8 + 1);	/* 4 to ssthresh, 12 more */
	assert_int_equal(sent_n, 35 + 9);
	for (i = 32; i <= 31 + 9; i++)
		receive_zlb(0, i);
	assert_int_equal(ctl.cwnd, 10);		/* one more for nine acks */
}

/* A peer that holds nothing gets the rest again as the window opens. */
static void
test_go_back(void **state)
{
	uint16_t i;

	(void)state;
	ctl.peer_window = 12;
	for (i = 0; i < 18; i++)
		send_msg(100u + i);
	for (i = 1; i <= 6; i++)
		receive_zlb(0, i);
	assert_int_equal(sent_n, 13);		/* 6..12 are on the wire */
	timer_fake(1000);
	assert_int_equal(sent_n, 17);
	for (i = 0; i < 4; i++)
		assert_sent(13u + i, 1000, (uint16_t)(6 + i), 0, false);
	receive_zlb(0, 7);
	assert_int_equal(sent_n, 18);
	assert_sent(17, 1000, 10, 0, false);
	assert_int_equal(sent[17].number, 110);
	receive_zlb(0, 10);			/* four: one more may be out */
	assert_int_equal(sent_n, 22);
	assert_sent(18, 1000, 11, 0, false);
	assert_sent(19, 1000, 12, 0, false);
	assert_sent(20, 1000, 13, 0, false);	/* the first new one */
	assert_int_equal(counters.tunnel_retries, 7);
	for (i = 11; i <= 18; i++)
		receive_zlb(0, i);
	assert_true(ctl_idle(&ctl));
	assert_int_equal(counters.tunnel_retries, 7);
	timer_fake(60000);
	assert_int_equal(sent_n, 25);
}

/* One that holds: after the first jump of Nr only what is missing. */
static void
test_go_back_ends(void **state)
{
	uint16_t i;

	(void)state;
	ctl.peer_window = 32;
	for (i = 0; i < 100; i++)
		send_msg(i);
	for (i = 1; i <= 15; i++)
		receive_zlb(0, i);
	assert_int_equal(sent_n, 31);		/* 15..30, of which */
	timer_fake(1000);			/* 15, 21 and 26 are lost */
	assert_int_equal(sent_n, 35);
	receive_zlb(0, 21);
	assert_sent(35, 1000, 21, 0, false);
	for (i = 36; i < sent_n; i++)
		assert_true(sent[i].Ns >= 31);
	i = (uint16_t)sent_n;
	receive_zlb(0, 26);
	assert_sent(i, 1000, 26, 0, false);
	for (i++; i < sent_n; i++)
		assert_true(sent[i].Ns >= 31);
	receive_zlb(0, 31);
	assert_int_equal(counters.tunnel_retries, 6);
	assert_false(ctl.recovering);
}

/* `n` messages on the wire from 0 on, and more of them waiting. */
static void
fill_pipe(uint16_t n, uint16_t window, unsigned int messages)
{
	unsigned int i;

	ctl.peer_window = window;
	ctl.cwnd = n;
	for (i = 0; i < messages; i++)
		send_msg(i);
	assert_int_equal(sent_n, n);
}

/* Three ZLBs with the same Nr: the oldest goes at once, and once. */
static void
test_resend_on_repeats(void **state)
{
	(void)state;
	fill_pipe(16, 64, 16);
	timer_fake(100);
	receive_zlb(0, 0);
	receive_zlb(0, 0);
	assert_int_equal(sent_n, 16);
	receive_zlb(0, 0);
	assert_int_equal(sent_n, 17);
	assert_sent(16, 100, 0, 0, false);
	assert_int_equal(ctl.cwnd, 8);
	receive_zlb(0, 0);
	receive_zlb(0, 0);
	assert_int_equal(sent_n, 17);
	receive_zlb(0, 16);
	assert_true(ctl_idle(&ctl));
	assert_int_equal(counters.tunnel_retries, 1);
	timer_fake(60000);
	assert_int_equal(sent_n, 17);
}

/* The window does not fall below four, or below the peer's. */
static void
test_loss_window(void **state)
{
	static const uint16_t windows[] = { 1, 2, 3, 4, 5, 64 };
	uint16_t want;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		want = windows[i] < 4 ? windows[i] : 4;
		ctl_free(&ctl);
		begin(WINDOW);
		fill_pipe(want, windows[i], 40);
		timer_fake(1000);
		assert_int_equal(ctl.cwnd, want);
		assert_int_equal(sent_n, 2 * want);
		timer_fake(2000);
		assert_int_equal(ctl.cwnd, want);
		assert_int_equal(sent_n, 3 * want);
	}
}

/* With few out two ZLBs are enough; with one out, or one ZLB, none is. */
static void
test_repeats_of_few(void **state)
{
	uint16_t n;
	unsigned int i;

	(void)state;
	for (n = 1; n <= 6; n++) {
		ctl_free(&ctl);
		begin(WINDOW);
		fill_pipe(n, n, n);
		receive_zlb(0, 0);
		assert_int_equal(sent_n, n);
		receive_zlb(0, 0);
		assert_int_equal(sent_n, n + (n >= 2 && n <= 4));
		receive_zlb(0, 0);
		assert_int_equal(sent_n, n + (n >= 2));
		assert_int_equal(counters.tunnel_retries, n >= 2);
	}

	/* Nothing out at all, and nothing sent because of it. */
	ctl_free(&ctl);
	begin(WINDOW);
	for (i = 0; i < 10; i++)
		receive_zlb(0, 0);
	send_msg(1);
	assert_int_equal(sent_n, 1);
	assert_int_equal(ctl.repeats, 0);
}

/* What is no ZLB, or has another Nr, repeats nothing. */
static void
test_no_repeats(void **state)
{
	uint16_t i;

	(void)state;
	fill_pipe(8, 8, 100);
	for (i = 0; i < 40; i++)
		receive(i, 0);
	for (i = 0; i < 40; i++) {
		receive_zlb(0, 60000);
		receive_zlb(0, 9);
	}
	assert_int_equal(ctl.repeats, 0);
	assert_int_equal(counters.tunnel_retries, 0);
}

/* Each repeat makes room for one new message: it tells of one that left. */
static void
test_repeats_let_new_ones_out(void **state)
{
	uint16_t i;

	(void)state;
	fill_pipe(4, 64, 100);
	for (i = 1; i <= 2; i++) {
		receive_zlb(0, 0);
		assert_sent(3u + i, 0, (uint16_t)(3 + i), 0, false);
	}
	receive_zlb(0, 0);		/* 3, and the oldest again */
	assert_int_equal(sent_n, 8);
	assert_sent(6, 0, 6, 0, false);
	assert_sent(7, 0, 0, 0, false);
	receive_zlb(0, 7);
	assert_int_equal(ctl.repeats, 0);
	assert_false(ctl.recovering);
	assert_int_equal(ctl.cwnd, 5);
	assert_int_equal(sent_n, 8 + 5);
}

/* Five of sixteen lost: five round trips, no timer, nothing else again. */
static void
test_recovery_of_many(void **state)
{
	static const uint16_t lost[] = { 0, 3, 4, 9, 15 };
	unsigned int i, retries = 0;
	size_t k, seen;

	(void)state;
	fill_pipe(16, 32, 200);
	for (i = 0; i < 11; i++)
		receive_zlb(0, 0);
	for (k = 0; k < 5; k++) {
		seen = sent_n;
		timer_fake(20);
		receive_zlb(0, k < 4 ? lost[k + 1] : ctl.high);
		for (; seen < sent_n; seen++) {
			if (sent[seen].Ns >= 16)
				continue;
			assert_true(k < 4);
			assert_int_equal(sent[seen].Ns, lost[k + 1]);
			retries++;
		}
	}
	assert_int_equal(retries, 4);
	assert_int_equal(counters.tunnel_retries, 5);
	assert_false(ctl.recovering);
	assert_true(ctl.cwnd >= 8);
}

/*
 * What was sent again is lost again: as many ZLBs as there are others out may
 * still come, more than that show it.  A few times; then it is the timer's,
 * which has not been put off.
 */
static void
test_resend_is_lost(void **state)
{
	unsigned int i, n;

	(void)state;
	fill_pipe(8, 8, 8);
	timer_fake(500);
	for (i = 0; i < 3; i++)
		receive_zlb(0, 0);
	assert_int_equal(sent_n, 9);
	for (i = 0; i < 7 + 2; i++)
		receive_zlb(0, 0);
	assert_int_equal(sent_n, 9);
	receive_zlb(0, 0);
	assert_int_equal(sent_n, 10);
	assert_sent(9, 500, 0, 0, false);
	for (i = 0; i < 100000; i++)
		receive_zlb(0, 0);
	assert_int_equal(sent_n, 11);
	timer_fake(490);
	assert_int_equal(sent_n, 11);
	timer_fake(10);				/* 1 s after the first time */
	n = (unsigned int)sent_n;
	assert_int_equal(n, 11 + 4);

	/* The timer alone decides when the peer is dead. */
	for (i = 0; i < 30 * 100; i++) {
		assert_int_equal(deaths, 0);
		receive_zlb(0, 0);
		timer_fake(10);
	}
	assert_int_equal(deaths, 1);
	assert_true(sent_n <= n + 4 * 4);
}

/* A gap is shown at once and by a ZLB of its own, its end at once too. */
static void
test_gap_is_acknowledged_at_once(void **state)
{
	(void)state;
	receive(0, 0);
	assert_int_equal(sent_n, 0);
	receive(2, 0);
	assert_int_equal(sent_n, 1);
	assert_sent(0, 0, 0, 1, true);
	timer_fake(10);
	receive(3, 0);
	assert_int_equal(sent_n, 2);
	assert_sent(1, 10, 0, 1, true);
	receive(3, 0);				/* again */
	assert_int_equal(sent_n, 3);
	receive(1, 0);
	assert_int_equal(sent_n, 4);
	assert_sent(3, 10, 0, 4, true);
	receive(4, 0);				/* in order: no hurry */
	assert_int_equal(sent_n, 4);
	timer_fake(1000);
	assert_int_equal(sent_n, 5);
	assert_sent(4, 60, 0, 5, true);

	/* A message that leaves says that the gap is closed, too. */
	send_msg(1);
	receive(6, 0);
	send_msg(2);
	receive(5, 1);
	assert_int_equal(sent_n, 8);
	assert_sent(6, elapsed(), 1, 5, true);
	assert_sent(7, elapsed(), 1, 7, false);
	timer_fake(900);
	assert_int_equal(sent_n, 8);
}

/* RWS 1: never two on the wire.  RWS 65535: never an ambiguous Ns. */
static void
test_peer_windows(void **state)
{
	uint8_t buf[64];
	size_t len = test_msg(buf, 1);
	uint32_t i;

	(void)state;
	ctl.peer_window = 1;
	for (i = 0; i < 100; i++)
		send_msg(i);
	for (i = 0; i < 100; i++) {
		assert_int_equal(sent_n, i + 1);
		receive_zlb(0, (uint16_t)(i + 1));
	}
	assert_true(ctl_idle(&ctl));

	ctl_free(&ctl);
	begin(WINDOW);
	ctl.peer_window = 65535;
	for (i = 0; ctl_send(&ctl, buf, len); i++)
		;
	assert_int_equal(i, 32767);
	for (i = 0; sent_n < 32767; ) {
		assert_true(sent_n > i);
		i = (uint32_t)sent_n;
		receive_zlb(0, (uint16_t)i);
		assert_true(ctl.cwnd <= 32768);
	}
	receive_zlb(0, 32767);
	assert_true(ctl_idle(&ctl));

	ctl.peer_window = 2;		/* becomes known, or smaller, later */
	for (i = 0; i < 10; i++)
		send_msg(i);
	assert_int_equal(sent_n, 32767 + 2);
}

static void
answer_and_close(void)
{
	if (got_n == 1)
		send_msg(1);
	if (got_n == 2)
		ctl_ack_now(&ctl);
	if (got_n == 3) {
		send_msg(2);
		send_msg(3);
		ctl_ack_now(&ctl);
	}
}

/* The owner sends and acknowledges while it is given messages. */
static void
test_calls_from_deliver(void **state)
{
	(void)state;
	on_deliver = answer_and_close;
	receive(2, 0);
	receive(1, 0);
	assert_int_equal(sent_n, 2);
	receive(0, 0);
	assert_int_equal(got_n, 3);
	assert_int_equal(sent_n, 5);
	assert_sent(2, 0, 0, 1, false);
	assert_sent(3, 0, 1, 2, true);
	assert_sent(4, 0, 1, 3, true);
	receive_zlb(3, 1);
	assert_int_equal(sent_n, 7);
	assert_sent(5, 0, 1, 3, false);
	assert_sent(6, 0, 2, 3, false);
}

static void
test_refuses_nonsense(void **state)
{
	uint8_t buf[64];

	(void)state;
	assert_int_equal(test_msg(buf, 1), 30);
	assert_false(ctl_send(&ctl, buf, 11));
	assert_true(ctl_idle(&ctl));
	assert_int_equal(sent_n, 0);
}

/* After a StopCCN nothing is sent again, but all is still acknowledged. */
static void
test_forget(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++)
		send_msg(i);
	receive_zlb(0, 1);
	assert_int_equal(sent_n, 3);
	receive(0, 1);
	ctl_forget(&ctl);
	assert_true(ctl_idle(&ctl));
	timer_fake(120000);
	assert_int_equal(sent_n, 4);
	assert_sent(3, 50, 3, 1, true);
	assert_int_equal(deaths, 0);
	receive(0, 3);
	assert_int_equal(sent_n, 5);
	receive_zlb(1, 2);
	receive_zlb(1, 3);
	send_msg(9);			/* numbered as if nothing had been */
	assert_int_equal(sent_n, 6);
	assert_sent(5, 120000, 3, 1, false);
	receive_zlb(1, 4);
	assert_true(ctl_idle(&ctl));
}

/* 5.5 counts silence from what came last. */
static void
test_last_recv(void **state)
{
	(void)state;
	assert_int_equal(ctl.last_recv, timer_now());
	timer_fake(5000);
	receive_zlb(0, 0);
	assert_int_equal(ctl.last_recv, timer_now());
	timer_fake(5000);
	assert_int_equal(ctl.last_recv, timer_now() - 5000);
}

/* --- two endpoints and a link -------------------------------------------- */

struct packet {
	struct packet *next;
	size_t len;
	uint8_t buf[64];
};

struct end {
	struct ctl ctl;
	struct packet *first, **last;	/* on their way and in time */
	struct end *other;
	uint32_t to_send, sent, got;	/* numbers, in order */
	unsigned int pace;		/* ms between two messages */
	struct timer next;
	bool dead;
};

/*
 * A datagram will arrive: this one, or when it is in time the first of those,
 * because timers that are due together fire in any order.
 */
struct flight {
	struct timer arrive;
	struct end *to;
	struct packet *late;
};

static struct link {
	unsigned int loss, dup, late;	/* in a hundred */
	uint64_t packets, flying;
	uint32_t seed;
} bad;

static unsigned int
dice(unsigned int n)
{
	bad.seed ^= bad.seed << 13;
	bad.seed ^= bad.seed >> 17;
	bad.seed ^= bad.seed << 5;
	return bad.seed % n;
}

static void
flight_arrive(struct timer *t)
{
	struct flight *f = timer_owner(t, struct flight, arrive);
	struct packet *p = f->late;
	struct l2tp_header h;

	if (p == NULL) {
		p = f->to->first;
		f->to->first = p->next;
		if (p->next == NULL)
			f->to->last = &f->to->first;
	}
	bad.flying--;
	assert_int_equal(l2tp_header_decode(p->buf, p->len, &h), L2TP_OK);
	ctl_receive(&f->to->ctl, h.Ns, h.Nr, rd_left(&h.body) == 0, p->buf,
	    p->len);
	free(p);
	free(f);
}

static void
fly(struct end *to, const void *buf, size_t len)
{
	struct flight *f = calloc(1, sizeof(*f));
	struct packet *p = calloc(1, sizeof(*p));

	assert_non_null(f);
	assert_non_null(p);
	assert_true(len <= sizeof(p->buf));
	memcpy(p->buf, buf, len);
	p->len = len;
	f->to = to;
	f->arrive.fire = flight_arrive;
	bad.flying++;
	if (dice(100) < bad.late) {
		f->late = p;
		timer_arm(&f->arrive, 10 + dice(300));
		return;
	}
	*to->last = p;
	to->last = &p->next;
	timer_arm(&f->arrive, 10);
}

static void
link_send(void *owner, const void *buf, size_t len)
{
	struct end *e = owner;

	bad.packets++;
	if (dice(100) >= bad.loss)
		fly(e->other, buf, len);
	if (dice(100) < bad.dup)
		fly(e->other, buf, len);
}

/* Every message exactly once and in order, or it fails here. */
static void
link_deliver(void *owner, const uint8_t *buf, size_t len)
{
	struct end *e = owner;

	assert_int_equal(test_number(buf, len), e->got);
	e->got++;
}

static void
link_dead(void *owner)
{
	struct end *e = owner;

	e->dead = true;
}

static const struct ctl_ops link_ops = { link_send, link_deliver, link_dead };

static void
next_fire(struct timer *t)
{
	struct end *e = timer_owner(t, struct end, next);
	uint8_t buf[64];
	size_t len;

	while (e->sent < e->to_send) {
		len = test_msg(buf, e->sent);
		if (e->ctl.queued > 200 || !ctl_send(&e->ctl, buf, len))
			break;
		e->sent++;
		if (e->pace > 0)
			break;
	}
	if (e->sent < e->to_send && !e->dead)
		timer_arm(t, e->pace > 0 ? e->pace : 10);
}

static void
end_init(struct end *e, struct end *other, uint16_t window,
    uint16_t peer_window, uint32_t messages, unsigned int pace)
{
	memset(e, 0, sizeof(*e));
	assert_true(ctl_init(&e->ctl, &link_ops, e, window));
	e->ctl.peer_id = PEER;
	e->ctl.peer_window = peer_window;
	e->last = &e->first;
	e->other = other;
	e->to_send = messages;
	e->pace = pace;
	e->next.fire = next_fire;
	timer_arm(&e->next, 10);
}

/* Runs until both have all, and then sees that it becomes quiet. */
static void
talk(struct end *a, struct end *b)
{
	uint64_t packets;
	unsigned int s;

	for (s = 0; s < 200000 && (a->got < b->to_send ||
	    b->got < a->to_send || !ctl_idle(&a->ctl) ||
	    !ctl_idle(&b->ctl)); s++) {
		timer_fake(1000);
		assert_false(a->dead);
		assert_false(b->dead);
	}
	assert_int_equal(a->got, b->to_send);
	assert_int_equal(b->got, a->to_send);
	timer_fake(2000);
	packets = bad.packets;
	assert_int_equal(bad.flying, 0);
	timer_fake(600000);
	assert_int_equal(bad.packets, packets);
	ctl_free(&a->ctl);
	ctl_free(&b->ctl);
}

static void
link_is(unsigned int loss, unsigned int dup, unsigned int late)
{
	bad.loss = loss;
	bad.dup = dup;
	bad.late = late;
	bad.packets = 0;
	bad.seed = 2661 + loss * 10007 + dup * 101 + late;
	counters_clear();
}

/* A good link: no retries, and no more ZLBs than messages. */
static void
test_link_perfect(void **state)
{
	struct end a, b;

	(void)state;
	link_is(0, 0, 0);
	end_init(&a, &b, WINDOW, WINDOW, 5000, 0);
	end_init(&b, &a, WINDOW, WINDOW, 0, 0);
	talk(&a, &b);
	assert_int_equal(counters.tunnel_retries, 0);
	assert_int_equal(counters.tunnel_duplicates, 0);
	assert_true(bad.packets <= 5000 + 5000 / 3);

	link_is(0, 0, 0);
	end_init(&a, &b, WINDOW, WINDOW, 5000, 20);
	end_init(&b, &a, WINDOW, WINDOW, 5000, 20);
	talk(&a, &b);
	assert_int_equal(counters.tunnel_retries, 0);
	assert_true(bad.packets <= 10000 + 10);	/* all rides */
}

/*
 * Loss by duplication by reordering, busy and idle sides, with the windows
 * that people set.  At these rates five retries are not always enough, which
 * is not what is tested here: so more are allowed.
 */
static void
test_link_matrix(void **state)
{
	static const unsigned int loss[] = { 0, 10, 30, 50 },
	    dup[] = { 0, 5, 40 }, late[] = { 0, 10, 60 };
	static const uint16_t windows[] = { 1, 4, 64, 1000 };
	unsigned int l, d, r, w;
	struct end a, b;

	(void)state;
	for (l = 0; l < 4; l++)
	for (d = 0; d < 3; d++)
	for (r = 0; r < 3; r++)
	for (w = 0; w < 4; w++) {
		link_is(loss[l], dup[d], late[r]);
		end_init(&a, &b, windows[w], windows[3 - w], 300, 0);
		end_init(&b, &a, windows[3 - w], windows[w], 200,
		    w & 1 ? 30 : 0);
		a.ctl.max_retries = b.ctl.max_retries = 60;
		talk(&a, &b);
		assert_int_equal(counters.tunnel_out_of_window, 0);
	}
}

/*
 * 400 messages at 10 % loss each way, as for two hundred calls: within seconds
 * and not a second for each that is lost.
 */
static void
test_link_speed(void **state)
{
	static const uint16_t windows[] = { 4, 8, 64 };
	static const unsigned int seconds[] = { 30, 15, 15 };
	unsigned int w, s;
	struct end a, b;

	(void)state;
	for (w = 0; w < 3; w++) {
		link_is(10, 5, 10);
		end_init(&a, &b, windows[w], windows[w], 400, 0);
		end_init(&b, &a, windows[w], windows[w], 200, 0);
		for (s = 0; s < seconds[w]; s++)
			timer_fake(1000);
		assert_int_equal(a.got, 200);
		assert_int_equal(b.got, 400);
		assert_true(bad.packets < 3 * 600);
		talk(&a, &b);
	}
}

/* A peer that promised a larger window than it has: slower, still right. */
static void
test_link_liar(void **state)
{
	struct end a, b;

	(void)state;
	link_is(5, 5, 10);
	end_init(&a, &b, 2, 1000, 500, 0);
	end_init(&b, &a, 1, 65535, 500, 0);
	a.ctl.max_retries = b.ctl.max_retries = 20;
	talk(&a, &b);
	assert_true(counters.tunnel_out_of_window > 0);
}

/* 70,000 messages each way, so that Ns wraps, on a bad link. */
static void
test_link_wrap(void **state)
{
	struct end a, b;

	(void)state;
	link_is(2, 5, 10);
	end_init(&a, &b, WINDOW, WINDOW, 70000, 0);
	end_init(&b, &a, WINDOW, WINDOW, 70000, 3);
	talk(&a, &b);
	assert_int_equal(a.ctl.Ns, 70000 - 65536);
	assert_int_equal(a.ctl.Nr, 70000 - 65536);
	assert_int_equal(b.ctl.Ns, 70000 - 65536);
	assert_true(counters.tunnel_held > 100);
	assert_true(counters.tunnel_retries > 100);
	assert_true(counters.tunnel_duplicates > 100);
}

/* A link that is cut: both give up, once, and become quiet. */
static void
test_link_cut(void **state)
{
	struct end a, b;
	uint64_t packets;

	(void)state;
	link_is(100, 0, 0);
	end_init(&a, &b, WINDOW, WINDOW, 50, 0);
	end_init(&b, &a, WINDOW, WINDOW, 50, 0);
	timer_fake(31100);
	assert_true(a.dead);
	assert_true(b.dead);
	packets = bad.packets;
	assert_int_equal(packets, 12);
	timer_fake(600000);
	assert_int_equal(bad.packets, packets);
	ctl_free(&a.ctl);
	ctl_free(&b.ctl);
}

/* --- in a cluster ---------------------------------------------------------- */

#define LENIENT	20000

/* A copy that has heard of messages una...Ns-1, sent up to high. */
static void
follow(uint16_t una, uint16_t high, uint16_t Ns, uint16_t Nr)
{
	struct ctl_carry carry = { .una = una, .high = high, .Nr = Nr };
	uint8_t buf[64];
	size_t len;

	ctl_follow(&ctl, &carry);
	for (uint16_t n = ctl.Ns; n != Ns; n++) {
		len = test_msg(buf, n);
		assert_true(ctl_follow_message(&ctl, n, buf, len));
	}
}

/* Nothing leaves while it sleeps, and all in order once it is awake. */
static void
test_follow(void **state)
{
	uint8_t buf[64];
	size_t len = test_msg(buf, 1);

	(void)state;
	ctl.peer_window = 8;
	follow(65534, 65534, 4, 7);
	assert_int_equal(ctl.queued, 6);
	follow(0, 2, 4, 8);
	assert_int_equal(ctl.queued, 4);
	/* Twice, or one missing: it is not the next one. */
	assert_false(ctl_follow_message(&ctl, 3, buf, len));
	assert_false(ctl_follow_message(&ctl, 5, buf, len));
	assert_false(ctl_follow_message(&ctl, 4, buf, 3));
	timer_fake(100000);
	assert_int_equal(sent_n, 0);
	ctl_wake(&ctl, LENIENT);
	assert_int_equal(sent_n, 1);
	assert_sent(0, 100000, 0, 8, false);
	/* All that was on the wire may be acknowledged at once. */
	receive_zlb(8, 2);
	assert_int_equal(sent[1].Ns, 2);
	receive_zlb(8, 4);
	assert_true(ctl_idle(&ctl));
	receive(8, 4);
	assert_int_equal(got_n, 1);
	timer_fake(100000);
	assert_int_equal(deaths, 0);
}

/* What a copy says of a queue that we do not have: it begins anew. */
static void
test_follow_jump(void **state)
{
	(void)state;
	follow(10, 12, 14, 0);
	follow(100, 100, 101, 0);
	assert_int_equal(ctl.queued, 1);
	follow(50, 50, 50, 0);
	assert_int_equal(ctl.queued, 0);
	assert_int_equal(ctl.Ns, 50);
	/* Told of more than it was given. */
	follow(50, 60, 53, 0);
	ctl_wake(&ctl, LENIENT);
	assert_int_equal(ctl.high, 53);
	receive_zlb(0, 53);
	assert_true(ctl_idle(&ctl));
	send_msg(7);
	assert_int_equal(sent[sent_n - 1].Ns, 53);
}

static void
test_rest(void **state)
{
	(void)state;
	ctl.peer_window = 8;
	for (uint32_t i = 0; i < 5; i++)
		send_msg(i);
	receive_zlb(0, 1);
	receive(0, 1);
	receive(3, 1);			/* early: not acknowledged */
	ctl_rest(&ctl);
	sent_n = 0;
	timer_fake(100000);
	assert_int_equal(sent_n, 0);
	assert_int_equal(ctl.queued, 4);
	ctl_wake(&ctl, LENIENT);
	assert_sent(0, 100000, 1, 1, false);
	receive_zlb(1, 3);
	receive_zlb(1, 5);
	assert_true(ctl_idle(&ctl));
	assert_int_equal(deaths, 0);
}

/* Acknowledged further than the copy knew to have been sent. */
static void
test_lenient_Nr(void **state)
{
	(void)state;
	ctl.peer_window = 8;
	follow(10, 11, 14, 0);
	ctl_wake(&ctl, LENIENT);
	receive_zlb(0, 13);		/* of the queue that both had */
	assert_int_equal(ctl.queued, 1);
	assert_int_equal(ctl.una, 13);
	assert_int_equal(counters.tunnel_resynced, 1);
	receive_zlb(0, 14);
	assert_true(ctl_idle(&ctl));

	/* Of messages that the copy never saw; ours were taken for those. */
	send_msg(500);
	send_msg(501);
	assert_int_equal(sent[sent_n - 1].Ns, 15);
	receive_zlb(0, 17);
	assert_int_equal(counters.tunnel_resynced, 2);
	assert_int_equal(ctl.queued, 2);
	assert_int_equal(sent[sent_n - 2].Ns, 17);
	assert_int_equal(sent[sent_n - 2].number, 500);
	assert_int_equal(sent[sent_n - 1].Ns, 18);
	assert_int_equal(sent[sent_n - 1].number, 501);
	receive_zlb(0, 19);
	assert_true(ctl_idle(&ctl));
	timer_fake(60000);
	assert_int_equal(deaths, 0);
}

/* Old ones, or far off: no more believed than ever. */
static void
test_lenient_Nr_bounds(void **state)
{
	(void)state;
	follow(1000, 1001, 1002, 0);
	ctl_wake(&ctl, LENIENT);
	receive_zlb(0, 999);
	receive_zlb(0, 1);
	receive_zlb(0, 1002 + 300);
	receive_zlb(0, 40000);
	assert_int_equal(counters.tunnel_resynced, 0);
	assert_int_equal(ctl.queued, 2);
	receive_zlb(0, 1002);
	assert_true(ctl_idle(&ctl));
}

/* And not at all when the time is over, or without a take-over. */
static void
test_strict_again(void **state)
{
	uint8_t buf[64];
	size_t len = test_msg(buf, 0);

	(void)state;
	follow(10, 10, 10, 5);
	ctl_wake(&ctl, LENIENT);
	timer_fake(LENIENT);
	receive_zlb(0, 12);
	assert_int_equal(ctl.Ns, 10);
	ctl_receive(&ctl, 7, 10, false, buf, len);
	timer_fake(1000);
	ctl_receive(&ctl, 7, 10, false, buf, len);
	timer_fake(1000);
	ctl_receive(&ctl, 7, 10, false, buf, len);
	assert_int_equal(got_n, 0);
	assert_int_equal(ctl.Nr, 5);
	assert_int_equal(counters.tunnel_resynced, 0);
}

/*
 * The peer repeats what comes after messages that it will not send again, as
 * they were acknowledged; but not when they were only late.
 */
static void
test_lenient_Ns(void **state)
{
	(void)state;
	follow(0, 0, 0, 5);
	ctl_wake(&ctl, LENIENT);
	receive(7, 0);
	receive(8, 0);
	receive(7, 0);			/* the network's doing */
	assert_int_equal(got_n, 0);
	timer_fake(1000);
	receive(7, 0);
	assert_int_equal(got_n, 2);
	assert_int_equal(got[0], 7);
	assert_int_equal(got[1], 8);
	assert_int_equal(sent[sent_n - 1].Nr, 9);
	assert_int_equal(counters.tunnel_resynced, 1);

	receive(11, 0);
	timer_fake(400);
	receive(9, 0);
	receive(10, 0);
	assert_int_equal(got_n, 5);
	assert_int_equal(ctl.Nr, 12);
	/* Another gap has a time of its own. */
	timer_fake(400);
	receive(13, 0);
	receive(13, 0);
	assert_int_equal(ctl.Nr, 12);
	receive(12, 0);
	assert_int_equal(got_n, 7);
	assert_int_equal(counters.tunnel_resynced, 1);
	/* Acknowledged before, by whomever: acknowledged again. */
	sent_n = 0;
	receive(3, 0);
	assert_sent(0, elapsed(), 0, 14, true);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, fresh, done)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_send_and_acknowledge),
		TEST(test_retry_shape),
		TEST(test_retry_limit),
		TEST(test_retry_reset),
		TEST(test_retry_has_fresh_Nr),
		TEST(test_ack_is_delayed),
		TEST(test_ack_rides),
		TEST(test_ack_now),
		TEST(test_ack_after_a_few),
		TEST(test_duplicate),
		TEST(test_duplicate_rides),
		TEST(test_zlb_is_never_answered),
		TEST(test_zlb_Ns),
		TEST(test_no_peer_id),
		TEST(test_every_order),
		TEST(test_held_bound),
		TEST(test_Nr_beyond),
		TEST(test_slow_start),
		TEST(test_congestion_avoidance),
		TEST(test_go_back),
		TEST(test_go_back_ends),
		TEST(test_resend_on_repeats),
		TEST(test_loss_window),
		TEST(test_repeats_of_few),
		TEST(test_no_repeats),
		TEST(test_repeats_let_new_ones_out),
		TEST(test_recovery_of_many),
		TEST(test_resend_is_lost),
		TEST(test_gap_is_acknowledged_at_once),
		TEST(test_peer_windows),
		TEST(test_calls_from_deliver),
		TEST(test_refuses_nonsense),
		TEST(test_forget),
		TEST(test_last_recv),
		TEST(test_follow),
		TEST(test_follow_jump),
		TEST(test_rest),
		TEST(test_lenient_Nr),
		TEST(test_lenient_Nr_bounds),
		TEST(test_strict_again),
		TEST(test_lenient_Ns),
		TEST(test_link_perfect),
		TEST(test_link_matrix),
		TEST(test_link_speed),
		TEST(test_link_liar),
		TEST(test_link_wrap),
		TEST(test_link_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
