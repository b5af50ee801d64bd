#!/bin/sh
# Does the judge see mistakes, and only mistakes? Every patch in tests/mutants is a bug: one vector at least must reject it.
# Every patch in tests/variants is a legal way to compute: all vectors must accept it. One patch at a time is applied to a copy
# of the device it touches; what it touches is compiled and linked before the library. A patch that does not apply fails.
# Names say where a patch is judged: opencl_* on OpenCL, avx2_* on that build, fast_* there with --math fast, others in plain C;
# fused_* on that build with the composites, as fused rows have no vectors of their own and plain C is what these measure with.
# A program with a bug in an operator of OpenCL's self-check must refuse its device besides.
#   tests/check_mutants.sh BUILD COMPILE LINK OBJECTS LIBS [TABLE]      TABLE: also write the table of bug -> vector there
build=$1 compile=$2 link=$3 program=$4 libs=$5 table=$6
cd "$(dirname "$0")/.." || exit 1
work=$build/mutants mutants=0 variants=0 refused=0 failed=0 skipped=0
mkdir -p "$work" || exit 1
XDG_CACHE_HOME=$(cd "$work" && pwd)/cache && export XDG_CACHE_HOME
say() { echo "FAIL $1: $2"; failed=$((failed + 1)); }

# "linear 12.34 %, forward 5.6 %": the rows of the last verification (--tensors) with the largest share of the allowance that
# each used, and the largest share among results that are no gradients, which most legal ways compute in another way.
shares() {
    sed -n 's/^ok   *\(.*[^ ]\)  *[0-9]* cases .* worst *\([0-9.]*\) % .*/\1 \2 %,/p' "$work/log" | paste -s -d ' ' -
    awk '/^PASS [^ ]* out\./ && $(NF - 1) + 0 > most {most = $(NF - 1) + 0} END {print "forward", most, "%"}' "$work/log"
}

# compiled OBJECT SOURCE FLAGS...
compiled() {
    object=$1 source=$2; shift 2
    # shellcheck disable=SC2086
    $compile "$@" -w -c -o "$object" "$source" 2>"$work/log"
}

# Sets $how (options of verify), $isa, $flags for a patch; fails when this machine cannot run it.
place() {
    isa=plain flags= how="--device cpu --isa plain"
    case ${1##*/} in
        opencl_half_*) how="--device opencl --half --force" ;;
        opencl_*) how="--device opencl --force" ;;
        avx2_* | fused_*) isa=avx2 flags="-mavx2 -mfma" how="--device cpu --isa avx2" ;;
        fast_*) isa=avx2 flags="-mavx2 -mfma" how="--device cpu --isa avx2 --math fast" ;;
        *) return 0 ;;
    esac
    # shellcheck disable=SC2086
    "$build/hkd" verify $how --op relu >/dev/null 2>&1
}

# Apply $1 and leave the program in $work/hkd; the operators that the touched files serve in $ops.
build_with() {
    rm -rf "$work/accel" "$work/hkd" && mkdir -p "$work/accel" && cp -r accel/cpu accel/opencl "$work/accel/" || return 1
    patch -s -p1 -d "$work" <"$1" >"$work/log" 2>&1 || { say "$1" "does not apply"; return 1; }
    objects= ops=
    for f in $(sed -n 's|^+++ b/accel/\([a-z0-9_/]*\.[a-z]*\).*|\1|p' "$1"); do
        name=${f##*/}
        case $f in
            *.cl | *.clh)
                sources=$(cd "$work" && echo accel/opencl/*.clh accel/opencl/*.cl | sed 's|accel/opencl/common.cl||')
                # shellcheck disable=SC2086
                (cd "$work" && "$here/$build/bin2c" hkd_cl_source accel/opencl/common.cl accel/opencl/contract.h \
                    accel/opencl/pool_shape.h $sources >kernels.c && "$here/$build/bin2c" hkd_cl_contract_source \
                    accel/opencl/common.cl accel/opencl/contract.h accel/opencl/contract.cl >>kernels.c) && compiled "$work/kernels.o" "$work/kernels.c" ||
                    { say "$1" "does not compile"; return 1; }
                objects=$work/kernels.o ops="$ops ${name%.cl*}"; continue ;;
            *.h) sources=$(cd "$work/accel/cpu" && grep -l "\"$name\"" ./*.c) ;;
            *) sources=$name ;;
        esac
        for s in $sources; do
            s=${s#./}
            # shellcheck disable=SC2086
            compiled "$work/${s%.c}.o" "$work/accel/cpu/$s" -I"$work/accel/cpu" $flags -DHKD_ISA=$isa ||
                { say "$1" "does not compile"; return 1; }
            objects="$objects $work/${s%.c}.o" ops="$ops ${s%.c}"
        done
    done
    ops=$(echo "$ops" | sed 's/gemm/conv2d/; s/conv2d_direct[a-z_]*/conv2d/; s/winograd[a-z_]*/conv2d/; s/half/networks/; s/contract/linear/')
    case ${1##*/} in fused_*) ops=networks ;; esac
    # shellcheck disable=SC2086
    $link -o "$work/hkd" $program $objects "$build/libhkd.a" $libs 2>"$work/log" ||
        { say "$1" "does not link"; return 1; }
}

# The program with patch $1 refuses the device with exit 4, names the operator, and goes on, with a warning, when forced.
refuses_itself() {
    case "$how $ops" in
        *opencl*linear | *opencl*conv2d | *opencl*group_norm | *opencl*attention | *opencl*koopman_evolve) ;;
        *) return 0 ;;
    esac
    "$work/hkd" verify --device opencl --op relu >"$work/log" 2>&1
    [ $? = 4 ] && grep -q "computes wrongly: ${ops# }," "$work/log" || { say "$1" "its device is not refused"; return 1; }
    "$work/hkd" verify --device opencl --op relu --force >"$work/log" 2>&1 && grep -q "self-check was left out" "$work/log" ||
        { say "$1" "--force does not override the refusal, or says nothing"; return 1; }
    refused=$((refused + 1))
}

here=$(pwd)
case $build in /*) here= ;; esac
for patch in tests/mutants/*.patch; do
    place "$patch" || { echo "SKIP $patch: nothing here runs $how"; skipped=$((skipped + 1)); continue; }
    build_with "$patch" || continue
    caught=
    for op in $ops; do
        # shellcheck disable=SC2086
        "$work/hkd" verify $how --threads 1 --op "$op" >"$work/log" 2>/dev/null
        [ $? = 1 ] && caught=$(sed -n 's/^FAIL \([a-z0-9_]*\/[^:]*\): \(.*\)$/\1 | \2/p' "$work/log" | head -1)
        [ -z "$caught" ] || break
    done
    if [ -n "$caught" ]; then
        refuses_itself "$patch" || continue
        mutants=$((mutants + 1))
        row="| $(head -1 "$patch") | $caught |"
        [ -z "$table" ] || grep -qxF "$row" vectors/README.md || { say "$patch" "vectors/README.md lacks: $row"; }
        [ -z "$table" ] || echo "$row" >>"$table.new"
    else
        say "$patch" "no vector catches it: $(head -1 "$patch")"
    fi
done
for patch in tests/variants/*.patch; do
    place "$patch" && build_with "$patch" || continue
    good=1 used=
    for op in $ops; do
        # shellcheck disable=SC2086
        "$work/hkd" verify $how --threads 1 --op "$op" --tensors >"$work/log" 2>&1 || { good=0; grep -A3 '^FAIL' "$work/log" | head -8; }
        used="$used $(echo $(shares))"
    done
    if [ $good = 1 ]; then variants=$((variants + 1)) && echo "ok   ${patch##*/}:$used"; else say "$patch" "a legal way to compute is rejected: $(head -1 "$patch")"; fi
done
for how in "--isa plain" "--math direct" "--math fast"; do # beside the variant that is F(2x2)
    # shellcheck disable=SC2086
    "$build/hkd" verify --device cpu $how --op conv2d --tensors >"$work/log" 2>&1 || say "--device cpu $how" "conv2d is wrong"
    echo "ok   as built, $how: $(echo $(shares))"
done
[ -z "$table" ] || [ $skipped != 0 ] || # a row of a mistake that is gone?
    [ "$(sed '1,/the first vector that catches each:$/d' vectors/README.md | grep -c '^| ')" = $((mutants + 1)) ] ||
    say vectors/README.md "its table has another number of rows than mistakes were caught"
[ -z "$table" ] || { printf '| mistake | the vector that catches it | how far off |\n|---|---|---|\n'; cat "$table.new"; } >"$table"
rm -f "$table.new"
echo "mistakes caught: $mutants, legal ways accepted: $variants (at least 40 and 8), OpenCL devices refused: $refused"
echo "mutants and variants: $((mutants + variants)) passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $mutants -ge 40 ] && [ $variants -ge 8 ]
