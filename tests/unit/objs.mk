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
