#!/usr/bin/env bash
# make install: every file in its place below DESTDIR, nothing left after uninstall; and from an
# installation the example of docs/ is built by pkg-config alone, with warnings as errors, against
# the shared and the static library, and prints the same hash under mpirun at 1, 2 and 3 ranks.
# ranks: serial
set -eu
build=${BUILD:-build}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The variables of the make that runs the tests hold here too, but not its job server.
MAKEFLAGS=$(sed -E 's/ ?(-j[0-9]*|--jobserver[^ ]*)//g' <<<"${MAKEFLAGS-}") && export MAKEFLAGS
read -ra sanitizers <<<"${SANITIZERS-} ${SANITIZER_OBJECT-}"

fail() {
    echo "$*"
    exit 1
}

version=$(sed -n 's/^#define PLUMB_VERSION_[A-Z]* //p' include/plumb.h | paste -sd .)
make -s BUILD="$build" PREFIX=/usr DESTDIR="$folder/stage" install
for file in include/plumb.h bin/plumb lib/libplumb.a lib/libplumb.so "lib/libplumb.so.${version%%.*}" \
    "lib/libplumb.so.$version" lib/pkgconfig/plumb.pc share/doc/plumb/LICENSE; do
    [ -s "$folder/stage/usr/$file" ] || fail "not installed: $file"
done
! grep -q "$folder" "$folder/stage/usr/lib/pkgconfig/plumb.pc" || fail 'plumb.pc names DESTDIR'
make -s BUILD="$build" PREFIX=/usr DESTDIR="$folder/stage" uninstall
left=$(find "$folder/stage" ! -type d)
[ -z "$left" ] || fail "left after uninstall: $left"

here=$PWD/../$(basename "$PWD")
! make -s BUILD="$build" PREFIX="$here" install 2>"$folder/err" || fail 'installed among the sources'
grep -q 'PREFIX is the folder of the sources' "$folder/err" || fail "$(cat "$folder/err")"
make -n BUILD="$build" PREFIX="$here" uninstall | grep -q 'PREFIX is the folder of the sources' ||
    fail 'uninstall would remove the sources'

make -s BUILD="$build" PREFIX="$folder/usr" install
[ -s "$folder/usr/share/doc/plumb/include/plumb.h" ] || fail 'links of the documents lead nowhere'
export PKG_CONFIG_PATH=$folder/usr/lib/pkgconfig
[ "$(pkg-config --modversion plumb)" = "$version" ] || fail 'plumb.pc has another version'
[ "$(wc -l <docs/embedding.c)" -lt 80 ] || fail 'docs/embedding.c has 80 lines or more'
read -ra flags <<<"$(pkg-config --cflags --libs plumb)"
read -ra static_flags <<<"$(pkg-config --static --cflags --libs plumb)"
for i in "${!static_flags[@]}"; do
    case ${static_flags[i]} in -lplumb) static_flags[i]=-l:libplumb.a ;; esac
done
compile=("${MPICC:-mpicc}" -std=c11 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror
    docs/embedding.c "${sanitizers[@]}")
"${compile[@]}" "${flags[@]}" -o "$folder/shared"
"${compile[@]}" "${static_flags[@]}" -o "$folder/static"
ldd "$folder/static" | grep -q libplumb && fail 'the static example needs libplumb.so'

expected=''
for run in 'shared 2' 'shared 3' 'static 1'; do
    read -r kind ranks <<<"$run"
    line=$(LD_LIBRARY_PATH=$folder/usr/lib timeout 100 "${MPIRUN:-mpirun}" --allow-run-as-root \
        --oversubscribe -np "$ranks" "$folder/$kind" 2>&1) || fail "$kind, $ranks ranks: $line"
    [[ $line =~ ^loss\ [0-9.]+,\ parameters\ [0-9a-f]{32}$ ]] || fail "$kind, $ranks ranks: $line"
    [ "${expected:=$line}" = "$line" ] || fail "$kind, $ranks ranks: $line, not $expected"
done
loss=${expected#loss } && loss=${loss%%,*}
# Untrained it is about 25.
awk -v loss="$loss" 'BEGIN { exit !(loss < 0.05) }' || fail "the example did not learn: loss $loss"
