#!/bin/sh
# The OpenCL device as a user of the program meets it: tests/opencl_program.sh BUILD. Each run is a process of its own, for the
# loader and the drivers read their environment once.
#   what is said without a platform, and where PoCL cannot write to its cache: one line, the remedy, exit 4
#   the first run on a device checks it and remembers that; --force leaves that out and says so
#   a device with 1 GiB: passes that do not fit become smaller and no bit of a result changes; what cannot become smaller ends
#   with the bytes asked for and available, exit 5
# The last line is "N passed, N failed, N skipped".
hkd=$1/hkd work=$1/opencl_program
POCL_CACHE_DIR=${POCL_CACHE_DIR:-$work/pocl} XDG_CACHE_HOME=$work/cache; export POCL_CACHE_DIR XDG_CACHE_HOME
mkdir -p "$work" "$POCL_CACHE_DIR" && rm -rf "$XDG_CACHE_HOME" && mkdir "$XDG_CACHE_HOME" || exit 1
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok   $1"; }
bad() { failed=$((failed + 1)); echo "FAIL $1"; cat "$work/err"; }

# ends CODE LINES WORDS...: the last command ended so, said so many lines and in them every one of the words
ends() {
    code=$? wanted=$1 lines=$2 name=$3; shift 3
    [ $code = "$wanted" ] || { bad "$name: exit $code, expected $wanted"; return; }
    [ "$lines" = any ] || [ "$(wc -l < "$work/err")" = "$lines" ] || { bad "$name: not $lines lines"; return; }
    for word; do grep -q -e "$word" "$work/err" || { bad "$name: does not say '$word'"; return; }; done
    ok "$name"
}

OCL_ICD_VENDORS=$work/none "$hkd" verify --device opencl --op relu > "$work/out" 2> "$work/err"
ends 4 1 "no platform" "no device found" "pocl-opencl-icd"
OCL_ICD_VENDORS=$work/none "$hkd" devices > "$work/out" 2> "$work/err"
ends 0 1 "devices without a platform" "no device found"
"$hkd" verify --device opencl:nosuch --op relu > "$work/out" 2> "$work/err"
ends 4 1 "no such device" "no device 'nosuch'" "hkd devices"
POCL_CACHE_DIR=/dev/null/none "$hkd" verify --device opencl --op relu > "$work/out" 2> "$work/err" ||
    ends 4 1 "PoCL with a cache that it cannot write to" "POCL_CACHE_DIR"

"$hkd" verify --device opencl --op relu --force > "$work/out" 2> "$work/err"
ends 0 1 "--force" "self-check was left out (--force)"
[ -z "$(find "$XDG_CACHE_HOME" -name '*.checked')" ] || bad "a device that was forced is remembered as checked"
"$hkd" verify --device opencl --op relu > "$work/out" 2> "$work/err"
ends 0 1 "first run" "^opencl: "
if [ -n "$(find "$XDG_CACHE_HOME" -name '*.checked')" ]; then ok "the self-check is remembered"; else bad "the self-check is forgotten"; fi

# Few channels at 64 x 64: many bytes, little work. The last network is the first one at 256 x 256, where attention is too large.
pocl="--device opencl:Portable"
narrow() {
    "$hkd" train --objective edm --device cpu --data builtin:scenes:64 --data-count 4 --channels 4 --blocks 1 --attention 0 \
        --images 4 --batch 4 --micro-batch 4 --quiet "$@" > "$work/out" 2> "$work/err"
}
if ! "$hkd" devices | grep -q 'Portable Computing Language'; then skipped=$((skipped + 1)); echo "SKIP 1 GiB: not run, no PoCL"
else
    narrow --mult 1,1,1,1 --out "$work/small.safetensors"
    ends 0 0 "a network"
    sample="sample $pocl --model $work/small.safetensors --sampler euler --steps 1 --seeds 0-2047 --batch 2048"
    "$hkd" $sample --out "$work/whole.safetensors" > "$work/out" 2> "$work/err"
    ends 0 any "with all memory" "passes of 2048 images"
    POCL_MEMORY_LIMIT=1 "$hkd" $sample --out "$work/split.safetensors" > "$work/out" 2> "$work/err"
    ends 0 any "with 1 GiB" "passes of 2048 images" "in one piece: passes of 1024 images"
    if cmp "$work/whole.safetensors" "$work/split.safetensors"; then ok "split or not, the same bytes"
    else bad "a split batch gives other bytes"; fi
    rm -f "$work/whole.safetensors" "$work/split.safetensors"
fi
if ! "$hkd" devices | grep -q 'Portable Computing Language' || ! command -v python3 > /dev/null; then
    skipped=$((skipped + 1)); echo "SKIP too large for 1 GiB: not run, no PoCL or no python3"
else
    narrow --mult 1 --out "$work/small.safetensors"
    python3 - "$work/small.safetensors" "$work/large.safetensors" << 'END'
import sys
file = open(sys.argv[1], "rb").read()
size = int.from_bytes(file[:8], "little")
header = file[8:8 + size].replace(b'img_resolution\\":64', b'img_resolution\\":256').replace(b'.64x64_', b'.256x256_')
open(sys.argv[2], "wb").write(len(header).to_bytes(8, "little") + header + file[8 + size:])
END
    POCL_MEMORY_LIMIT=1 "$hkd" sample $pocl --model "$work/large.safetensors" --sampler euler --steps 1 --seeds 0-1 --batch 2 \
        --out "$work/none.safetensors" > "$work/out" 2> "$work/err"
    ends 5 any "too large for 1 GiB" "17179869184 bytes asked for" "available of the 1073741824" "use a smaller --batch"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
