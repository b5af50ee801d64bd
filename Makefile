# hkd: `make help` lists the targets. Everything built goes below $(O), installed below $(DESTDIR)$(PREFIX).
CC       ?= cc
CXX      ?= c++
HOSTCC   ?= cc
AR       ?= ar
CFLAGS   ?= -O3 -g
O        ?= build
PREFIX   ?= /usr/local
PKG      ?= pkg-config
INSTALL  ?= install
SANITIZE ?=
# What is used when it is here; `make PNG=0` leaves it out.
$(foreach f,OPENMP OPENCL CLBLAST JANSSON PNG ZLIB LIBZIP LAPACKE,$(eval $(f) ?= auto))

# Without -j, all cores.
MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
endif

# Packages first; everything else in a fresh make, which sees what they brought.
DEPS     := $(filter deps deps-all,$(MAKECMDGOALS))
ifneq ($(DEPS),)
.NOTPARALLEL:
.PHONY: $(MAKECMDGOALS)
deps: ## install what demo and check need, with the system's package manager
	sh tools/deps.sh
deps-all: ## install what check-all needs besides
	sh tools/deps.sh all
$(filter-out $(DEPS),$(MAKECMDGOALS)): $(DEPS)
	@$(MAKE) $@
else

V        ?=
CMD_CC    = $(if $(V),,@echo "  CC   $@";) $(CC)
CMD_AR    = $(if $(V),,@echo "  AR   $@";) $(AR)

# ---- what is here ----------------------------------------------------------------------------------------------------------
feature   = $(if $(filter auto,$(1)),$(2),$(filter-out 0 no,$(1)))
package   = $(call feature,$(1),$(shell $(PKG) --exists $(2) 2>/dev/null && echo 1))
builds    = $(shell echo 'int main(void){return 0;}' | $(CC) $(1) -x c - -o /dev/null 2>/dev/null && echo 1)
X86      := $(filter 1,$(shell echo | $(CC) -dM -E - 2>/dev/null | grep -c '__x86_64__ 1'))
HAS_OPENMP  := $(call feature,$(OPENMP),$(call builds,-fopenmp))
HAS_JANSSON := $(call package,$(JANSSON),jansson)
HAS_PNG     := $(call package,$(PNG),libpng)
HAS_ZLIB    := $(call package,$(ZLIB),zlib)
HAS_LIBZIP  := $(call package,$(LIBZIP),libzip)
HAS_LAPACKE := $(call package,$(LAPACKE),lapacke)
HAS_OPENCL  := $(call package,$(OPENCL),OpenCL)
HAS_CLBLAST := $(if $(HAS_OPENCL),$(call package,$(CLBLAST),clblast))

PACKAGES := $(if $(HAS_JANSSON),jansson) $(if $(HAS_OPENCL),OpenCL) $(if $(HAS_PNG),libpng) $(if $(HAS_ZLIB),zlib) \
            $(if $(HAS_LIBZIP),libzip) $(if $(HAS_CLBLAST),clblast) $(if $(HAS_LAPACKE),lapacke)
FEATURES := $(if $(HAS_OPENMP),-DHKD_OPENMP) $(if $(HAS_OPENCL),-DHKD_OPENCL -DCL_TARGET_OPENCL_VERSION=120) \
            $(if $(HAS_PNG),-DHKD_PNG) $(if $(HAS_ZLIB),-DHKD_ZLIB) $(if $(HAS_LIBZIP),-DHKD_ZIP) \
            $(if $(HAS_CLBLAST),-DHKD_CLBLAST) $(if $(HAS_LAPACKE),-DHKD_LAPACKE) $(if $(X86),-DHKD_X86)
WARN     := -std=c99 -Wall -Wextra -Wpedantic -Wshadow $(if $(filter-out 0 false,$(CI)),-Werror)
INCLUDE  := -Iinclude $(patsubst %,-I%,$(wildcard ref/*) accel/cpu accel/opencl tools tools/cases tests)
SAN      := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DHKD_SANITIZED)
PKG_C    := $(if $(strip $(PACKAGES)),$(shell $(PKG) --cflags $(PACKAGES)))
LIBS     := $(if $(strip $(PACKAGES)),$(shell $(PKG) --libs $(PACKAGES))) -lm $(if $(HAS_OPENMP),-fopenmp)
ALL_C    := $(CFLAGS) $(CPPFLAGS) $(WARN) $(INCLUDE) $(FEATURES) $(PKG_C) $(SAN) -fPIC -fvisibility=hidden -MMD -MP
REF_C    := $(ALL_C) -Wconversion -ffp-contract=off
CPU_C    := $(ALL_C) -ffp-contract=$(if $(SANITIZE),off,$(if $(findstring clang,$(shell $(CC) --version)),on,fast)) \
            -fno-trapping-math -fno-math-errno -Wno-pass-failed $(if $(HAS_OPENMP),-fopenmp,-Wno-unknown-pragmas)
LINK      = $(CMD_CC) $(CFLAGS) $(SAN) $(LDFLAGS) -o $@ $^ $(LIBS)

# ---- sources -> objects ----------------------------------------------------------------------------------------------------
REF_SRC  := $(sort $(filter-out ref/io/%,$(wildcard ref/*/*.c)))
IO_SRC   := $(sort $(wildcard ref/io/*.c))
CPU_OPS  := $(sort $(filter-out accel/cpu/device.c,$(wildcard accel/cpu/*.c)))
ISAS     := plain $(if $(X86),avx2 avx512)
ISA_avx2   := -mavx2 -mfma
ISA_avx512 := -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512
REF_OBJ  := $(REF_SRC:%.c=$(O)/%.o)
IO_OBJ   := $(IO_SRC:%.c=$(O)/%.o)
CPU_OBJ  := $(O)/accel/open.o $(O)/accel/cpu/device.o $(foreach isa,$(ISAS),$(CPU_OPS:%.c=$(O)/%.$(isa).o))
CL_SRC   := $(sort $(filter-out %/bin2c.c,$(wildcard accel/opencl/*.c)))
CL_TEXT  := accel/opencl/common.cl accel/opencl/contract.h accel/opencl/pool_shape.h $(sort $(wildcard accel/opencl/*.clh)) \
            $(sort $(filter-out %/common.cl,$(wildcard accel/opencl/*.cl)))
CL_OBJ   := $(if $(HAS_OPENCL),$(CL_SRC:%.c=$(O)/%.o) $(O)/accel/opencl/kernels.o)
TOOL_OBJ := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tools/*.c tools/cases/*.c)))
TEST_OBJ := $(patsubst %.c,$(O)/%.o,$(sort $(wildcard tests/*.c)))

all: $(if $(HAS_JANSSON),$(O)/hkd $(O)/libhkd.a $(O)/libhkd.so) ref ## everything that can be built here
	@echo "  built with: $(strip $(if $(X86),AVX2 AVX-512) $(if $(HAS_OPENMP),OpenMP) $(PACKAGES))"
	@$(if $(strip $(MISSING)),echo "  without: $(strip $(MISSING))",:)
	@$(if $(HAS_JANSSON),:,echo "  the program needs jansson: make deps")
MISSING  := $(if $(HAS_OPENMP),,OpenMP) $(filter-out $(PACKAGES),jansson OpenCL libpng zlib libzip clblast lapacke)
ref: $(O)/libhkd_ref.a ## the reference library alone: needs a C99 compiler and nothing else

$(O)/libhkd_ref.a: $(REF_OBJ)
$(O)/libhkd.a $(O)/libhkd.so: $(REF_OBJ) $(IO_OBJ) $(CPU_OBJ) $(CL_OBJ)
$(O)/tools.a: $(filter-out $(O)/tools/main.o,$(TOOL_OBJ))
$(O)/%.a:
	@rm -f $@
	$(CMD_AR) rcs $@ $^
SO       := libhkd.so.$(shell sed -n 's/^\#define HKD_ABI //p' include/hkd.h)
$(O)/%.so:
	$(LINK) -shared -Wl,$(if $(filter Darwin,$(shell uname)),-install_name,-soname),$(SO)

$(O)/hkd: $(TOOL_OBJ) $(O)/libhkd.a
	$(LINK)
$(O)/hkd_tests: $(TEST_OBJ) $(O)/tools.a $(O)/libhkd.a
	$(LINK)

# Objects are made anew when the compiler or its flags change.
$(O)/flags $(O)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(if $(filter %prefix,$@),$(PREFIX),$(CC) $(CPU_C))' | cmp -s - $@ || \
	 echo '$(if $(filter %prefix,$@),$(PREFIX),$(CC) $(CPU_C))' > $@
$(O)/tools/%.o: $(O)/prefix

$(O)/ref/%.o: ref/%.c $(O)/flags
	@mkdir -p $(@D)
	$(CMD_CC) $(REF_C) -c -o $@ $<
$(O)/ref/io/os.o $(O)/tests/%.o $(O)/tools/%.o: ALL_C += -D_POSIX_C_SOURCE=200809L
$(O)/tools/%.o: ALL_C += -DHKD_DATADIR='"$(PREFIX)/share/hkd"'
$(O)/ref/io/os.o: REF_C += -D_POSIX_C_SOURCE=200809L
define isa_rule
$(O)/accel/cpu/%.$(1).o: accel/cpu/%.c $(O)/flags
	@mkdir -p $$(@D)
	$$(CMD_CC) $$(CPU_C) $$(ISA_$(1)) -DHKD_ISA=$(1) -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))
$(O)/accel/open.o $(O)/accel/cpu/device.o: $(O)/accel/%.o: accel/%.c $(O)/flags
	@mkdir -p $(@D)
	$(CMD_CC) $(CPU_C) -c -o $@ $<
$(O)/bin2c: accel/opencl/bin2c.c # runs on the machine that builds
	@mkdir -p $(@D)
	$(if $(V),,@echo "  HOST $@";) $(HOSTCC) -o $@ $<
$(O)/accel/opencl/kernels.c: $(O)/bin2c $(CL_TEXT)
	@mkdir -p $(@D)
	@$(O)/bin2c hkd_cl_source $(CL_TEXT) > $@
	@$(O)/bin2c hkd_cl_contract_source $(filter %/common.cl %/contract.h %/contract.cl,$(CL_TEXT)) >> $@
$(O)/accel/opencl/kernels.o: $(O)/accel/opencl/kernels.c $(O)/flags
	$(CMD_CC) $(ALL_C) -c -o $@ $<
$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(CMD_CC) $(ALL_C) -c -o $@ $<
-include $(shell find $(O) -name '*.d' 2>/dev/null)

demo: $(O)/hkd ## train a small model in minutes; pictures in out/
	$(O)/hkd demo
bench: $(O)/hkd ## how fast operators and networks run here
	$(O)/hkd bench

# ---- check: at most 10 minutes ---------------------------------------------------------------------------------------------
RUN      := tests/run.sh
FUZZED   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
ON_CL     = $(O)/hkd devices | grep -q '^opencl' || exit 77;

check: all $(O)/hkd_tests $(O)/hkd_accuracy $(FUZZED:%=$(O)/replay_%) ## build and run the tests
	@$(RUN) $(O)/check "house: tests/check_house.sh $(O) '$(CC)' '$(CXX)'" "units: $(O)/hkd_tests" \
	    "vectors on ref: $(O)/hkd verify --device ref" "vectors on cpu: $(O)/hkd verify --device cpu" \
	    "vectors recorded again: rm -rf $(O)/rec && $(O)/hkd record $(O)/rec --quiet && tests/same_vectors.sh $(O)/rec vectors" \
	    "vectors on cpu, fast: $(O)/hkd verify --device cpu --math fast" \
	    "vectors on cpu in plain C: $(O)/hkd verify --device cpu --isa plain" \
	    "vectors on opencl: $(ON_CL) $(O)/hkd verify --device opencl" \
	    "vectors on opencl, GPU profile: $(ON_CL) $(O)/hkd verify --device opencl --isa gpu" \
	    "vectors on opencl, float16: $(ON_CL) $(O)/hkd verify --device opencl --half" \
	    "accuracy of ref: $(O)/hkd_accuracy vectors" "judges of a port: CC='$(CC)' tests/check_port.sh $(O)" \
	    "hkd.py: tests/hkd_py.sh $(O)" "killed runs: tests/resume.sh $(O)/hkd" \
	    $(foreach f,$(FUZZED),"odd $(f) files: $(O)/replay_$(f) tests/fuzz/corpus/$(f)/*")
LONG_SRC  := $(filter-out ref/core/exact%,$(wildcard ref/core/*.c)) $(wildcard ref/op/*.c ref/net/*.c ref/diffusion/s*.c) \
             ref/diffusion/foreign_rng.c ref/train/optimizer.c $(wildcard tools/network_s*.c) tools/networks.c tools/recording.c
$(O)/hkd_accuracy: tests/accuracy/accuracy.c tests/accuracy/long_double.h $(LONG_SRC)
	@mkdir -p $(@D)
	$(CMD_CC) -std=c99 -O1 -w $(INCLUDE) -include tests/accuracy/long_double.h -o $@ $(filter %.c,$^) -lm
FUZZ_WITH := $(O)/tests/fuzz/file.o $(O)/tools.a $(IO_OBJ) $(O)/libhkd_ref.a
$(O)/replay_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/replay.o $(FUZZ_WITH)
	$(LINK)

# ---- check-all: what takes long, or tools that few have; what is missing is reported as not run -----------------------------
WITH      = command -v $(1) >/dev/null || exit 77;
BARE     := OPENMP=0 OPENCL=0 PNG=0 ZLIB=0 LIBZIP=0 LAPACKE=0 CLBLAST=0
STRICT   := CFLAGS='-O1 -g -fno-sanitize-recover=all' SANITIZE=address,undefined CI=1
check-all: all $(O)/hkd_tests ## sanitizers, mutants, other compilers and processors, simulated devices: what check leaves out
	@$(RUN) $(O)/check-all "sanitizers of gcc: $(call WITH,gcc) $(MAKE) sanitized O=$(O)/gcc CC=gcc $(STRICT)" \
	    "sanitizers of clang: $(call WITH,clang) $(MAKE) sanitized O=$(O)/clang CC=clang $(STRICT)" \
	    "whole network, whole demo: HKD_FULL=1 $(O)/hkd_tests exactness verb_demo" \
	    "built with nothing: $(MAKE) units O=$(O)/bare CI=1 $(BARE)" "mistakes are caught: $(MAKE) check-mutants" \
	    "same bytes everywhere: tests/check_bytes.sh $(O)" "OpenCL kernels without a GPU: $(MAKE) check-opencl" \
	    "OpenCL as a user meets it: $(ON_CL) tests/opencl_program.sh $(O)" \
	    "CLBlast and tuning: $(ON_CL) tests/clblast.sh $(O)" "edits spare what is coarse: tests/edit_control.sh $(O)" \
	    "installed: $(MAKE) check-install"
units: $(O)/hkd_tests
	$(O)/hkd_tests
sanitized: export LSAN_OPTIONS = suppressions=tests/leaks.supp
sanitized: $(O)/hkd $(O)/hkd_tests $(FUZZED:%=$(O)/replay_%)
	@$(RUN) $(O)/check "units: $(O)/hkd_tests" "vectors on ref: $(O)/hkd verify --device ref" \
	    "vectors on cpu: $(O)/hkd verify --device cpu" \
	    $(foreach f,$(FUZZED),"odd $(f) files: $(O)/replay_$(f) tests/fuzz/corpus/$(f)/*")
check-mutants: all ## plant one mistake at a time: the vectors must catch each, and accept every legal reordering
	tests/check_mutants.sh $(O) "$(CC) $(filter-out -MMD -MP,$(CPU_C))" "$(CC) $(CFLAGS)" "$(TOOL_OBJ)" "$(LIBS)" $(O)/mutants.md
mutant-table: all ## put the table of mistakes and the vectors that catch them into vectors/README.md
	-$(MAKE) check-mutants
	sed '/the first vector that catches each:$$/q' vectors/README.md >$(O)/readme && echo >>$(O)/readme
	cat $(O)/readme $(O)/mutants.md >vectors/README.md
check-bytes: ## the vectors have the same bits from every compiler, C library and processor that is here
	tests/check_bytes.sh $(O)
check-opencl: $(O)/hkd_tests ## the kernels under compilers for GPUs and in a simulator, as far as they are installed
	sh tests/opencl_offline.sh $(O) $(CL_TEXT)
check-install:
	rm -rf $(O)/root
	for goal in install installcheck uninstall; do $(MAKE) $$goal DESTDIR=$(abspath $(O)/root) || exit 1; done
	[ -z "$$(find $(O)/root ! -type d)" ]

$(O)/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(FUZZ_WITH)
	$(CMD_CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)
fuzz: ## search for input that breaks a parser, a minute each (clang)
	$(MAKE) CC=clang O=$(O)-fuzz CFLAGS="-O1 -g" SANITIZE=address,undefined,fuzzer-no-link $(FUZZED:%=$(O)-fuzz/fuzz_%)
	for f in $(FUZZED); do mkdir -p $(O)-fuzz/corpus/$$f && $(O)-fuzz/fuzz_$$f -max_total_time=60 -max_len=20000 \
	    -malloc_limit_mb=600 -artifact_prefix=$(O)-fuzz/ $(O)-fuzz/corpus/$$f tests/fuzz/corpus/$$f || exit 1; done

# ---- install ---------------------------------------------------------------------------------------------------------------
TO       := $(DESTDIR)$(PREFIX)
SHARED   := $(wildcard data/*.safetensors)
install: all ## program, library, headers, pkg-config file and models to PREFIX= (below DESTDIR=)
	$(INSTALL) -d $(TO)/bin $(TO)/lib/pkgconfig $(TO)/include $(TO)/share/hkd
	$(INSTALL) -m 755 $(O)/hkd $(TO)/bin/
	$(INSTALL) -m 644 $(O)/libhkd.a $(TO)/lib/ && $(INSTALL) -m 755 $(O)/libhkd.so $(TO)/lib/$(SO)
	ln -sf $(SO) $(TO)/lib/libhkd.so
	$(INSTALL) -m 644 include/*.h $(TO)/include/
	$(INSTALL) -m 644 $(SHARED) tools/hkd.py $(TO)/share/hkd/
	printf '%s\n' 'prefix=$(PREFIX)' '' 'Name: hkd' 'Description: Hierarchical Koopman Diffusion' \
	    "Version: $$(sed -n 's/.*HKD_VERSION "\(.*\)"/\1/p' include/hkd.h)" 'Requires: $(strip $(PACKAGES))' \
	    'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lhkd -lm $(if $(HAS_OPENMP),-fopenmp)' \
	    > $(TO)/lib/pkgconfig/hkd.pc
uninstall: ## remove what install put there
	rm -rf $(addprefix $(TO)/,bin/hkd lib/libhkd.a lib/libhkd.so lib/$(SO) lib/pkgconfig/hkd.pc share/hkd $(wildcard include/*.h))
installcheck: ## build and run a program against what is installed
	@mkdir -p $(O)
	PKG_CONFIG_PATH=$(TO)/lib/pkgconfig $(PKG) --define-variable=prefix=$(TO) --cflags --libs hkd > $(O)/installed.flags
	for with in -lhkd $(TO)/lib/libhkd.a; do $(CC) -std=c99 -o $(O)/installed tests/headers/library.c \
	    $$(sed "s|-lhkd|$$with|" $(O)/installed.flags) && \
	    LD_LIBRARY_PATH=$(TO)/lib $(O)/installed $(SHARED:data/%=$(TO)/share/hkd/%) || exit 1; done
	tests/hkd_py.sh $(O) $(TO)/share/hkd || [ $$? = 77 ]
	$(TO)/bin/hkd --version

clean: ## remove what was built
	rm -rf $(O) $(O)-fuzz
help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16
FORCE:
.PHONY: all ref demo bench check check-all units sanitized check-mutants mutant-table check-bytes check-opencl check-install \
        fuzz install uninstall installcheck clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:
endif
