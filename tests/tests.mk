# Tests: unit, e2e, fault, fuzz, lint.
#
# tests/unit/test_X.c is a program of its own. A line `/* links: lib|apiserver|logsvc|dockerinit */` among its first
# lines says whose objects it needs (without the one that holds main).

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BINS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))
FUZZ_SRC  := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_SRC))

links_of = $(word 3,$(shell sed -n '1,12s|.*/\* *links: *\([a-z]*\) *\*/.*|/* links: \1 */|p' $(1) | head -1) lib)
DOCKERINIT_TEST_SRC ?=
objs_apiserver  := $(call obj,$(filter-out apiserver/main.c,$(APISERVER_SRC)))
objs_logsvc     := $(call obj,$(filter-out logsvc/main.c logsvc/logger.c logsvc/archiver.c,$(LOGSVC_SRC) $(LOGGER_SRC) $(ARCHIVER_SRC) $(CHILD_SRC)))
objs_dockerinit  = $(call obj,$(DOCKERINIT_TEST_SRC))
objs_lib        :=
libs_apiserver  := $(LIBS_apiserver)
libs_logsvc     := $(LIBS_logsvc) $(LIBS_logger) $(LIBS_archiver)
libs_dockerinit := -lprotobuf-c -ljansson -lz
libs_lib        := -lprotobuf-c -ljansson

# one archive per program, so that a test links only what it uses
$(B)/test-%.a: | $(LIB_A)
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(B)/test-apiserver.a: $(objs_apiserver)
$(B)/test-logsvc.a: $(objs_logsvc)
$(B)/test-dockerinit.a: $(call obj,$(DOCKERINIT_TEST_SRC))
$(B)/test-lib.a:

define unit_program
$(B)/tests/$(notdir $(basename $(1))): $(call obj,$(1)) $(B)/test-$(2).a $(LIB_A)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) $(B)/test-$(2).a $(LIB_A) -lcmocka $$(libs_$(2))
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_program,$(t),$(call links_of,$(t)))))

define fuzz_program
$(B)/fuzz/$(notdir $(basename $(1))): $(call obj,$(1)) $(B)/test-$(2).a $(LIB_A)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -fsanitize=fuzzer -o $$@ $$(filter %.o,$$^) $(B)/test-$(2).a $(LIB_A) $$(libs_$(2))
endef
$(foreach t,$(FUZZ_SRC),$(eval $(call fuzz_program,$(t),$(call links_of,$(t)))))

unit-bins: $(UNIT_BINS)
fuzz-bins: $(FUZZ_BINS)
.PHONY: unit-bins fuzz-bins unit e2e fault torture fuzz lint tsan check

# CHECK runs everything; its last line is "N passed, N failed".
check:
	@sh tests/check.sh
unit:
	@sh tests/check.sh unit
e2e:
	@sh tests/check.sh e2e
fault:
	@sh tests/check.sh fault
fuzz:
	@sh tests/check.sh fuzz
lint:
	@sh tests/check.sh lint
tsan:
	@sh tests/check.sh tsan
torture:
	@sh tests/check.sh torture

# ---- logsvc: helpers of the capture kill tests -------------------------------------------------
FAULT_SRC  := $(wildcard tests/fault/*.c)
FAULT_BINS := $(patsubst tests/fault/%.c,$(B)/fault/%,$(FAULT_SRC))
$(B)/fault/%: $(B)/obj/tests/fault/%.o $(B)/test-logsvc.a $(LIB_A)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(B)/test-logsvc.a $(LIB_A) $(LIBS_logsvc) -lutil
fault-bins: $(FAULT_BINS)
.PHONY: fault-bins
