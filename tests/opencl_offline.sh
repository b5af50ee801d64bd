#!/bin/sh
# Checks of the OpenCL kernels that need no GPU: tests/opencl_offline.sh BUILD KERNEL-SOURCES...
#   clang for spir64, with warnings, in both profiles: OpenCL C 1.2 and nothing that one vendor adds
#   clang for AMD's gfx900 and gfx1030, GPU profile and each tile that hkd tune may choose: no kernel may spill registers to memory
#   ocloc for three Intel generations, the same programs, where it is installed
#   oclgrind, in both profiles: reads and writes outside of buffers and data races, on the smallest cases of the unit tests; the
#   same and reads of what nobody wrote on the smallest recorded vectors
# What is not installed counts as skipped. The last line is "N passed, N failed, N skipped".
build=$(cd "$1" && pwd); shift
work=$build/opencl_offline
mkdir -p "$work"
cat "$@" > "$work/all.cl"
for file; do case $file in */common.cl | */contract.h | */contract.cl) cat "$file" ;; esac; done > "$work/contract.cl"
tiles=$(grep -o 'contract_[0-9]x[0-9]' accel/opencl/tune.c) # the table there: rows x vectors of an output tile
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok   $1"; }
bad() { failed=$((failed + 1)); echo "FAIL $1"; }
skip() { skipped=$((skipped + 1)); echo "SKIP $1: not run, $2"; }

clang=
for c in clang-15 clang-16 clang-14 clang; do [ -z "$clang" ] && command -v $c >/dev/null 2>&1 && clang=$c; done
cl="-x cl -cl-std=CL1.2 -Xclang -finclude-default-header"

# The compiler's options for a profile, from the table of device.c, and for a tile contract_4x2 on a GPU.
profile_options() {
    sed -n "s/^ *{\"$1\", \([0-9]*\), \([0-9]*\), \([0-9]*\), \([0-9]*\)},/-DWIDTH=\1 -DLANES=\2 -DPROFILE_M=\3 -DPROFILE_V=\4/p" accel/opencl/device.c
}
gpu=$(profile_options gpu)
tile_options() { echo "$1" | sed "s/contract_\(.\)x\(.\)/$gpu -DTILE_M=\1 -DTILE_V=\2 -Dcontract=&/"; }

for profile in cpu gpu; do
    name="spir64, profile $profile"
    if [ -z "$clang" ]; then skip "$name" "no clang"; continue; fi
    $clang $cl $(profile_options $profile) -target spir64 -Wall -Wdouble-promotion -Werror -fsyntax-only "$work/all.cl" 2> "$work/spir64.log"
    if [ -s "$work/spir64.log" ]; then bad "$name"; head -20 "$work/spir64.log"; else ok "$name"; fi
done

# The library of builtins is that of gfx900; without one every builtin is a call, and calls look like spills.
library=$(ls /usr/lib/clc/gfx900-amdgcn-mesa-mesa3d.bc 2>/dev/null)
for chip in gfx900 gfx1030; do
    name="$chip, no spills"
    if [ -z "$clang" ] || [ -z "$library" ]; then skip "$name" "no clang or no libclc"; continue; fi
    amd="$clang $cl -target amdgcn-mesa-mesa3d -mcpu=$chip -O3 -Xclang -mlink-builtin-bitcode -Xclang $library -S"
    $amd $gpu "$work/all.cl" -o "$work/$chip.s" 2> "$work/$chip.log"
    for tile in $tiles; do $amd $(tile_options $tile) "$work/contract.cl" -o "$work/$chip.$tile.s" 2>> "$work/$chip.log"; done
    if grep -q 'error:' "$work/$chip.log"; then bad "$name"; grep 'error:' "$work/$chip.log" | head -20; continue; fi
    awk '/\.amdgpu_hsa_kernel/ {k = $2} /; NumVgprs:/ {v = $3} /; ScratchSize:/ {s = $3} /; LDSByteSize:/ {l = $3}
         /; Occupancy:/ {printf "%-26s %3d registers  %5d scratch  %5d local  occupancy %d\n", k, v, s, l, $3}' \
        "$work/$chip.s" > "$work/$chip.txt"
    for tile in $tiles; do
        awk -v k=$tile '$2 == k ":" || $1 == k ":" {on = 1} on && /; NumVgprs:/ {v = $3} on && /; ScratchSize:/ {s = $3}
            on && /; Occupancy:/ {printf "%-26s %3d registers  %5d scratch  occupancy %d\n", k, v, s, $3; exit}' \
            "$work/$chip.$tile.s"
    done > "$work/$chip.tiles.txt"
    if [ ! -s "$work/$chip.txt" ]; then bad "$name: no figures"
    elif [ "$(wc -l < "$work/$chip.tiles.txt")" != "$(echo "$tiles" | wc -l)" ]; then bad "$name: not every tile has figures"
    elif grep -hv ' 0 scratch' "$work/$chip.txt" "$work/$chip.tiles.txt"; then bad "$name"
    else ok "$name ($(wc -l < "$work/$chip.txt") kernels; $(grep '^contract ' "$work/$chip.txt" | tr -s ' '))"; fi
done

# Installed, or unpacked into the build folder: installing Intel's driver would add a platform to every other test.
if ! command -v ocloc >/dev/null 2>&1 && [ ! -x "$work/intel/usr/bin/ocloc" ] && command -v dpkg-deb >/dev/null 2>&1; then
    mkdir -p "$work/intel"
    (cd "$work/intel" && apt-get download -q intel-opencl-icd libigc1 libigdfcl1 libigdgmm12 libllvm14 libllvmspirvlib14 libopencl-clang14 &&
     for deb in *.deb; do dpkg-deb -x "$deb" . && rm "$deb"; done) > "$work/intel.log" 2>&1
fi
[ ! -x "$work/intel/usr/bin/ocloc" ] || PATH=$PATH:$work/intel/usr/bin
libraries=$(find "$work/intel/usr/lib" -name 'libigc.so.1' -exec dirname {} \; 2>/dev/null | head -1)
for chip in skl tgllp dg2; do
    name="Intel $chip"
    if ! command -v ocloc >/dev/null 2>&1; then skip "$name" "no ocloc"; continue; fi
    (LD_LIBRARY_PATH=$libraries:$LD_LIBRARY_PATH && export LD_LIBRARY_PATH &&
     ocloc compile -file "$work/all.cl" -device $chip -options "-cl-std=CL1.2 $gpu" -out_dir "$work/$chip" &&
     for tile in $tiles; do
         ocloc compile -file "$work/contract.cl" -device $chip -options "-cl-std=CL1.2 $(tile_options $tile)" \
             -out_dir "$work/$chip/$tile" || exit 1
     done) > "$work/$chip.log" 2>&1
    if [ $? = 0 ]; then ok "$name"; else bad "$name"; tail -5 "$work/$chip.log"; fi
done

# oclgrind always exits with 0, so its log decides: simulated NAME WHAT-MUST-BE-SAID COMMAND...
simulated() {
    name=$1 says=$2; shift 2
    rm -f "$work/oclgrind.log"
    timeout 300 env OCL_ICD_VENDORS="$oclgrind" OCLGRIND_LOG="$work/oclgrind.log" OCLGRIND_MAX_ERRORS=20 OCLGRIND_DATA_RACES=1 \
        "$@" > "$work/oclgrind.txt" 2>&1
    if [ -s "$work/oclgrind.log" ]; then bad "$name"; head -30 "$work/oclgrind.log"
    elif ! grep -q "$says" "$work/oclgrind.txt"; then bad "$name: wrong results, or not done in time"; tail -5 "$work/oclgrind.txt"
    else ok "$name ($(tail -1 "$work/oclgrind.txt"))"; fi
}

# In the runs that look for uninitialised reads
#   no buffer is released: what a freed one held is taken to be what a new one at its address holds;
#   the contraction reads no lanes that nobody keeps (KEPT_LANES);
#   kernels are not optimised: some instructions of optimised code are unknown to it.
oclgrind=$(ls /usr/lib/oclgrind/liboclgrind-rt-icd.so /usr/local/lib/liboclgrind-rt-icd.so 2>/dev/null | head -1)
if [ -z "$oclgrind" ]; then skip "oclgrind" "it is not installed"
else
    simulated "oclgrind, units: bounds and races" '^ok   opencl' HKD_TEST_SMALL=1 "$build/hkd_tests" opencl
    echo 'int clReleaseMemObject(void *m) { return (void)m, 0; }' > "$work/keep.c"
    if ! python3 tests/tiny_vectors.py vectors "$work/tiny" 2000 || ! ${CC:-cc} -shared -fPIC -o "$work/keep.so" "$work/keep.c"
    then skip "oclgrind, vectors" "no python3 or no C compiler"
    else
        for profile in cpu gpu; do
            simulated "oclgrind, vectors, profile $profile: bounds, races, uninitialised reads" ' 0 failed, 0 skipped' \
                LD_PRELOAD="$work/keep.so" OCLGRIND_UNINITIALIZED=1 OCLGRIND_BUILD_OPTIONS="-DKEPT_LANES -cl-opt-disable" \
                "$build/hkd" verify "$work/tiny" --device opencl --isa $profile --force
        done
    fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
