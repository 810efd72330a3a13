# Builds libplumb (static and shared) and the program plumb, tests and installs them.
# `make help` lists the targets, `make info` prints the configuration.

# ---- What a user may set: make VARIABLE=value ------------------------------------------------
MPICC ?= mpicc
MPIRUN ?= mpirun
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
DESTDIR ?=
LIBDIR ?= $(PREFIX)/lib
SANITIZE ?= 0
# 0 leaves out plumb replay, plumb diagnose and --record-gradients, which need HDF5 with MPI support.
WITH_HDF5 ?= 1
STRICT ?= 0
BUILD ?= $(if $(filter 1,$(SANITIZE)),build-sanitize,build)
search ?=
# More options of scripts/run-tests, such as '--ranks 2 --seconds 60'.
TEST_OPTIONS ?=
V ?= 0

# ---- Version, flags and libraries ------------------------------------------------------------
version_of = $(shell sed -n 's/^\#define PLUMB_VERSION_$(1) //p' include/plumb.h)
MAJOR := $(call version_of,MAJOR)
VERSION := $(MAJOR).$(call version_of,MINOR).$(call version_of,PATCH)

# $(call package,--libs,name,what to use where pkg-config does not know the name)
package = $(shell $(PKG_CONFIG) $(1) $(2) 2>/dev/null || echo $(3))
# Other people's headers are included as system headers: our warnings are about our code.
package_headers = $(patsubst -I%,-isystem %,$(call package,--cflags,$(1),))

CORE_LIBS := $(call package,--libs,lapacke,-llapacke) $(call package,--libs,openblas,-lopenblas) \
             $(call package,--libs,libxxhash,-lxxhash) -lm
PROGRAM_LIBS := $(call package,--libs,jansson,-ljansson) $(call package,--libs,zlib,-lz)
ifeq ($(WITH_HDF5),1)
# HDF5=name: another pkg-config name of an HDF5 with MPI support.
HDF5 ?= $(firstword $(shell for name in hdf5-openmpi hdf5-mpi hdf5; do \
          $(PKG_CONFIG) --exists $$name && echo $$name; done) hdf5)
HDF5_FLAGS := $(call package_headers,$(HDF5))
PROGRAM_LIBS += $(call package,--libs,$(HDF5),-lhdf5)
else
HDF5_FLAGS := -DPLUMB_WITHOUT_HDF5
endif
TEST_LIBS := $(call package,--libs,check,-lcheck -lsubunit -lrt -pthread)
HEADERS := $(call package_headers,lapacke openblas libxxhash) $(call package_headers,jansson zlib) \
           $(HDF5_FLAGS)

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
ifeq ($(STRICT),1)
WARNINGS += -Werror
endif
ifeq ($(SANITIZE),1)
# Run-time dispatch resolves functions before the sanitizers are ready: left out here.
OPTIMISATION := -O1 -fno-omit-frame-pointer -DPLUMB_NO_VECTOR_CLONES
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
SUFFIX := -sanitize
else
OPTIMISATION := -O3
endif

CPPFLAGS_ALL := -Iinclude -Isrc $(HEADERS) $(CPPFLAGS)
CFLAGS_ALL := -std=c11 $(OPTIMISATION) -ffp-contract=off -fno-math-errno -g -fPIC \
              -fno-semantic-interposition $(SANITIZERS) $(WARNINGS) $(CFLAGS)
COMPILE := $(MPICC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)
# What `plumb info` shows of them: as a C string, which a shell takes from single quotes.
C_TEXT = $(subst ",\",$(subst \,\\,$(filter-out -W%,$(1))))
BUILD_FLAGS := -DPLUMB_BUILD_FLAGS='"$(subst ','\'',$(call C_TEXT,$(CFLAGS_ALL)))"'
LINK := $(MPICC) $(SANITIZERS) $(LDFLAGS)
# Commands are shown by a word and the file they make; V=1 shows them whole.
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $@;)

# ---- Files -----------------------------------------------------------------------------------
LIBRARY_FOLDERS := base linalg correct exchange optim diagnose step
PROGRAM_FOLDERS := workload store app
LIBRARY_SOURCES := $(wildcard $(LIBRARY_FOLDERS:%=src/%/*.c))
HDF5_SOURCES := $(addprefix src/store/,gradient_file.c gradient_layout.c hdf5_parallel.c \
                shared_error.c values_file.c \
                written_file.c written_datasets.c gradient_recorder.c) \
                $(addprefix src/app/,replay.c replay_options.c replay_report.c replay_steps.c \
                train_record.c \
                diagnose.c diagnose_average.c diagnose_json.c diagnose_matrix.c \
                diagnose_options.c diagnose_parameter.c diagnose_setup.c \
                diagnose_table.c diagnose_values.c)
WITHOUT_HDF5_SOURCES := $(addprefix src/app/,replay_absent.c diagnose_absent.c \
                        train_record_absent.c)
PROGRAM_SOURCES := $(filter-out $(if $(filter 1,$(WITH_HDF5)),$(WITHOUT_HDF5_SOURCES), \
                   $(HDF5_SOURCES)),$(wildcard $(PROGRAM_FOLDERS:%=src/%/*.c)))
SANITIZER_SOURCE := mpi_tests/support/sanitizer.c
SUPPORT_SOURCES := $(filter-out $(SANITIZER_SOURCE),$(wildcard mpi_tests/support/*.c))
TEST_SOURCES := $(wildcard mpi_tests/t*.c)
# Programs that make HDF5 files for tests, and for scripts/json-to-gradients.
TOOL_SOURCES := $(if $(filter 1,$(WITH_HDF5)),$(wildcard mpi_tests/support/tools/*.c))
TEST_SCRIPTS := $(wildcard mpi_tests/t*.sh)
OWN_HEADERS := $(wildcard include/*.h src/*/*.h mpi_tests/support/*.h)
C_SOURCES := $(LIBRARY_SOURCES) $(sort $(PROGRAM_SOURCES) $(WITHOUT_HDF5_SOURCES)) \
             $(wildcard mpi_tests/support/*.c) \
             $(TOOL_SOURCES) $(TEST_SOURCES) $(wildcard docs/*.c scripts/experiments/*.c)
SHELL_SOURCES := .ci/run $(TEST_SCRIPTS) $(wildcard mpi_tests/support/*.sh) \
                 $(shell grep -lE '^\#!.*(ba)?sh' scripts/* scripts/*/* 2>/dev/null)

objects = $(patsubst %.c,$(BUILD)/objects/%.o,$(1))
LIBRARY_OBJECTS := $(call objects,$(LIBRARY_SOURCES))
PROGRAM_OBJECTS := $(call objects,$(PROGRAM_SOURCES))
SUPPORT_OBJECTS := $(call objects,$(SUPPORT_SOURCES))
SANITIZER_OBJECT := $(if $(SANITIZERS),$(call objects,$(SANITIZER_SOURCE)))
# `make check search=t2` builds and runs the tests whose names contain t2.
searched = $(strip $(foreach name,$(1),$(if $(search),$(if \
             $(findstring $(search),$(name)),$(name)),$(name))))
TESTS := $(call searched,$(TEST_SOURCES:mpi_tests/%.c=%))
SCRIPTS := $(call searched,$(TEST_SCRIPTS:mpi_tests/%.sh=%))

STATIC := $(BUILD)/libplumb.a
SHARED_NAMES := libplumb.so libplumb.so.$(MAJOR) libplumb.so.$(VERSION)
SHARED := $(BUILD)/libplumb.so.$(VERSION)
PROGRAM := $(BUILD)/plumb$(SUFFIX)
# All but main, with all symbols, for tests of internals; and what tests share.
INTERNAL := $(BUILD)/objects/internal.a
SUPPORT := $(BUILD)/objects/support.a

.DELETE_ON_ERROR:
.PHONY: all library tests tools help info check check-serial check-mpi check-sanitize check-valgrind \
        lint format format-check bench install uninstall clean FORCE

# ---- Building --------------------------------------------------------------------------------
all: library $(PROGRAM) ## build the libraries and the program (default)

library: $(STATIC) $(SHARED_NAMES:%=$(BUILD)/%) ## build libplumb.a and libplumb.so only

# A change of compiler or flags rebuilds everything; a source that came or went, what is linked.
$(BUILD)/flags: NOW = $(COMPILE) | $(LINK)
$(BUILD)/files: NOW = $(LIBRARY_SOURCES) $(PROGRAM_SOURCES) $(SUPPORT_SOURCES)
$(BUILD)/flags $(BUILD)/files: FORCE
	@mkdir -p $(BUILD)
	@echo '$(NOW)' | cmp -s - $@ || echo '$(NOW)' >$@

OBJECT_FLAGS :=
$(BUILD)/objects/mpi_tests/%.o: OBJECT_FLAGS := -Impi_tests
$(BUILD)/objects/src/app/info.o: OBJECT_FLAGS := $(BUILD_FLAGS)
$(BUILD)/objects/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,compile)$(COMPILE) $(OBJECT_FLAGS) -MMD -MP -c $< -o $@

# One relocatable object whose only global symbols are plumb_*: internal names cannot clash.
$(STATIC): $(LIBRARY_OBJECTS) $(BUILD)/files
	$(call say,archive)ld -r -o $@.o $(LIBRARY_OBJECTS) && \
	    objcopy --wildcard --keep-global-symbol='plumb_*' $@.o && \
	    rm -f $@ && ar rcs $@ $@.o && rm $@.o

$(BUILD)/libplumb.map: $(BUILD)/flags
	@echo '{ global: plumb_*; local: *; };' >$@

$(SHARED): $(LIBRARY_OBJECTS) $(BUILD)/libplumb.map $(BUILD)/files
	$(call say,link)$(LINK) -shared -Wl,-soname,libplumb.so.$(MAJOR) \
	    -Wl,--version-script=$(BUILD)/libplumb.map -o $@ $(LIBRARY_OBJECTS) $(CORE_LIBS)

$(BUILD)/libplumb.so $(BUILD)/libplumb.so.$(MAJOR): $(SHARED)
	@ln -sf $(notdir $<) $@

# The static library keeps the program to the public interface: nothing else can be linked.
$(PROGRAM): $(PROGRAM_OBJECTS) $(SANITIZER_OBJECT) $(STATIC) $(BUILD)/files
	$(call say,link)$(LINK) -o $@ $(filter %.o %.a,$^) $(CORE_LIBS) $(PROGRAM_LIBS)

$(INTERNAL): $(LIBRARY_OBJECTS) $(filter-out %/src/app/main.o,$(PROGRAM_OBJECTS))
$(SUPPORT): $(SUPPORT_OBJECTS)
$(INTERNAL) $(SUPPORT): $(BUILD)/files
	$(call say,archive)rm -f $@ && ar qcs $@ $(filter %.o,$^)

$(BUILD)/tests/%: $(BUILD)/objects/mpi_tests/%.o $(SANITIZER_OBJECT) $(SUPPORT) $(INTERNAL)
	@mkdir -p $(@D)
	$(call say,link)$(LINK) -o $@ $^ $(CORE_LIBS) $(PROGRAM_LIBS) $(TEST_LIBS)

$(BUILD)/tools/%: $(BUILD)/objects/mpi_tests/support/tools/%.o $(SANITIZER_OBJECT)
	@mkdir -p $(@D)
	$(call say,link)$(LINK) -o $@ $^ $(PROGRAM_LIBS) -lm

TOOLS := $(TOOL_SOURCES:mpi_tests/support/tools/%.c=$(BUILD)/tools/%)
tools: $(TOOLS) ## build the converter from JSON and what makes HDF5 files for tests

tests: $(if $(SCRIPTS),all tools,library) $(TESTS:%=$(BUILD)/tests/%) ## build what the tests need
.SECONDARY: $(call objects,$(TEST_SOURCES) $(TOOL_SOURCES)) $(SUPPORT_OBJECTS) $(SANITIZER_OBJECT)

-include $(patsubst %.o,%.d,$(LIBRARY_OBJECTS) $(PROGRAM_OBJECTS) $(SUPPORT_OBJECTS) \
           $(call objects,$(TEST_SOURCES) $(TOOL_SOURCES)))

# ---- Testing ---------------------------------------------------------------------------------
RUN_TESTS = MPIRUN='$(MPIRUN)' MPICC='$(MPICC)' SANITIZERS='$(SANITIZERS)' \
            SANITIZER_OBJECT='$(SANITIZER_OBJECT)' scripts/run-tests --build $(BUILD) \
            --program $(PROGRAM) --search '$(search)' $(TEST_OPTIONS)

check: tests ## run all tests (search=t2: those whose names contain t2)
	@$(RUN_TESTS)

check-serial: tests ## run the tests that need one process
	@$(RUN_TESTS) --kind serial

check-mpi: tests ## run the tests that need several ranks
	@$(RUN_TESTS) --kind mpi

check-sanitize: ## build in build-sanitize with ASan and UBSan and run all tests there
	@$(MAKE) --no-print-directory BUILD=build-sanitize SANITIZE=1 check

# Valgrind is slow and knows no AVX-512: a slice of the tests.
VALGRIND_TESTS ?= t001 t002 t007 t100
check-valgrind: tests ## run a few tests under valgrind
	@$(RUN_TESTS) --valgrind $(VALGRIND_TESTS:%=--only %)

# ---- Care of the sources ---------------------------------------------------------------------
MPI_HEADERS = $(patsubst -I%,-isystem %,$(filter -I%,$(shell $(MPICC) -show)))

lint: ## clang-tidy, cppcheck and shellcheck, those that are installed
	@scripts/lint --flags '-std=c11 -Iinclude -Isrc -Impi_tests $(HEADERS) $(MPI_HEADERS)' \
	    --c '$(C_SOURCES)' --shell '$(SHELL_SOURCES)'

format: ## format the C sources in place
	clang-format -i $(C_SOURCES) $(OWN_HEADERS)

format-check: ## fail if a C source is not formatted
	clang-format --dry-run --Werror $(C_SOURCES) $(OWN_HEADERS)

bench: all ## run the program's benchmarks
	$(PROGRAM) bench

# ---- Installing ------------------------------------------------------------------------------
# Other MPI libraries have other pkg-config names; with those, compile with their mpicc.
MPI_PACKAGE = $(if $(findstring Open MPI,$(shell $(MPICC) -showme:version 2>&1)),$(shell \
                $(PKG_CONFIG) --exists ompi-c && echo ompi-c))
DOCUMENTS = $(DESTDIR)$(PREFIX)/share/doc/plumb
INSTALLED = $(DESTDIR)$(PREFIX)/include/plumb.h $(DESTDIR)$(PREFIX)/bin/plumb \
            $(DESTDIR)$(LIBDIR)/libplumb.a $(SHARED_NAMES:%=$(DESTDIR)$(LIBDIR)/%) \
            $(DESTDIR)$(LIBDIR)/pkgconfig/plumb.pc

define PKG_CONFIG_FILE
prefix=$(PREFIX)
includedir=$${prefix}/include
libdir=$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))

Name: plumb
Description: Averaged, then orthogonalised: optimizer steps over MPI with reproducible bits
Version: $(VERSION)
Requires: $(MPI_PACKAGE)
Cflags: -I$${includedir}
Libs: -L$${libdir} -lplumb
Libs.private: $(CORE_LIBS)
endef
export PKG_CONFIG_FILE

# There the header would be installed onto itself, and uninstall would remove it.
.PHONY: other-folder
other-folder:
	@[ '$(abspath $(DESTDIR)$(PREFIX))' != '$(CURDIR)' ] || \
	    { echo 'PREFIX is the folder of the sources: choose another' >&2; exit 1; }

install: other-folder all ## install below PREFIX (default /usr/local), staged in DESTDIR
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin \
	    $(DESTDIR)$(LIBDIR)/pkgconfig $(DOCUMENTS)/include
	install -m 644 include/plumb.h $(DESTDIR)$(PREFIX)/include/plumb.h
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)/libplumb.a
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)/libplumb.so.$(VERSION)
	ln -sf libplumb.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libplumb.so.$(MAJOR)
	ln -sf libplumb.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libplumb.so
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/plumb
	echo "$$PKG_CONFIG_FILE" >$(DESTDIR)$(LIBDIR)/pkgconfig/plumb.pc
	install -m 644 LICENSE $(wildcard README.md CHANGELOG.md CONTRIBUTING.md) $(DOCUMENTS)
	cp -R docs hostfiles $(DOCUMENTS)/
	install -m 644 include/plumb.h $(DOCUMENTS)/include/plumb.h

uninstall: other-folder ## remove what install put there
	rm -f $(INSTALLED)
	rm -rf $(DOCUMENTS)

clean: ## remove the build folders
	rm -rf build build-sanitize $(filter-out build build-sanitize,$(BUILD))

# ---- Telling ---------------------------------------------------------------------------------
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@echo 'Variables: BUILD MPICC CFLAGS LDFLAGS STRICT=1 SANITIZE=1 WITH_HDF5=0 HDF5 PREFIX DESTDIR' \
	    'LIBDIR search TEST_OPTIONS V=1'

info: ## print the configuration
	@printf '%-16s %s\n' version '$(VERSION)' build '$(BUILD)' program '$(PROGRAM)' \
	    compiler '$(MPICC): $(shell $(MPICC) --version 2>&1 | head -n 1)' \
	    mpi '$(shell $(MPIRUN) --version 2>&1 | head -n 1)' \
	    preprocessor '$(CPPFLAGS_ALL)' flags '$(CFLAGS_ALL)' linker '$(LDFLAGS)' \
	    'core libraries' '$(CORE_LIBS)' '... program' '$(PROGRAM_LIBS)' '... tests' '$(TEST_LIBS)' \
	    hdf5 '$(if $(filter 1,$(WITH_HDF5)),$(HDF5),left out)' \
	    install '$(DESTDIR)$(PREFIX), libraries in $(DESTDIR)$(LIBDIR)' \
	    sources '$(words $(LIBRARY_SOURCES)) library, $(words $(PROGRAM_SOURCES)) program' \
	    test '$(words $(TEST_SOURCES)) programs, $(words $(TEST_SCRIPTS)) scripts'
