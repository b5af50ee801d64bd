#!/bin/sh
# A training run that is killed at random moments, and one that meets a full disk, must end in the very bytes of a run that
# nothing happened to; so must statistics. usage: tests/resume.sh PROGRAM
set -u
hkd=$1
dir=$(mktemp -d) || exit 1
trap 'umount "$dir/small" 2>/dev/null; rm -rf "$dir"' EXIT
passed=0 failed=0 skipped=0
ok() { if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL resume: $2"; fi; }
common="train --quiet --threads 1 --data builtin:scenes:16 --data-count 64 --channels 8 --mult 1,1 --blocks 1 --attention 8
    --batch 16 --images 640 --checkpoint-minutes 0 --resume"
train() { "$hkd" $common --out "$1" --log "$1.csv"; }

train "$dir/whole" || { echo "FAIL resume: the plain run failed"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
kills=0
for delay in 0.3 0.5 0.2 0.7 0.4 0.6; do
    "$hkd" $common --out "$dir/killed" --log "$dir/killed.csv" & pid=$! # not train(): kill must hit the program
    sleep $delay
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
train "$dir/killed"; ok $? "the last resume failed"
[ "$kills" -gt 0 ]; ok $? "no run was killed: the test tested nothing"
cmp -s "$dir/whole" "$dir/killed"; ok $? "a killed and resumed run gives another model"
cmp -s "$dir/whole.csv" "$dir/killed.csv"; ok $? "a killed and resumed run gives another log"

# statistics of shards: killed, resumed and merged they are those of one run
stats() { "$hkd" eval --quiet --metric frechet --count 4096 --save-stats "$@" builtin:scenes:16 >/dev/null; }
stats "$dir/once.safetensors"; ok $? "statistics"
kills=0
for delay in 1 0.5 1; do
    "$hkd" eval --quiet --metric frechet --count 4096 --save-stats "$dir/s0.safetensors" --shard 0/2 --resume builtin:scenes:16 \
        >/dev/null & pid=$!
    sleep $delay
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
[ "$kills" -gt 0 ]; ok $? "no statistics were killed: the test tested nothing"
stats "$dir/s0.safetensors" --shard 0/2 --resume && stats "$dir/s1.safetensors" --shard 1/2; ok $? "the last resume failed"
"$hkd" eval --metric frechet --save-stats "$dir/merged.safetensors" "$dir/s1.safetensors" "$dir/s0.safetensors" >/dev/null
cmp -s "$dir/once.safetensors" "$dir/merged.safetensors"; ok $? "killed, resumed and merged statistics differ from one run's"

# a disk with no room for a checkpoint: exit 5, nothing half-written, and the run continues where there is room
mkdir "$dir/small"
if mount -t tmpfs -o size=64k tmpfs "$dir/small" 2>/dev/null; then
    train "$dir/small/full" 2>"$dir/message"; [ $? -eq 5 ]; ok $? "a full disk must end with exit code 5"
    [ "$(wc -l <"$dir/message")" -eq 1 ]; ok $? "a full disk must give one line: $(cat "$dir/message")"
    [ -z "$(find "$dir/small" -name '*.safetensors*' -o -name '*tmp*' -o -name full -o -name 'full.checkpoint*')" ]
    ok $? "a full disk left something half-written: $(ls "$dir/small")"
else
    skipped=$((skipped + 1)); echo "SKIP resume: full disk (mounting a small file system is not allowed here)"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
