/*
 * lacsim_report.c - what lacsim has to say
 *
 * One tree of figures is written twice: as JSON to --json, and in short to
 * standard output.  The set-up rate is BNG Blaster's: sessions established
 * over the time from the first start to the last session up.
 *
 * Owns:     nothing.
 * Calls:    bench.h's JSON writer.
 * Lifetime: none.
 */
#include "lacsim.h"

#include <stdlib.h>
#include <string.h>

static const char *const reasons[R_COUNT] = {
	"none", "ended", "cdn", "stopccn", "tunnel_lost", "tunnel_refused",
	"lcp_timeout", "lcp_terminate", "looped", "auth_timeout",
	"auth_refused", "ipcp_timeout", "no_address", "setup_timeout",
	"echo_lost", "monkey", "dropped", "protocol"
};

static const char *const states[] = { "tunnels", "sessions", "hold", "back",
	"drain", "stop", "close", "done" };

const char *
reason_name(enum reason r)
{
	return reasons[r];
}

static double
seconds_between(uint64_t a, uint64_t b)
{
	return b > a ? (double)(b - a) / 1e9 : 0;
}

static double
setup_rate(void)
{
	double s = seconds_between(L.first_start, L.last_up);

	return s > 0 ? (double)L.c.established / s : 0;
}

/* Of the whole seconds of the set-up, the first and the last left out. */
static void
per_second(uint32_t *min, uint32_t *max)
{
	size_t last = (size_t)seconds_between(L.first_start, L.last_up);
	bool any = false;

	*min = *max = 0;
	if (!L.per_second)
		return;
	for (size_t i = 0; i <= last && i < L.seconds; i++) {
		uint32_t n = L.per_second[i];

		if (n > *max)
			*max = n;
		if (i && i < last && (!any || n < *min)) {
			*min = n;
			any = true;
		}
	}
	if (!any)
		*min = *max;
}

static bool
all_good(void)
{
	if (L.o.cycles)
		return L.c.ended >= L.o.cycles && !L.c.failed && !L.c.lost;
	if (L.up_at_stop != L.o.sessions)
		return false;
	if (L.o.monkey || L.o.reconnect >= 0)
		return true;
	return !L.c.failed && !L.c.lost;
}

static void
json_sessions(struct json *j)
{
	uint32_t min, max;

	per_second(&min, &max);
	json_open(j, "sessions");
	json_u64(j, "requested", L.o.cycles ? L.o.cycles : L.o.sessions);
	json_u64(j, "up", L.stop_began ? L.up_at_stop : L.up);
	json_u64(j, "peak", L.peak);
	json_u64(j, "started", L.begun);
	json_u64(j, "established", L.c.established);
	json_u64(j, "failed", L.c.failed);
	json_u64(j, "lost", L.c.lost);
	json_u64(j, "ended", L.c.ended);
	json_u64(j, "disturbed", L.c.retried);
	json_u64(j, "address_twice", L.c.addr_twice);
	json_open(j, "reasons");
	for (int r = R_ENDED; r < R_COUNT; r++)
		if (L.c.reason[r])
			json_u64(j, reasons[r], L.c.reason[r]);
	json_close(j);
	json_close(j);
	json_open(j, "setup");
	json_num(j, "rate", setup_rate());
	json_num(j, "seconds", seconds_between(L.first_start, L.last_up));
	json_u64(j, "per_second_min", min);
	json_u64(j, "per_second_max", max);
	json_hist(j, "time_ms", &L.setup);
	json_close(j);
}

static void
json_codes(struct json *j, const char *key, const uint64_t *v)
{
	json_open(j, key);
	for (int i = 0; i < 16; i++) {
		char name[8];

		snprintf(name, sizeof(name), i < 15 ? "%d" : "more", i);
		if (v[i])
			json_u64(j, name, v[i]);
	}
	json_close(j);
}

static void
json_tunnels(struct json *j)
{
	json_open(j, "tunnels");
	json_u64(j, "requested", L.o.tunnels);
	json_u64(j, "established", L.c.tunnels_up);
	json_u64(j, "failed", L.c.tunnels_failed);
	json_u64(j, "lost", L.c.tunnels_lost);
	json_u64(j, "closed", L.c.tunnels_closed);
	json_codes(j, "stopccn_results", L.c.stopccn_result);
	json_codes(j, "cdn_results", L.c.cdn_result);
	json_codes(j, "cdn_errors", L.c.cdn_error);
	json_close(j);
}

static void
json_control(struct json *j)
{
	json_open(j, "control");
	json_u64(j, "sent", L.c.ctl_tx);
	json_u64(j, "received", L.c.ctl_rx);
	json_u64(j, "retransmitted", L.c.ctl_retx);
	json_u64(j, "duplicates", L.c.ctl_dup);
	json_u64(j, "out_of_order", L.c.ctl_ooo);
	json_u64(j, "held", L.c.ctl_held);
	json_u64(j, "zlb_sent", L.c.ctl_zlb_tx);
	json_u64(j, "zlb_received", L.c.ctl_zlb_rx);
	json_u64(j, "malformed", L.c.ctl_bad);
	json_u64(j, "hello_sent", L.c.hello_tx);
	json_u64(j, "hello_received", L.c.hello_rx);
	json_u64(j, "sli_received", L.c.sli_rx);
	json_u64(j, "wen_received", L.c.wen_rx);
	json_num(j, "amplification", L.c.ctl_bytes_tx ?
	    (double)L.c.ctl_bytes_rx / (double)L.c.ctl_bytes_tx : 0);
	json_num(j, "messages_per_session", L.c.established ?
	    (double)(L.c.ctl_tx + L.c.ctl_rx) / (double)L.c.established : 0);
	json_close(j);
}

static void
json_data(struct json *j)
{
	json_open(j, "data");
	json_u64(j, "sent", L.c.data_tx);
	json_u64(j, "received", L.c.data_rx);
	json_u64(j, "unknown_session", L.c.data_unknown);
	json_u64(j, "malformed", L.c.data_bad + L.c.ppp_bad);
	json_u64(j, "sequence_lost", L.c.data_seq_lost);
	json_u64(j, "sequence_late", L.c.data_seq_late);
	json_u64(j, "wrong_peer", L.c.wrong_peer);
	json_u64(j, "wrong_destination", L.c.wrong_dst);
	json_u64(j, "protocol_rejects_sent", L.c.ppp_protocol_rejects);
	json_u64(j, "renegotiated_by_peer", L.c.lcp_renegotiated);
	json_u64(j, "rechallenged", L.c.rechallenged);
	json_u64(j, "chap_resent", L.c.chap_resent);
	json_u64(j, "chap_late", L.c.chap_late);
	json_u64(j, "ip_received", L.c.ip_rx);
	json_u64(j, "ip_not_ours", L.c.ip_wrong_dst);
	json_u64(j, "tun_to_lns", L.c.tun_tx);
	json_u64(j, "tun_from_lns", L.c.tun_rx);
	json_u64(j, "tun_dropped", L.c.tun_drop);
	json_u64(j, "tcp_malformed", L.c.tcp_bad);
	json_u64(j, "socket_overflow", L.c.rx_overflow);
	json_u64(j, "send_waits", L.c.tx_again);
	json_u64(j, "send_errors", L.c.tx_error);
	json_u64(j, "link_lost", L.c.link_lost);
	json_u64(j, "link_doubled", L.c.link_doubled);
	json_u64(j, "link_late", L.c.link_late);
	json_close(j);
	json_open(j, "echo");
	json_u64(j, "sent", L.c.echo_tx);
	json_u64(j, "received", L.c.echo_rx);
	json_u64(j, "lost", L.c.echo_lost);
	json_u64(j, "malformed", L.c.echo_bad);
	json_u64(j, "answered", L.c.echo_peer);
	json_hist(j, "rtt_ms", &L.echo);
	json_close(j);
}

static void
json_monkey(struct json *j)
{
	static const char *const name[8] = { "cdn", "lcp_terminate",
	    "half_close", "renegotiate", "cdn_in_setup", "duplicate",
	    "stopccn", "tunnel_vanish" };

	json_open(j, "monkey");
	for (int i = 0; i < 8; i++)
		json_u64(j, name[i], L.c.monkey[i]);
	json_close(j);
}

static void
json_all(FILE *f)
{
	struct json j = { .f = f };

	json_open(&j, NULL);
	json_str(&j, "tool", "lacsim");
	json_str(&j, "state", states[L.run]);
	json_bool(&j, "ok", all_good());
	json_u64(&j, "seed", L.o.seed);
	json_num(&j, "run_seconds", seconds_between(L.run_start, L.now));
	json_sessions(&j);
	json_tunnels(&j);
	json_control(&j);
	json_data(&j);
	blast_report(&j);
	if (L.o.monkey)
		json_monkey(&j);
	if (L.o.pester != PESTER_NONE)
		json_u64(&j, "pestered", L.c.pester);
	if (L.dropped_at)
		json_num(&j, "all_back_seconds",
		    seconds_between(L.dropped_at, L.back_at));
	if (L.stop_began)
		json_num(&j, "stop_seconds",
		    seconds_between(L.stop_began, L.now));
	json_close(&j);
}

void
report_status(FILE *f)
{
	fprintf(f, "[%8.3f] %s: up %u, in set-up %u, failed %llu, lost %llu, "
	    "tunnels %u, echoes lost %llu, retransmitted %llu\n",
	    seconds_between(L.run_start, L.now), states[L.run], L.up,
	    L.starting, (unsigned long long)L.c.failed,
	    (unsigned long long)L.c.lost, L.tunnels_up,
	    (unsigned long long)L.c.echo_lost,
	    (unsigned long long)L.c.ctl_retx);
	fflush(f);
}

void
report_status_file(void)
{
	char tmp[4096];
	struct json j = { 0 };

	if (!L.o.status || !strcmp(L.o.status, "-") ||
	    !(j.f = file_begin(L.o.status, tmp, sizeof(tmp))))
		return;
	json_open(&j, NULL);
	json_str(&j, "state", states[L.run]);
	json_num(&j, "seconds", seconds_between(L.run_start, L.now));
	json_u64(&j, "sessions", L.o.sessions);
	json_u64(&j, "up", L.up);
	json_u64(&j, "starting", L.starting);
	json_u64(&j, "established", L.c.established);
	json_u64(&j, "failed", L.c.failed);
	json_u64(&j, "lost", L.c.lost);
	json_u64(&j, "ended", L.c.ended);
	json_u64(&j, "tunnels_up", L.tunnels_up);
	json_u64(&j, "tunnels_lost", L.c.tunnels_lost);
	json_u64(&j, "echo_sent", L.c.echo_tx);
	json_u64(&j, "echo_lost", L.c.echo_lost);
	json_u64(&j, "probes_sent", L.c.probe_tx);
	json_u64(&j, "probes_received", L.c.probe_rx);
	json_u64(&j, "blast_sent", L.c.blast_tx);
	json_u64(&j, "blast_received", L.c.blast_rx);
	json_close(&j);
	file_commit(j.f, L.o.status, tmp);
}

void
report_addresses(void)
{
	char tmp[4096], user[256], text[16];
	FILE *f;

	if (!L.o.addresses ||
	    !(f = file_begin(L.o.addresses, tmp, sizeof(tmp))))
		return;
	for (uint32_t i = 0; i < L.o.sessions; i++) {
		const struct session *s = &L.session[i];

		if (s->state != S_UP)
			continue;
		fmt_index(user, sizeof(user), L.o.user, i);
		fprintf(f, "%s %s %u\n", ip_text(s->ip, text), user, i);
	}
	file_commit(f, L.o.addresses, tmp);
}

static void
hist_line(const char *what, const struct hist *h)
{
	if (h->count)
		printf("  %-12s p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  "
		    "max %.3f ms\n", what,
		    (double)hist_quantile(h, 0.5) / 1e3,
		    (double)hist_quantile(h, 0.9) / 1e3,
		    (double)hist_quantile(h, 0.99) / 1e3,
		    (double)hist_quantile(h, 0.999) / 1e3,
		    (double)h->max / 1e3);
}

static void
summary_reasons(void)
{
	for (int r = R_CDN; r < R_COUNT; r++)
		if (L.c.reason[r])
			printf("  %-24s %llu\n", reasons[r],
			    (unsigned long long)L.c.reason[r]);
}

static void
summary_traffic(void)
{
	if (L.o.probe_port)
		printf("  probes       sent %llu, received %llu, duplicate "
		    "%llu, reordered %llu, corrupt %llu\n",
		    (unsigned long long)L.c.probe_tx,
		    (unsigned long long)L.c.probe_rx,
		    (unsigned long long)L.c.probe_dup,
		    (unsigned long long)L.c.probe_reorder,
		    (unsigned long long)L.c.probe_corrupt);
	hist_line("probe rtt", &L.probe);
	if (L.o.blast_up)
		printf("  blast up     sent %llu\n",
		    (unsigned long long)L.c.blast_tx);
	if (L.o.blast_down)
		printf("  blast down   received %llu\n",
		    (unsigned long long)L.c.blast_rx);
}

static void
summary(void)
{
	uint32_t min, max;

	per_second(&min, &max);
	printf("%s: requested %llu, up %u, established %llu, failed %llu, "
	    "lost %llu\n", all_good() ? "ok" : "NOT OK",
	    (unsigned long long)(L.o.cycles ? L.o.cycles : L.o.sessions),
	    L.stop_began ? L.up_at_stop : L.up,
	    (unsigned long long)L.c.established,
	    (unsigned long long)L.c.failed, (unsigned long long)L.c.lost);
	summary_reasons();
	printf("  set-up rate  %.1f sessions/s over %.3f s (each second %u to "
	    "%u)\n", setup_rate(), seconds_between(L.first_start, L.last_up),
	    min, max);
	hist_line("set-up time", &L.setup);
	if (L.c.echo_tx)
		printf("  echoes       sent %llu, answered %llu, lost %llu\n",
		    (unsigned long long)L.c.echo_tx,
		    (unsigned long long)L.c.echo_rx,
		    (unsigned long long)L.c.echo_lost);
	hist_line("echo rtt", &L.echo);
	summary_traffic();
	printf("  tunnels      up %llu, failed %llu, lost %llu; control "
	    "sent %llu, retransmitted %llu, duplicates %llu\n",
	    (unsigned long long)L.c.tunnels_up,
	    (unsigned long long)L.c.tunnels_failed,
	    (unsigned long long)L.c.tunnels_lost,
	    (unsigned long long)L.c.ctl_tx,
	    (unsigned long long)L.c.ctl_retx,
	    (unsigned long long)L.c.ctl_dup);
	if (L.dropped_at)
		printf("  all back after %.3f s\n",
		    seconds_between(L.dropped_at, L.back_at));
	fflush(stdout);
}

bool
report_final(void)
{
	char tmp[4096];
	FILE *f;

	L.now = now_ns();
	summary();
	report_status_file();
	if (L.o.json && (f = file_begin(L.o.json, tmp, sizeof(tmp)))) {
		json_all(f);
		if (!file_commit(f, L.o.json, tmp))
			return false;
	}
	return all_good();
}
