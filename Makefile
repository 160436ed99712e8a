# One non-recursive Makefile.
#   make                 build-<os>-<arch>/exim, optimised
#   make SAN=1           with ASan and UBSan        make DEBUG=1   unoptimised
#   make check           everything in the test suite
OSTYPE := $(shell uname -s)
ARCH   := $(shell uname -m)
BUILD  ?= build-$(OSTYPE)-$(ARCH)$(if $(SAN),-san)$(if $(DEBUG),-debug)

CC ?= cc
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
       -Wwrite-strings -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
CPPF = -D_GNU_SOURCE -funsigned-char -Isrc -I$(BUILD)
SANF = $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
comma = ,
OPT  = $(if $(SAN)$(DEBUG),-O1 -g,-O2 -g)
ALL  = $(OPT) -std=c17 $(CPPF) $(WARN) $(SANF) -MMD -MP
LIBS = -lssl -lcrypto -lpcre2-8 -ldb-5.3 -lidn2 -lseccomp -lcrypt -lresolv
FEATURES = -DEXPERIMENTAL_PROXY -DEXPERIMENTAL_DSN -DEXPERIMENTAL_CERTNAMES

SRC = $(filter-out src/utils/%,$(wildcard src/*.c src/*/*.c))
OBJ = $(SRC:%.c=$(BUILD)/%.o)
LIBOBJ = $(filter-out $(BUILD)/src/exim.o,$(OBJ))

all: $(BUILD)/exim
$(BUILD)/exim: $(OBJ)
	$(CC) $(ALL) -o $@ $^ $(LIBS)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL) $(FEATURES) -c -o $@ $<
clean:
	rm -rf $(BUILD)
.PHONY: all clean
-include $(OBJ:.o=.d)
