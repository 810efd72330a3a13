#!/usr/bin/env bash
# Both libraries export plumb_* and nothing else, and all that the header declares; the library never
# prints, ends the process, starts or ends MPI, uses MPI_COMM_WORLD, or allocates uncounted memory;
# and it needs the libraries of the core only.
# ranks: serial
set -eu
build=${BUILD:-build}
failed=0

fail() {
    echo "$*"
    failed=1
}

exported() { nm "$@" | awk 'NF >= 3 { print $3 }' | sort -u; }

# Sanitizers' own tables are no interface.
others() { grep -vE '^(plumb_|__asan_|__odr_asan|__ubsan_)' || true; }

shared=$(exported -D --defined-only "$build/libplumb.so")
static=$(exported -g --defined-only "$build/libplumb.a")
for names in "$shared" "$static"; do
    [ -z "$(others <<<"$names")" ] || fail "exported, but not plumb_*:" "$(others <<<"$names")"
done

declared=$(sed 's/^ \*.*//' include/plumb.h | grep -oE '\bplumb_[a-z0-9_]+\(' | tr -d '(' | sort -u)
[ "$(wc -w <<<"$declared")" -gt 20 ] || fail "the header's functions were not found"
for name in $declared; do
    grep -qx "$name" <<<"$shared" || fail "declared but not in libplumb.so: $name"
    grep -qx "$name" <<<"$static" || fail "declared but not in libplumb.a: $name"
done

used=$(nm -u "$build/libplumb.a" | awk '{ print $NF }' | sort -u)
forbidden='printf|fprintf|vprintf|vfprintf|puts|putchar|fputs|fputc|fwrite|perror|stdout|stderr'
forbidden+='|exit|_exit|quick_exit|abort|__assert_fail|signal|sigaction'
forbidden+='|MPI_Init|MPI_Init_thread|MPI_Finalize|MPI_Abort|ompi_mpi_comm_world'
forbidden+='|malloc|calloc|realloc|strdup|posix_memalign'
found=$(grep -xE "$forbidden" <<<"$used" || true)
[ -z "$found" ] || fail "the library may not use: $found"

[ "$(objdump -p "$build/libplumb.so" | awk '/SONAME/ { print $2 }')" = libplumb.so.0 ] ||
    fail "the soname is not libplumb.so.0"
needed=$(objdump -p "$build/libplumb.so" | awk '/NEEDED/ { print $2 }')
extra=$(grep -vE '^(libmpi|libopenblas|liblapacke|libxxhash|libm|libc|libasan|libubsan|ld-linux)' \
    <<<"$needed" || true)
[ -z "$extra" ] || fail "libplumb.so needs more than the core's libraries: $extra"
missing=$(ldd -r "$build/libplumb.so" 2>&1 | grep 'undefined symbol' | grep -vE '__(asan|ubsan)' || true)
[ -z "$missing" ] || fail "$missing"
exit $failed
