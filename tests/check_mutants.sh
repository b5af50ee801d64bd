#!/bin/sh
# Does the judge see mistakes, and only mistakes? Every patch in tests/mutants is a bug: one vector at least must reject it.
# Every patch in tests/variants is a legal way to compute: all vectors must accept it. One patch at a time is applied to a copy
# of accel/cpu; what it touches is compiled for plain C and linked before the library. A patch that does not apply fails.
#   tests/check_mutants.sh BUILD COMPILE LINK OBJECTS LIBS [TABLE]      TABLE: also write the table of bug -> vector there
build=$1 compile=$2 link=$3 program=$4 libs=$5 table=$6
cd "$(dirname "$0")/.." || exit 1
work=$build/mutants passed=0 failed=0
mkdir -p "$work" || exit 1
say() { echo "FAIL $1: $2"; failed=$((failed + 1)); }

# Apply $1 and leave the program in $work/hkd; the operators that the touched files serve in $ops.
build_with() {
    rm -rf "$work/accel" "$work/hkd" && mkdir -p "$work/accel" && cp -r accel/cpu "$work/accel/" || return 1
    patch -s -p1 -d "$work" <"$1" >"$work/log" 2>&1 || { say "$1" "does not apply"; return 1; }
    files=$(sed -n 's|^+++ b/accel/cpu/\([a-z0-9_]*\.[ch]\).*|\1|p' "$1") objects= ops=
    for f in $files; do
        case $f in *.h) sources=$(cd "$work/accel/cpu" && grep -l "\"$f\"" ./*.c) ;; *) sources=$f ;; esac
        for s in $sources; do
            s=${s#./}
            # shellcheck disable=SC2086
            $compile -I"$work/accel/cpu" -w -DHKD_ISA=plain -c -o "$work/${s%.c}.o" "$work/accel/cpu/$s" 2>"$work/log" ||
                { say "$1" "does not compile"; return 1; }
            objects="$objects $work/${s%.c}.o" ops="$ops ${s%.c}"
        done
    done
    # shellcheck disable=SC2086
    $link -o "$work/hkd" $program $objects "$build/libhkd.a" $libs 2>"$work/log" ||
        { say "$1" "does not link"; return 1; }
}

[ -z "$table" ] || printf '| mistake | the vector that catches it | how far off |\n|---|---|---|\n' >"$table"
for patch in tests/mutants/*.patch; do
    build_with "$patch" || continue
    caught=
    for op in $ops; do
        "$work/hkd" verify --device cpu --isa plain --threads 1 --op "$op" >"$work/log" 2>/dev/null
        [ $? = 1 ] && caught=$(sed -n 's/^FAIL \([a-z0-9_]*\/[^:]*\): \(.*\)$/\1 | \2/p' "$work/log" | head -1)
        [ -z "$caught" ] || break
    done
    if [ -n "$caught" ]; then
        passed=$((passed + 1))
        [ -z "$table" ] || echo "| $(head -1 "$patch") | $caught |" >>"$table"
    else
        say "$patch" "no vector catches it: $(head -1 "$patch")"
    fi
done
for patch in tests/variants/*.patch; do
    build_with "$patch" || continue
    good=1
    for op in $ops; do
        "$work/hkd" verify --device cpu --isa plain --threads 1 --op "$op" >"$work/log" 2>&1 || { good=0; tail -3 "$work/log"; }
    done
    if [ $good = 1 ]; then passed=$((passed + 1)); else say "$patch" "a legal way to compute is rejected: $(head -1 "$patch")"; fi
done
echo "mutants and variants: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -ge 48 ]
