# l2tpns - plain GNU make; `make help` lists the targets.

PREFIX	?= /usr
DESTDIR	?=
SBINDIR	= $(PREFIX)/sbin
LIBDIR	= $(PREFIX)/lib/l2tpns
INCDIR	= $(PREFIX)/include/l2tpns
MANDIR	= $(PREFIX)/share/man
DOCDIR	= $(PREFIX)/share/doc/l2tpns
ETCDIR	= /etc/l2tpns

CC	?= cc
SAN	?=
comma	:= ,
# Every set of sanitizers, and every compiler but the default, builds apart.
B	:= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(findstring clang,$(CC)),/clang)

PKGS	= nettle libmnl
WARN	= -Wall -Wextra -Wformat=2 -Wshadow -Wvla -Wimplicit-fallthrough \
	  -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	  -Wconversion -Wno-sign-conversion
HARDEN	= -fstack-protector-strong -fstack-clash-protection \
	  -fcf-protection=full -ftrivial-auto-var-init=zero \
	  -fno-delete-null-pointer-checks -fno-strict-overflow \
	  -fno-strict-aliasing
OPT	?= -O2 -g
CFLAGS	?=
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null || \
	    echo -lnettle -lmnl)
ALL_CFLAGS = -std=gnu11 $(OPT) $(WARN) $(HARDEN) -fPIE -I. -pthread \
	     -DETCDIR='"$(ETCDIR)"' -DLIBDIR='"$(LIBDIR)"' $(PKG_CFLAGS) \
	     $(SANFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SANFLAGS) $(LDFLAGS)
LIBS	= $(PKG_LIBS) -lcli -lcrypt
ifneq ($(SAN),)
SANFLAGS = -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
HARDEN	+= -D_FORTIFY_SOURCE=$(if $(findstring clang,$(CC)),2,3)
endif
# clang 14 wants to hear that zero-initialised locals are meant.
ifneq ($(findstring clang,$(CC)),)
HARDEN	:= $(filter-out -ftrivial-auto-var-init=zero,$(HARDEN))
endif

# The daemon, floor by floor (Docs/DESIGN.md).
BRICKS	= timer loop log digest lpm files
FACTS	= config table ippool counters idmap ratelimit seen replica_mark
CODECS	= l2tp_avp ppp_opt radius_attr ipv4 cksum gso gro control_wire state_wire \
	  bgp_wire cluster_wire
MACHINES = tunnel tunnel_ctl session ppp ppp_cp ppp_lcp ppp_ipcp ppp_auth \
	  auth radius radius_port accounting secrets forward forward_lac forward_tun \
	  forward_hook throttle snoop tun icmp
CLUSTER = cluster cluster_talk cluster_link cluster_member cluster_stream \
	  cluster_garden cluster_forward \
	  replica
SERVICES = $(CLUSTER) reload stop speed cleanup process privs notify control \
	  plugins plugin_host plugin_events plugin_run plugin_count \
	  users command cli_telnet cli_filter cli cli_term cli_word cli_rows \
	  cli_session cli_show cli_stat cli_cluster cli_do state acctfile \
	  confwrite resolve bgp_sock bgp_rib bgp_peer bgp
DAEMON	= $(BRICKS) $(FACTS) $(CODECS) $(MACHINES) $(SERVICES) l2tpns
OBJS	= $(DAEMON:%=$(B)/%.o)
NSCTL_OBJS = $(B)/nsctl.o $(B)/control_wire.o $(B)/digest.o
# Plugins that come with it: one source file each, which includes plugin.h.
MODULES	= autosnoop autothrottle garden sessionctl setrxspeed snoopctl \
	  stripdomain throttlectl

UNIT_TESTS = $(patsubst tests/unit/%_test.c,%,$(wildcard tests/unit/*_test.c))
FUZZERS	= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES	= $(B)/bench/lacsim $(B)/bench/radresp

.PHONY: all help install clean check check-unit check-replay check-fuzz \
	check-system check-long check-cluster fuzz bench bench-tools demo docs deps FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/l2tpns $(B)/nsctl $(MODULES:%=$(B)/%.so)

help:
	@echo 'make              build the daemon into $(B)/'
	@echo 'make install      DESTDIR= PREFIX=   binaries, configuration, manual'
	@echo 'make demo         three subscribers online, on this machine (root)'
	@echo 'make check        all tests but the long ones (root)'
	@echo 'make check-unit   unit tests only'
	@echo 'make check-replay scripted conversations only'
	@echo 'make check-fuzz   replay the fuzz corpora'
	@echo 'make check-system tests against real peers (root); T= selects'
	@echo 'make check-long   soak, scale and full fuzzing (root)'
	@echo 'make check-cluster a cluster under load loses its members (root); T= options'
	@echo 'make fuzz TIME=60 fuzz each target for TIME seconds (clang)'
	@echo 'make bench        measure beside Debian l2tpns 2.4.1 (root)'
	@echo 'make docs         write the tables in Docs/ from the source'
	@echo 'make deps         install from Debian what building and testing need'
	@echo 'make clean'
	@echo 'SAN=address,undefined works with every target; CC=clang too.'

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/l2tpns: $(OBJS)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/nsctl: $(NSCTL_OBJS)
	$(CC) $(ALL_LDFLAGS) -Wl,--as-needed -o $@ $^ $(LIBS)

# Nothing is seen of a plugin but what plugin.h declares.
PLUGIN_CFLAGS = $(filter-out -fPIE,$(ALL_CFLAGS)) -fPIC -shared \
	  -fvisibility=hidden -Wl,-z,relro,-z,now,-z,noexecstack
$(B)/%.so: %.c plugin.h Makefile
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CFLAGS) -o $@ $<

# --- tests --------------------------------------------------------------

# One line per test: NAME_test_OBJS = the daemon's objects that it links.
-include tests/unit/objs.mk

$(B)/unit/%.o: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -c -o $@ $<

.SECONDEXPANSION:
$(B)/unit/%_test: $(B)/unit/%_test.o $$(addprefix $(B)/,$$(%_test_OBJS)) \
    tests/unit/objs.mk
	$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS) -lcmocka \
	    $($*_test_LIBS)

# Plugins that the tests load, good ones and others.
TEST_PLUGINS = $(patsubst tests/plugins/%,$(B)/plugins/%.so,$(basename \
    $(wildcard tests/plugins/*.c tests/plugins/*.cc)))
$(B)/plugins/%.so: tests/plugins/%.c plugin.h Makefile
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CFLAGS) $(STRICT) -o $@ $<
# The header alone, as the strictest of its users sees it.
$(B)/plugins/nothing.so: STRICT = -std=c99 -pedantic-errors
$(B)/plugins/record2.so: tests/plugins/record.c
CXX	:= $(if $(findstring clang,$(CC)),clang++,g++)
$(B)/plugins/%.so: tests/plugins/%.cc plugin.h Makefile
	@mkdir -p $(@D)
	$(CXX) $(filter-out -std=gnu11 -Wstrict-prototypes \
	    -Wmissing-prototypes,$(PLUGIN_CFLAGS)) -std=c++11 \
	    -pedantic-errors -o $@ $<
$(B)/unit/plugins_test.o $(B)/unit/plugin_host_test.o: \
    ALL_CFLAGS += -DTEST_PLUGINS='"$(B)/plugins"'
$(B)/unit/plugins_test $(B)/unit/plugin_host_test: $(TEST_PLUGINS)
$(B)/unit/modules_test.o: ALL_CFLAGS += -DMODULES='"$(B)"'
$(B)/unit/modules_test: $(MODULES:%=$(B)/%.so)

check-unit: $(UNIT_TESTS:%=$(B)/unit/%_test)
	@tests/run-unit.sh $^

REPLAY_OBJS = $(filter-out $(B)/l2tpns.o,$(OBJS))
$(B)/replay/%.o: tests/replay/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/replay/replay: $(patsubst tests/replay/%.c,$(B)/replay/%.o,$(wildcard \
    tests/replay/*.c)) $(REPLAY_OBJS)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

check-replay: $(B)/replay/replay
	@tests/run-replay.sh $< tests/replay/*.replay

# Fuzz targets: clang's libFuzzer with ASan and UBSan, objects of their own.
FB	= build/fuzz
FUZZ_SAN = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_CFLAGS = -std=gnu11 -O1 -g $(WARN) -I. -Itests/fuzz -Itests/unit $(PKG_CFLAGS) \
	  -DETCDIR='"$(ETCDIR)"' -DLIBDIR='"$(LIBDIR)"' $(FUZZ_SAN)
$(FB)/%.o: %.c Makefile
	@mkdir -p $(@D)
	clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(FB)/fuzz_%: $(FB)/tests/fuzz/fuzz_%.o $$(addprefix $(FB)/,$$(fuzz_%_OBJS)) \
    tests/unit/objs.mk
	clang $(FUZZ_SAN) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(LIBS)

check-fuzz: $(FUZZERS:%=$(FB)/fuzz_%)
	@tests/run-fuzz.sh 0 $^

TIME	?= 60
fuzz: $(FUZZERS:%=$(FB)/fuzz_%)
	@tests/run-fuzz.sh $(TIME) $^

bench-tools: $(BENCHES)
$(BENCHES) &: FORCE
	@$(MAKE) --no-print-directory -C tests/bench SAN='$(SAN)'
FORCE:

check-system: all bench-tools $(TEST_PLUGINS)
	@tests/run-system.sh '$(B)' $(T)

check-cluster: all bench-tools
	@L2TPNS='$(abspath $(B)/l2tpns)' /usr/bin/python3 -B \
	    tests/system/cluster_long.py $(T)

check:
	@tests/check.sh

check-long:
	@tests/check.sh long

deps:
	@tests/install-deps.sh

bench: all bench-tools $(TEST_PLUGINS)
	@tests/bench/bench.sh

demo:
	@tests/demo.sh '$(B)'

# --- documents and installation -----------------------------------------

$(B)/gendoc: $(B)/Docs/gendoc.o $(filter-out $(B)/l2tpns.o,$(OBJS))
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

docs: $(B)/gendoc
	$(B)/gendoc config > Docs/config.md
	$(B)/gendoc counters > Docs/counters.md
	$(B)/gendoc man > Docs/startup-config.5
	$(B)/gendoc l2tpns > $(B)/l2tpns.8 && cp $(B)/l2tpns.8 Docs/l2tpns.8
	$(B)/gendoc plugins > $(B)/PLUGINS.md && cp $(B)/PLUGINS.md Docs

CONFIGS	= startup-config ip_pool users build-garden ppp-secrets
# The operator's manual, and where its links lead.
PAGES	= manual.md config.md counters.md PLUGINS.md PERFORMANCE.md \
	  performance-throughput.png performance-setup.png performance.json

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCDIR) \
	    $(DESTDIR)$(ETCDIR) \
	    $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(MANDIR)/man5
	install -m 755 $(B)/l2tpns $(B)/nsctl $(DESTDIR)$(SBINDIR)
	$(if $(MODULES),install -m 644 $(MODULES:%=$(B)/%.so) \
	    $(DESTDIR)$(LIBDIR))
	install -m 644 plugin.h $(DESTDIR)$(INCDIR)
	install -m 644 Docs/l2tpns.8 Docs/nsctl.8 $(DESTDIR)$(MANDIR)/man8
	install -m 644 Docs/startup-config.5 \
	    $(DESTDIR)$(MANDIR)/man5/startup-config.5
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(DOCDIR)
	sed 's|/usr/sbin/l2tpns|$(SBINDIR)/l2tpns|; s|/etc/l2tpns|$(ETCDIR)|' \
	    etc/l2tpns.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/l2tpns.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/l2tpns.service
	install -m 644 etc/l2tpns.sysusers \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d/l2tpns.conf
	sed 's|/usr/sbin/l2tpns|$(SBINDIR)/l2tpns|' etc/l2tpns.inittab > \
	    $(DESTDIR)$(DOCDIR)/l2tpns.inittab
	install -m 644 etc/l2tpns.logrotate $(PAGES:%=Docs/%) $(DESTDIR)$(DOCDIR)
	@for f in $(CONFIGS); do \
	    to=$(DESTDIR)$(ETCDIR)/$$f; mode=644; \
	    case $$f in startup-config|users|ppp-secrets) mode=600;; \
	    build-garden) mode=755;; esac; \
	    if [ -e "$$to" ]; then to=$$to.default; fi; \
	    echo "install -m $$mode etc/$$f.default $$to"; \
	    install -m $$mode etc/$$f.default "$$to"; \
	done

clean:
	rm -rf build

-include $(wildcard $(B)/*.d $(B)/unit/*.d $(B)/replay/*.d $(FB)/*.d \
	$(FB)/tests/*/*.d)
