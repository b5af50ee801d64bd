#!/bin/sh
# The vectors come out with the same bits from every compiler, optimisation level, C library and processor that is here: those
# of tests/accuracy/digest.txt, which belongs to the committed vectors.
# Usage: tests/check_bytes.sh BUILD
work=${1:-build}/bytes passed=0 failed=0 skipped=0
cd "$(dirname "$0")/.." && mkdir -p "$work" || exit 1
sources="tests/accuracy/digest.c tools/test_vector.c tools/fill.c tools/network*.c tools/recording.c tools/cases/*.c
         ref/op/*.c ref/core/*.c ref/net/*.c ref/diffusion/sampler*.c ref/diffusion/schedule.c
         ref/diffusion/foreign_rng.c ref/train/optimizer.c"
include="-Iinclude -Iref/core -Iref/net -Iref/diffusion -Iref/train -Itools"

# digest NAME RUNNER COMPILER FLAGS...
digest() {
    name=$1 runner=$2 compiler=$3; shift 3
    command -v "$compiler" >/dev/null && { [ -z "$runner" ] || command -v "$runner" >/dev/null; } ||
        { echo "SKIP bytes on $name: no $compiler or $runner"; skipped=$((skipped + 1)); return; }
    # shellcheck disable=SC2086
    "$compiler" "$@" -std=c99 -ffp-contract=off -w $include -o "$work/$name" $sources -lm 2>"$work/log" &&
        $runner "$work/$name" >"$work/$name.txt" || { echo "FAIL bytes on $name: does not build or run"; failed=$((failed + 1)); return; }
    if cmp -s tests/accuracy/digest.txt "$work/$name.txt"; then passed=$((passed + 1)); echo "ok   bytes on $name"; return; fi
    failed=$((failed + 1))
    echo "FAIL bytes on $name:"
    diff tests/accuracy/digest.txt "$work/$name.txt" | head -4
}

rm -f "$work"/*.txt
digest gcc-O3 "" gcc -O3
digest gcc-O0 "" gcc -O0
digest gcc-native "" gcc -O3 -march=native
digest clang-O3 "" clang -O3
digest clang-O0 "" clang -O0
digest musl "" musl-gcc -O2 -static
digest aarch64 qemu-aarch64-static aarch64-linux-gnu-gcc -O2 -static
digest s390x qemu-s390x-static s390x-linux-gnu-gcc -O2 -static
echo "bytes: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 1 ]
