# SPDX-License-Identifier: MPL-2.0
#
# One non-recursive Makefile. `make help` lists the targets.
#
#	VARIANT=release|asan|tsan|fuzz|cov	a build of its own in build/VARIANT
#	TESTING=1			failpoints compiled in (asan, tsan and cov have them always)
#	V=1				full command lines

VARIANT ?= release
B       := build/$(VARIANT)
CC      ?= gcc
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)

# ---- flags -------------------------------------------------------------------------------------
CSTD    := -std=gnu11
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla \
	-Wwrite-strings -Wimplicit-fallthrough -Wundef -Wpointer-arith -Wno-format-nonliteral -Wno-missing-field-initializers \
	-Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
	-Werror=return-type -Werror=format
ifdef CI
WARN    += -Werror
endif
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_cov     := -O0 -g --coverage
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
ifneq ($(filter asan tsan cov,$(VARIANT)),)
TESTING := 1
endif
ifeq ($(VARIANT),fuzz)
CC := clang
endif
DEFS    := -D_GNU_SOURCE $(if $(TESTING),-DFAILPOINTS)
CFLAGS_ALL = $(CSTD) $(WARN) $(OPT_$(VARIANT)) $(DEFS) -fstack-protector-strong -fPIE -pthread \
	-I. -Ilib -I$(B)/proto $(CFLAGS)
LDFLAGS_ALL = $(filter -fsanitize=% --coverage,$(OPT_$(VARIANT))) -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)
# static programs run in zones and beside them: never with sanitizers
CFLAGS_STATIC = $(CSTD) $(WARN) -Os -g -D_FORTIFY_SOURCE=0 $(DEFS) -fno-stack-protector \
	-ffunction-sections -fdata-sections -I. -Ilib -I$(B)/proto

VERSION := $(shell sed -n 's/^\#define SDC_VERSION *"\(.*\)"/\1/p' lib/version.h 2>/dev/null)

# ---- sources -----------------------------------------------------------------------------------
PROTO_C := $(patsubst proto/%.proto,$(B)/proto/%.pb-c.c,$(wildcard proto/*.proto))
PROTO_H := $(PROTO_C:.c=.h)
obj      = $(patsubst %.c,$(B)/obj/%.o,$(1))

LIB_SRC       := $(wildcard lib/*.c)
PROTO_SRC     := $(wildcard proto/*.c)
APISERVER_SRC := $(wildcard apiserver/*.c)
# logsvc/ holds four programs: what is not the logger's own, the archiver's or the admin tool's is the daemon's
LOGGER_SRC    := $(wildcard logsvc/logger*.c logsvc/sink_*.c)
ADM_SRC       := $(wildcard logsvc/dockeradm*.c)
ARCHIVER_SRC  := $(wildcard logsvc/archiver*.c logsvc/store_*.c)
# what the two share that talk to servers outside
CHILD_SRC     := logsvc/fence.c logsvc/http_name.c
LOGSVC_SRC    := $(filter-out $(LOGGER_SRC) $(ARCHIVER_SRC) $(CHILD_SRC) $(ADM_SRC),$(wildcard logsvc/*.c)) logsvc/logger_policy.c

# what the logger reads the log with
LOGGER_SHARED := logsvc/archive_index.c logsvc/clock_steps.c logsvc/cursor.c logsvc/logset.c logsvc/record.c logsvc/removed.c

LIB_A   := $(B)/lib.a
LIBS_apiserver := -luv -lprotobuf-c -ljansson -lcurl -lz -llzma -lzstd -lhttp_parser -lssl -lcrypto -lsqlite3 \
	-larchive -lmnl -lnftables -lseccomp -lpcre2-8
LIBS_logsvc    := -lprotobuf-c -ljansson -lz
LIBS_logger    := -lprotobuf-c -ljansson -lz -lmsgpackc -lssl -lcrypto -lseccomp -ldl
LIBS_archiver  := -ljansson -lcurl -lz -lssl -lcrypto -lseccomp
LIBS_adm       := -lprotobuf-c -ljansson

# without its main.c a daemon is only compiled
daemon = $(if $(wildcard $(1)/main.c),$(B)/bin/$(1),$(call obj,$(2)))
BINS := $(call daemon,apiserver,$(APISERVER_SRC)) $(call daemon,logsvc,$(LOGSVC_SRC)) $(B)/bin/logger $(B)/bin/archiver $(B)/bin/sdc-dockeradm

all: bins
.PHONY: all bins help deps deps-run bench run start stop install clean
.DELETE_ON_ERROR:
.SECONDARY:

include dockerinit/build.mk
include tests/tests.mk

bins: $(BINS)

# ---- rules -------------------------------------------------------------------------------------
$(B)/proto/%.pb-c.c $(B)/proto/%.pb-c.h &: proto/%.proto
	@mkdir -p $(@D)
	@echo "  PROTOC  $<"
	$(Q)protoc-c --proto_path=proto --c_out=$(B)/proto $<

$(B)/obj/%.o: %.c | $(PROTO_H)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# generated code: our warnings are not its
$(B)/proto/%.pb-c.o: $(B)/proto/%.pb-c.c $(B)/proto/%.pb-c.h
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS_ALL) -w -MMD -MP -c -o $@ $<

$(LIB_A): $(call obj,$(LIB_SRC) $(PROTO_SRC)) $(PROTO_C:.c=.o)
	@echo "  AR      $@"
	$(Q)rm -f $@ && ar rcs $@ $^

define program
$(B)/bin/$(1): $$(call obj,$(2)) $$(LIB_A)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $(3)
endef
$(eval $(call program,apiserver,$(APISERVER_SRC),$(LIBS_apiserver)))
$(eval $(call program,logsvc,$(LOGSVC_SRC),$(LIBS_logsvc)))
$(eval $(call program,logger,$(LOGGER_SRC) $(CHILD_SRC) $(LOGGER_SHARED),$(LIBS_logger)))
$(eval $(call program,archiver,$(ARCHIVER_SRC) $(CHILD_SRC) logsvc/record.c,$(LIBS_archiver)))
$(eval $(call program,sdc-dockeradm,$(ADM_SRC),$(LIBS_adm)))

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- for people ---------------------------------------------------------------------------------
help:
	@echo 'make run [ROOT=DIR] [CONF=FILE]	install what is needed, build, start the engine, show it at work'
	@echo 'make stop [ROOT=DIR]		stop it and its containers'
	@echo 'make				build only'
	@echo 'make check			install what the tests need, build, run all tests'
	@echo 'make unit|e2e|fault|fuzz|lint	one kind of test;  make torture: the long fault tests'
	@echo 'make bench			measure, beside dockerd and podman where installed'
	@echo 'make install [DESTDIR=DIR] [PREFIX=/usr]	programs, man pages, systemd units'
	@echo 'VARIANT=release|asan|tsan|fuzz|cov  TESTING=1  V=1'

deps:
	@sh etc/deps.sh test
deps-run:
	@sh etc/deps.sh run
run: deps-run
	@$(MAKE) -s --no-print-directory -j$(shell nproc) all
	@BIN=$(CURDIR)/$(B)/bin ROOT='$(ROOT)' CONF='$(CONF)' bash etc/engine.sh demo
start: all
	@BIN=$(CURDIR)/$(B)/bin ROOT='$(ROOT)' CONF='$(CONF)' bash etc/engine.sh start
stop:
	@BIN=$(CURDIR)/$(B)/bin ROOT='$(ROOT)' CONF='$(CONF)' bash etc/engine.sh stop

bench: deps-run
	@$(MAKE) -s --no-print-directory -j$(shell nproc) all
	@python3 tests/bench/bench.py $(BENCH)

PREFIX ?= /usr
install: all
	install -d $(DESTDIR)$(PREFIX)/libexec/sdc-docker $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)/etc/sdc-docker \
		$(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(B)/bin/* $(DESTDIR)$(PREFIX)/libexec/sdc-docker/
	[ -e $(DESTDIR)/etc/sdc-docker/sdc-docker.conf ] || \
		install -m 644 etc/sdc-docker.conf $(DESTDIR)/etc/sdc-docker/
	install -m 644 etc/*.service etc/*.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/
	for s in 1 5 7 8; do for m in man/*.$$s; do \
		[ ! -e $$m ] || install -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$$s/; done; done

clean:
	rm -rf build
