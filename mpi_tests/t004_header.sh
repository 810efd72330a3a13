#!/usr/bin/env bash
# The public header alone compiles as C11 and as C++17 without a warning, twice included as well,
# and every function it declares can be called from C++ (no mangled names).
# ranks: serial
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/use.c" <<'SOURCE'
#include "plumb.h"
#include "plumb.h"
int main(void);
int main(void)
{
    plumb *p = NULL;
    plumb_options options;
    plumb_parameter_options parameter;
    plumb_status status = plumb_options_init(&options, sizeof options);
    if (status == PLUMB_OK) {
        status = plumb_parameter_options_init(&parameter, sizeof parameter, PLUMB_OPTIMIZER_MUON);
    }
    if (status == PLUMB_OK) {
        status = plumb_create(MPI_COMM_SELF, &options, &p);
    }
    return status == PLUMB_OK && plumb_destroy(&p) == PLUMB_OK ? 0 : 1;
}
SOURCE
cp "$folder/use.c" "$folder/use.cpp"

# The MPI library's own headers are system headers here: only ours is judged.
read -ra words <<<"$("${MPICC:-mpicc}" -show)"
mpi=()
for word in "${words[@]}"; do
    case $word in -I*) mpi+=(-isystem "${word#-I}") ;; esac
done
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude "${mpi[@]}" -c)

gcc -std=c11 -Wstrict-prototypes "${warnings[@]}" "$folder/use.c" -o "$folder/c.o"
g++ -std=c++17 "${warnings[@]}" "$folder/use.cpp" -o "$folder/cpp.o"

for object in c.o cpp.o; do
    if nm -u "$folder/$object" | grep -q '_Z.*plumb'; then
        echo "$object refers to a mangled name: extern \"C\" is missing"
        exit 1
    fi
done
