# What each unit test links: NAME_OBJS, and NAME_LIBS besides cmocka.
wire_test_OBJS =
timer_test_OBJS = timer.o
loop_test_OBJS = loop.o timer.o
log_test_OBJS = log.o timer.o
digest_test_OBJS = digest.o
digest_test_LIBS = -lnettle
lpm_test_OBJS = lpm.o
config_test_OBJS = config.o
counters_test_OBJS = counters.o
ippool_test_OBJS = ippool.o config.o counters.o timer.o
fuzz_config_OBJS = config.o
fuzz_ippool_OBJS = ippool.o config.o counters.o timer.o
l2tp_avp_test_OBJS = l2tp_avp.o digest.o
tunnel_ctl_test_OBJS = tunnel_ctl.o l2tp_avp.o digest.o timer.o counters.o
ipv4_test_OBJS = ipv4.o
idmap_test_OBJS = idmap.o digest.o
ratelimit_test_OBJS = ratelimit.o digest.o timer.o
seen_test_OBJS = seen.o digest.o timer.o
table_test_OBJS = table.o
FORWARD_OBJS = forward.o forward_lac.o forward_tun.o throttle.o snoop.o \
	cksum.o gso.o gro.o
forward_test_OBJS = $(FORWARD_OBJS) ipv4.o l2tp_avp.o digest.o table.o lpm.o timer.o log.o loop.o counters.o
PPP_OBJS = ppp.o ppp_cp.o ppp_lcp.o ppp_ipcp.o ppp_auth.o ppp_opt.o \
	config.o counters.o timer.o
ppp_opt_test_OBJS = ppp_opt.o
ppp_cp_test_OBJS = unit/ppp_fakes.o $(PPP_OBJS)
ppp_test_OBJS = unit/ppp_fakes.o $(PPP_OBJS)
fuzz_ppp_OBJS = tests/unit/ppp_fakes.o $(PPP_OBJS)
icmp_test_OBJS = icmp.o ipv4.o timer.o log.o counters.o
tun_test_OBJS = tun.o lpm.o timer.o log.o loop.o counters.o
fuzz_forward_OBJS = $(FORWARD_OBJS) icmp.o ipv4.o l2tp_avp.o digest.o table.o lpm.o timer.o log.o loop.o counters.o
secrets_test_OBJS = secrets.o config.o digest.o log.o timer.o
radius_attr_test_OBJS = radius_attr.o digest.o
fuzz_seq_OBJS = $(patsubst %,%.o,$(filter-out l2tpns,$(DAEMON)))
fuzz_l2tp_avp_OBJS = l2tp_avp.o digest.o
radius_test_OBJS = radius.o radius_port.o radius_attr.o accounting.o digest.o timer.o loop.o log.o table.o counters.o
radius_test_LIBS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
accounting_test_OBJS = $(radius_test_OBJS)
accounting_test_LIBS = $(radius_test_LIBS)
fuzz_radius_OBJS = radius_attr.o digest.o
fuzz_secrets_OBJS = secrets.o config.o digest.o log.o timer.o
offload_test_OBJS = cksum.o gso.o gro.o ipv4.o
fuzz_offload_OBJS = $(offload_test_OBJS)
forward_io_test_OBJS = $(forward_test_OBJS)
forward_io_test_LIBS = -Wl,--wrap=sendmmsg,--wrap=writev,--wrap=write
speed_test_OBJS = speed.o counters.o log.o timer.o
reload_test_OBJS = reload.o config.o log.o timer.o
throttle_test_OBJS = throttle.o table.o timer.o counters.o
throttle_test_LIBS = -Wl,--wrap=malloc,--wrap=calloc
privs_test_OBJS = privs.o
process_test_OBJS = process.o privs.o log.o timer.o
notify_test_OBJS = notify.o timer.o
cleanup_test_OBJS = cleanup.o counters.o log.o timer.o
CONTROL_WIRE_OBJS = control_wire.o digest.o
control_wire_test_OBJS = $(CONTROL_WIRE_OBJS)
fuzz_control_OBJS = $(CONTROL_WIRE_OBJS)
state_test_OBJS = $(patsubst %,%.o,$(filter-out l2tpns,$(DAEMON)))
CLI_OBJS = cli_word.o cli_rows.o cli_session.o cli_show.o cli_stat.o cli_do.o
show_test_OBJS = $(CLI_OBJS) table.o ippool.o config.o counters.o timer.o log.o
users_test_OBJS = users.o config.o digest.o
command_test_OBJS = $(patsubst %,%.o,$(filter-out l2tpns,$(DAEMON)))
cli_telnet_test_OBJS = cli_telnet.o
control_test_OBJS = control.o $(CONTROL_WIRE_OBJS) ratelimit.o counters.o log.o loop.o timer.o
plugins_test_OBJS = plugins.o log.o loop.o timer.o
acctfile_test_OBJS = acctfile.o table.o config.o loop.o log.o timer.o
fuzz_state_OBJS = $(state_test_OBJS)
snoop_test_OBJS = snoop.o ipv4.o table.o loop.o log.o timer.o counters.o
