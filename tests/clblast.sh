#!/bin/sh
# CLBlast where a processor stands in for a GPU: tests/clblast.sh BUILD. Its first products take PoCL up to 16 seconds each.
#   the vectors of all operators that it can serve; every product of a network by every way, none of which may be discarded;
#   then the network's vectors with what was chosen
hkd=$1/hkd
"$hkd" --version | grep -q ' clblast' || exit 77
XDG_CACHE_HOME=$1/tuned; export XDG_CACHE_HOME
rm -rf "$XDG_CACHE_HOME"; mkdir -p "$XDG_CACHE_HOME"
for op in linear attention conv2d; do "$hkd" verify --device opencl --clblast --op $op || exit 1; done
"$hkd" tune --device opencl --clblast --channels 8 --batch 4 > "$1/tuned.txt" || exit 1
if grep discarded "$1/tuned.txt"; then exit 1; fi
"$hkd" verify --device opencl --case networks/ddpmpp
