# Build, check and install; one Makefile, not recursive but for builds of another kind.
#
#   make                   build-<system>-<machine>/exim, as Local/Makefile says (made from
#                          src/EDITME by the first make; see there)
#   make install           DESTDIR= for packagers, INSTALL_SETUID=no for a binary without it
#   make check-unit        the unit tests, under ASan and UBSan, built with DEVELOPER=1
#   make check-guards      all eight combinations of the EXPERIMENTAL_* settings
#   make fuzz              every fuzzer for FUZZ_SECONDS (60); needs clang
#   make check-fuzz        replays the corpora of the fuzzers without clang
#   make style             the gates: layers, headers, banned functions, sizes, tables,
#                          settings
#   make analyze           clang's warnings as errors, gcc -fanalyzer on the base, cppcheck if there
#   make check             all of these and the tests of the whole: scripts/check
#   make coverage          line coverage of the unit tests
#   make bench             this server and others at the same works: WORK="local connect" for some,
#                          BENCH="--quick ..." for options of test/bench/run
#
# Kinds of build, each in a directory of its own unless BUILD= says otherwise:
#   SAN=1 ASan and UBSan   DEBUG=1 unoptimised   COV=1 coverage   FUZZ=1 for libFuzzer (clang)
#   DEVELOPER=1 every warning, and warnings are errors    V=1 shows the commands
#   SET="EXPERIMENTAL_DSN=no ..." settings that count more than Local/Makefile
#
# A unit test is test/unit/t_<module>.c and needs no entry here. It is linked with everything but
# exim.c, unless a comment near its top says with what:
#   /* link: base config parse smtp/reply */  directories and files of src/ (so that it can be
#                                  built while other parts cannot); the linker takes what it needs
#   /* wrap: time */  -Wl,--wrap=time        /* libs: -lfoo */  further libraries
# One test: make BUILD=build-x-san SAN=1 build-x-san/t_parse. Fuzzers: test/fuzz/f_<parser>.c, with
# the same comments, the corpus in test/fuzz/corpus/<parser>/ and maybe <parser>.dict.

SYSTEM := $(shell uname -s)
ARCH   := $(shell uname -m)
comma  := ,
KIND   := $(if $(FUZZ),-fuzz,$(if $(SAN),-san))$(if $(COV),-cov)$(if $(DEBUG),-debug)
BUILD  ?= build-$(SYSTEM)-$(ARCH)$(KIND)
DRAFT  ?=
export DRAFT
.DEFAULT_GOAL := all
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(patsubst $(BUILD)/%,%,$(2)))

# ---- Configuration ----------------------------------------------------------------------------
CONFIGLESS = clean style check-layers check-headers check-banned check-style check-tables check-settings \
             check-guards
ifneq ($(or $(if $(MAKECMDGOALS),,all),$(filter-out $(CONFIGLESS),$(MAKECMDGOALS))),)
include $(BUILD)/config.mk
endif

Local/Makefile: | src/EDITME
	@mkdir -p Local
	@cp src/EDITME $@
	@echo '  Made Local/Makefile from src/EDITME: edit it to choose paths, users and drivers.'

SETTINGS = scripts/configure-build scripts/configure-build.awk scripts/build-names \
           $(wildcard OS/Makefile-Default OS/Makefile-$(SYSTEM) OS/os.h-$(SYSTEM) \
             Local/Makefile-$(SYSTEM))
DRIVER_DIRS = src/routers src/transports src/lookups src/auths
$(BUILD)/config.mk: $(SETTINGS) Local/Makefile $(DRIVER_DIRS) $(BUILD)/set
	@scripts/configure-build $(BUILD) $(SYSTEM) $(SET)
# They keep their time when their text does: the recipe above may leave them older than it.
$(BUILD)/build_config.h $(BUILD)/os.h: $(BUILD)/config.mk ;

# A file that changes when the text of $(2) does.
define remember
$(1): force
	@mkdir -p $$(@D)
	@printf '%s\n' '$(subst ','\'',$(2))' | cmp -s - $$@ || printf '%s\n' '$(subst ','\'',$(2))' >$$@
endef
.PHONY: force
$(eval $(call remember,$(BUILD)/set,$(SET) $(DRAFT)))

# ---- Flags ------------------------------------------------------------------------------------
ifneq ($(FUZZ),)
CC := clang
endif
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
       -Wwrite-strings -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
ifneq ($(DEVELOPER),)
WARN += -Wpedantic -Wcast-qual -Wconversion -Werror
endif
SANITIZE = -fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN_C = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
HARDEN_L = -pie -Wl,-z,relro,-z,now
ifneq ($(FUZZ)$(SAN),)
OPTIMISE = -O1 -g $(SANITIZE) $(if $(FUZZ),-fsanitize=fuzzer-no-link)
HARDEN_C = -fPIE
HARDEN_L = -pie
else ifneq ($(DEBUG)$(COV),)
OPTIMISE = -O0 -g
HARDEN_C = -fPIE
else
OPTIMISE = $(CFLAGS)
endif
OPTIMISE += $(if $(COV),--coverage)
LANGUAGE = -std=c17 -D_GNU_SOURCE -funsigned-char -Isrc -I$(BUILD)
INCLUDES = $(INCLUDE) $(TLS_INCLUDE) $(LOOKUP_INCLUDE) $(IPV6_INCLUDE) \
           $(if $(USE_OPENSSL_PC),$(shell pkg-config --cflags $(USE_OPENSSL_PC)))
COMPILE  = $(CC) $(OPTIMISE) $(HARDEN_C) $(LANGUAGE) $(WARN) $(INCLUDES)
OURS     = -include src/base/banned.h -include $(BUILD)/build_config.h
LINK     = $(CC) $(OPTIMISE) $(HARDEN_L) -Wl,--as-needed $(LFLAGS) $(LDFLAGS)
ALL_LIBS = $(if $(USE_OPENSSL_PC),$(shell pkg-config --libs $(USE_OPENSSL_PC)),$(TLS_LIBS)) \
           $(if $(PCRE2_CONFIG),$(shell pcre2-config --libs8),$(or $(PCRE_LIBS),$(PCRE2_LIBS))) \
           $(DBMLIB) $(LOOKUP_LIBS) $(AUTH_LIBS) $(IPV6_LIBS) $(LIBS) $(EXTRALIBS) $(EXTRALIBS_EXIM)
$(eval $(call remember,$(BUILD)/flags,$(COMPILE) $(LINK) $(ALL_LIBS)))

# ---- Objects ----------------------------------------------------------------------------------
# Drivers and guarded files that Local/Makefile did not choose are in LEFT_OUT, as patterns.
SOURCES     = $(filter-out $(wildcard $(LEFT_OUT)) src/utils/%,$(wildcard src/*.c src/*/*.c))
OBJECTS     = $(SOURCES:%.c=$(BUILD)/%.o)
LIB_OBJECTS = $(filter-out $(BUILD)/src/exim.o,$(OBJECTS))
part_objects = $(filter $(BUILD)/src/$(1)/%.o $(BUILD)/src/$(1).o $(BUILD)/src/%/$(1).o,$(LIB_OBJECTS))

all: $(BUILD)/exim utilities

$(BUILD)/src/%.o: src/%.c $(BUILD)/build_config.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) $(OURS) -MMD -MP -c -o $@ $<

# When it was built, and how often here; made anew for each link.
$(BUILD)/exim: $(OBJECTS) scripts/build-info
	@scripts/build-info $(BUILD)/build_info.c $(BUILD)/number
	$(call say,LD,$@)
	$(Q)$(COMPILE) -c -o $(BUILD)/build_info.o $(BUILD)/build_info.c
	$(Q)$(LINK) -o $@ $(OBJECTS) $(BUILD)/build_info.o $(ALL_LIBS)
# The same for what is linked beside it: made once.
$(BUILD)/tool_info.o: scripts/build-info $(BUILD)/flags
	@scripts/build-info $(BUILD)/tool_info.c
	$(Q)$(COMPILE) -c -o $@ $(BUILD)/tool_info.c

$(BUILD)/libexim.a: $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcsT $@ $(LIB_OBJECTS)

# ---- Utilities: C programs with the library, scripts with their settings filled in ---------------
UTIL_C      = $(wildcard src/utils/exim*.c)
UTIL_SCRIPT = $(wildcard src/utils/*.sh src/utils/*.pl)
UTILS       = $(UTIL_C:src/utils/%.c=$(BUILD)/%) $(patsubst src/utils/%,$(BUILD)/%,$(basename $(UTIL_SCRIPT)))
.PHONY: utilities
utilities: $(UTILS)

$(UTIL_C:src/utils/%.c=$(BUILD)/%): $(BUILD)/%: $(BUILD)/src/utils/%.o $(BUILD)/libexim.a $(BUILD)/tool_info.o
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $< $(BUILD)/libexim.a $(BUILD)/tool_info.o $(ALL_LIBS)

define script_rule
$(BUILD)/$(basename $(notdir $(1))): $(1) $(BUILD)/config.mk
	$$(call say,GEN,$$@)
	$$(Q)sed -f $(BUILD)/subst.sed $$< >$$@.new && chmod +x $$@.new && mv $$@.new $$@
endef
$(foreach s,$(UTIL_SCRIPT),$(eval $(call script_rule,$(s))))

# ---- Unit tests -------------------------------------------------------------------------------
TESTS   = $(patsubst test/unit/%.c,$(BUILD)/%,$(wildcard test/unit/t_*.c))
FUZZERS = $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/f_*.c))
TEST_FILES = $(wildcard test/unit/t_*.c test/fuzz/f_*.c)
ifneq ($(TEST_FILES),)
ifneq ($(filter unit-programs fuzz-programs replay-programs $(BUILD)/t_% $(BUILD)/f_% $(BUILD)/r_%,$(MAKECMDGOALS)),)
include $(BUILD)/tests.mk
endif
endif
$(BUILD)/tests.mk: $(TEST_FILES) scripts/test-rules.awk
	@mkdir -p $(@D)
	@awk -f scripts/test-rules.awk $(TEST_FILES) >$@

$(BUILD)/test/%.o: test/%.c $(BUILD)/build_config.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) $(if $(COV),-DUNIT_COVERAGE) -include $(BUILD)/build_config.h -MMD -MP -c -o $@ $<

# $(1) program, $(2) its objects, $(3) its parts of src, $(4) further flags
define link_parts
	$(call say,LD,$(1))
	$(Q)rm -f $(1).a && ar rcsT $(1).a $(3)
	$(Q)$(LINK) -o $(1) $(2) $(1).a $(BUILD)/tool_info.o $(4) $(ALL_LIBS)
endef
.SECONDEXPANSION:
$(TESTS): $(BUILD)/%: $(BUILD)/test/unit/%.o $(BUILD)/tool_info.o $$(LINK_$$*)
	$(call link_parts,$@,$<,$(LINK_$*),$(FLAGS_$*) -lcmocka)
$(FUZZERS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/test/fuzz/%.o $(BUILD)/tool_info.o $$(LINK_$$*)
	$(call link_parts,$@,$< -fsanitize=fuzzer,$(LINK_$*),$(FLAGS_$*))
$(FUZZERS:f_%=$(BUILD)/r_%): $(BUILD)/r_%: $(BUILD)/test/fuzz/f_%.o $(BUILD)/test/fuzz/replay.o $(BUILD)/tool_info.o $$(LINK_f_$$*)
	$(call link_parts,$@,$< $(BUILD)/test/fuzz/replay.o,$(LINK_f_$*),$(FLAGS_f_$*))

.PHONY: unit-programs fuzz-programs replay-programs
unit-programs: $(TESTS)
fuzz-programs: $(FUZZERS:%=$(BUILD)/%)
replay-programs: $(FUZZERS:f_%=$(BUILD)/r_%)

# ---- Checks -----------------------------------------------------------------------------------
OTHER  = $(MAKE) --no-print-directory
SANDIR = $(BUILD)$(if $(SAN),,-san)
COVDIR = $(BUILD)$(if $(COV),,-cov)
PLAINDIR = $(BUILD:-san=)
RELEASED = t_arena # also as released: under ASan an arena carves nothing
.PHONY: check check-unit check-fuzz fuzz coverage check-guards analyze
check:
	@scripts/check
check-unit:
	+@$(OTHER) -k BUILD=$(SANDIR) SAN=1 DEVELOPER=1 unit-programs; built=$$?; \
	$(OTHER) BUILD=$(PLAINDIR) $(RELEASED:%=$(PLAINDIR)/%) && \
	scripts/run-unit $(SANDIR)/unit.log $(TESTS:$(BUILD)/%=$(SANDIR)/%) \
	$(RELEASED:%=$(PLAINDIR)/%) && exit $$built
check-fuzz:
	+@$(OTHER) BUILD=$(SANDIR) SAN=1 DEVELOPER=1 replay-programs
	@scripts/run-fuzz replay $(SANDIR) $(FUZZERS:f_%=%)
FUZZ_SECONDS ?= 60
fuzz:
	+@$(OTHER) BUILD=$(BUILD)-fuzz FUZZ=1 fuzz-programs
	@scripts/run-fuzz $(FUZZ_SECONDS) $(BUILD)-fuzz $(FUZZERS:f_%=%)
coverage:
	+@$(OTHER) BUILD=$(COVDIR) COV=1 unit-programs
	@scripts/run-unit $(COVDIR)/unit.log $(TESTS:$(BUILD)/%=$(COVDIR)/%)
	@scripts/coverage $(COVDIR)
check-guards:
	+@MAKE='$(OTHER)' scripts/check-guards

.PHONY: bench
bench: $(BUILD)/exim
	@EXIM_BINARY=$(abspath $(BUILD))/exim test/bench/run $(BENCH) $(WORK)

# What compilers and analysers say: clang's warnings as errors, gcc's analyser on the base.
analyze: $(BUILD)/config.mk
	@scripts/analyze $(BUILD)

GATES = check-layers check-headers check-banned check-style check-tables check-settings
.PHONY: style $(GATES)
style: $(GATES)
$(GATES):
	@scripts/$@

# ---- Installation -----------------------------------------------------------------------------
.PHONY: install clean
install: all
	@BUILD=$(BUILD) DESTDIR='$(DESTDIR)' INSTALL_SETUID='$(INSTALL_SETUID)' \
	BIN_DIRECTORY='$(BIN_DIRECTORY)' CONFIGURE_FILE='$(CONFIGURE_FILE)' MANDIR='$(MANDIR)' \
	scripts/install $(notdir $(UTILS))
clean:
	rm -rf $(BUILD)

-include $(wildcard $(BUILD)/src/*.d $(BUILD)/src/*/*.d $(BUILD)/test/*/*.d)
