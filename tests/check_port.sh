#!/bin/sh
# A port that never linked our code is judged by check.c, check.py and `hkd verify --results`: all three accept it, and all
# three reject it once a mistake is planted. Usage: tests/check_port.sh BUILD
build=${1:-build} out=${1:-build}/port passed=0 failed=0
cd "$(dirname "$0")/.." || exit 1
for python in python3 /usr/bin/python3 none; do $python -c 'import numpy' 2>/dev/null && break; done
if [ $python = none ]; then echo "SKIP port: no python3 with numpy"; exit 77; fi
rm -rf "$out" && mkdir -p "$out" || exit 1
${CC:-cc} -std=c99 -O2 -Wall -Wextra -o "$out/check" vectors/check.c -lm || exit 1

# expect 0|1 NAME COMMAND...: the command must end with this code
expect() {
    want=$1 name=$2; shift 2
    "$@" >"$out/log" 2>&1; code=$?
    if [ $code = "$want" ]; then passed=$((passed + 1)); return; fi
    failed=$((failed + 1))
    echo "FAIL port: $name: exit $code, expected $want"
    tail -5 "$out/log"
}
judge() { # judge CODE RESULTS
    expect "$1" "check.c on $2" "$out/check" vectors "$2"
    expect "$1" "check.py on $2" $python vectors/check.py vectors "$2"
    expect "$1" "hkd verify on $2" "$build/hkd" verify vectors --results "$2" --quiet
}

$python tests/port_numpy.py vectors "$out/good" || exit 1
judge 0 "$out/good"
# Composites whose calls are all of operators that the port knows are computed from calls.tsv, and judged.
expect 0 "two composites of the port" sh -c "'$build/hkd' verify vectors --results '$out/good' | grep -q '^ok   networks  *2 cases'"
for bug in bias sign half transpose; do
    $python tests/port_numpy.py vectors "$out/$bug" $bug >/dev/null || exit 1
    judge 1 "$out/$bug"
done
# A port without a backward pass, one that stores float16, one that flushes subnormals and says so.
for way in forward float16; do
    $python tests/port_numpy.py vectors "$out/$way" $way >/dev/null || exit 1
    judge 0 "$out/$way"
done
$python tests/port_numpy.py vectors "$out/flush" flush >/dev/null || exit 1
judge 1 "$out/flush"
expect 0 "check.c with --flush" "$out/check" vectors "$out/flush" --flush
expect 0 "check.py with --flush" $python vectors/check.py vectors "$out/flush" --flush
expect 0 "hkd verify with --flush" "$build/hkd" verify vectors --results "$out/flush" --flush --quiet
# Hostile lists end in a verdict: an offset before the file, a shape that is none, no tab at all.
for bad in 's/\tF64\t[0-9x]*\t/\tF64\t3zz\t/' 's/safetensors\t[0-9]*/safetensors\t-16/' 's/\t/ /g'; do
    rm -rf "$out/hostile" && mkdir "$out/hostile" && cp -r vectors/silu "$out/hostile" || exit 1
    grep '^silu/' vectors/index.tsv | sed "$bad" >"$out/hostile/index.tsv"
    expect 1 "check.c on a list with $bad" timeout 20 "$out/check" "$out/hostile" "$out/good"
done
sed 's/"storage":"float32"/"storage":"bfloat16"/' vectors/manifest.json >"$out/manifest.json"
expect 0 "the manifest follows its schema" $python tests/check_schema.py vectors/manifest.json vectors/manifest.schema.json
expect 1 "a manifest that does not" $python tests/check_schema.py "$out/manifest.json" vectors/manifest.schema.json
mkdir "$out/nothing"
judge 1 "$out/nothing"
echo "port: $passed passed, $failed failed"
[ $failed = 0 ]
