# dockerinit/ holds two static programs: dockerinit (in the zone; mdata-* by name) and zoneadmd (the
# zone's parent). With musl where it is installed: a tenth of the memory of a static glibc program.

DI_SRC := $(addprefix dockerinit/,dockerinit.c orders.c user.c environ.c privs.c json.c mdata_client.c \
	mdata_cli.c mdata_wire.c mini_init.c)
DI_LIB := lib/buf.c lib/err.c lib/fs.c lib/str.c
ZA_SRC := $(filter-out dockerinit/dockerinit.c dockerinit/orders.c dockerinit/user.c dockerinit/environ.c \
	dockerinit/privs.c dockerinit/mdata_client.c dockerinit/mdata_cli.c dockerinit/mini_init.c,$(wildcard dockerinit/*.c))
ZA_LIB := lib/buf.c lib/err.c lib/fs.c lib/str.c lib/jw.c lib/log.c lib/frame.c lib/timefmt.c lib/failpoint.c
# what unit tests and fuzzers link, built as everything else is: all but the two mains
DOCKERINIT_TEST_SRC := $(filter-out dockerinit/dockerinit.c dockerinit/zoneadmd.c,$(wildcard dockerinit/*.c))

MUSL_GCC := $(shell command -v musl-gcc 2>/dev/null)
ifneq ($(MUSL_GCC),)
CC_STATIC  := musl-gcc
# the kernel's headers and protobuf-c's, behind musl's own
INC_STATIC := -idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -dumpmachine 2>/dev/null)
else
CC_STATIC  := gcc
INC_STATIC :=
endif
LD_STATIC  := -static -Wl,--gc-sections -Wl,-z,norelro -Wl,--build-id=none
PROTOBUF_C_A := $(shell $(CC) -print-file-name=libprotobuf-c.a)

sobj = $(patsubst %.c,$(B)/static/%.o,$(1))

$(B)/static/proto/%.pb-c.o: $(B)/proto/%.pb-c.c $(B)/proto/%.pb-c.h
	@mkdir -p $(@D)
	@echo "  CCSTAT  $<"
	$(Q)$(CC_STATIC) $(CFLAGS_STATIC) $(INC_STATIC) -w -c -o $@ $<

$(B)/static/%.o: %.c | $(PROTO_H)
	@mkdir -p $(@D)
	@echo "  CCSTAT  $<"
	$(Q)$(CC_STATIC) $(CFLAGS_STATIC) $(INC_STATIC) -MMD -MP -c -o $@ $<

$(B)/bin/dockerinit: $(call sobj,$(DI_SRC) $(DI_LIB))
	@mkdir -p $(@D)
	@echo "  LDSTAT  $@"
	$(Q)$(CC_STATIC) $(LD_STATIC) -s -o $@ $^
	$(Q)for n in get put list delete; do ln -sfn dockerinit $(@D)/mdata-$$n; done

$(B)/bin/zoneadmd: $(call sobj,$(ZA_SRC) $(ZA_LIB)) $(B)/static/proto/zone.pb-c.o
	@mkdir -p $(@D)
	@echo "  LDSTAT  $@"
	$(Q)$(CC_STATIC) $(LD_STATIC) -o $@ $^ $(PROTOBUF_C_A)

BINS += $(B)/bin/dockerinit $(if $(wildcard dockerinit/zoneadmd.c),$(B)/bin/zoneadmd)

# the driver of tests/e2e/zone.test.sh
$(B)/bin/zonectl: $(call obj,tests/e2e/zonectl.c) $(LIB_A)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lprotobuf-c -ljansson
