#!/bin/sh
# Training runs, trajectories and statistics that are killed or interrupted at random moments, and runs that meet a full disk, must
# end in the very bytes of a run that nothing happened to. usage: tests/resume.sh PROGRAM [SEED]
set -u
hkd=$1
seed=${2:-$(date +%s)}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
ok() { if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL resume, seed $seed: $2"; fi; }
common="train --quiet --checkpoint-minutes 0 --resume"
edm="$common --threads 1 --data builtin:scenes:16 --data-count 64 --channels 8 --mult 1,1 --blocks 1 --attention 8 --batch 16
    --augment 0.2"
endless="$edm --images 1000000"
edm="$edm --images 640"
distil="$common --threads 2 --objective hkd --teacher $dir/edm --trajectory-count 600 --trajectory-steps 6 --times 1 --batch 8"

# a moment between 0.1 and 0.9 s; the awk's seed makes a failure repeatable
moment() { seed=$((seed + 1)); awk -v s=$seed 'BEGIN { srand(s); printf "%.2f", 0.1 + 0.8 * rand() }'; }

# run NAME OPTIONS...: the model, the log and (to distil) the trajectories of NAME
run() { name=$1; shift; "$hkd" "$@" --out "$dir/$name" --log "$dir/$name.csv"; }

# stopped SIGNAL NAME OPTIONS...: one start that is stopped at a random moment; its exit code
stopped() {
    signal=$1 name=$2; shift 2
    "$hkd" "$@" --out "$dir/$name" --log "$dir/$name.csv" 2>"$dir/message" & pid=$! # no function: the signal must hit the program
    sleep "$(moment)"
    kill -"$signal" $pid 2>/dev/null && hits=$((hits + 1))
    wait $pid
}

echo "resume: random moments of seed $seed"
hits=0
run edm $edm || { echo "FAIL resume: the plain run failed"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
for k in 1 2 3 4; do stopped KILL killed $edm 2>/dev/null; done
run killed $edm; ok $? "the last resume failed"
cmp -s "$dir/edm" "$dir/killed"; ok $? "a killed and resumed run gives another model"
cmp -s "$dir/edm.csv" "$dir/killed.csv"; ok $? "a killed and resumed run gives another log"

run hkd $distil --images 400 --trajectories "$dir/paths"; ok $? "the plain distillation failed"
for k in 1 2 3 4; do stopped KILL hkd_killed $distil --images 400 --trajectories "$dir/paths_killed" 2>/dev/null; done
run hkd_killed $distil --images 400 --trajectories "$dir/paths_killed"; ok $? "the last resume of the distillation failed"
cmp -s "$dir/hkd" "$dir/hkd_killed"; ok $? "a killed and resumed distillation gives another model"
cmp -s "$dir/hkd.csv" "$dir/hkd_killed.csv"; ok $? "a killed and resumed distillation gives another log"
for f in "$dir"/paths/*; do cmp -s "$f" "$dir/paths_killed/${f##*/}"; ok $? "killed trajectories differ: ${f##*/}"; done
[ "$hits" -gt 0 ]; ok $? "no run was killed: the test tested nothing"

# Ctrl-C: exit code 5, a checkpoint, and the same end
stopped TERM interrupted $endless; code=$?
[ $code -eq 5 ] || [ $code -eq 143 ]; ok $? "an interrupted run must end with exit code 5, not $code" # 143: before it listened
[ $code -ne 5 ] || [ ! -e "$dir/interrupted.checkpoint" ] || grep -q 'keeps the run' "$dir/message" # none: while data was read
ok $? "an interrupted run must say where it is kept: $(cat "$dir/message")"

# Ctrl-C while trajectories are made keeps them, Ctrl-C in the distillation keeps a checkpoint; both end where the plain run did
stopped TERM distilled $distil --images 400 --trajectories "$dir/paths_distilled"; code=$?
[ $code -eq 5 ] || [ $code -eq 143 ]; ok $? "interrupted among its trajectories a run must end with exit code 5, not $code"
"$hkd" $distil --images 40000 --trajectories "$dir/paths" --out "$dir/endless" 2>"$dir/message" & pid=$!
for k in 1 2 3 4 5 6 7 8 9 10; do [ -e "$dir/endless.checkpoint" ] || sleep 1; done # the first step was taken
kill -TERM $pid; wait $pid; code=$?
[ $code -eq 5 ]; ok $? "an interrupted distillation must end with exit code 5, not $code"
grep -q 'keeps the run' "$dir/message"; ok $? "it must say where it is kept: $(cat "$dir/message")"
run distilled $distil --images 400 --trajectories "$dir/paths_distilled"; ok $? "the last resume of the interrupted distillation failed"
cmp -s "$dir/hkd" "$dir/distilled"; ok $? "an interrupted and resumed distillation gives another model"
for f in "$dir"/paths/*; do cmp -s "$f" "$dir/paths_distilled/${f##*/}"; ok $? "interrupted trajectories differ: ${f##*/}"; done

# a file that may not grow beyond 50 kB stands for a full disk: no checkpoint fits
full() { (trap '' XFSZ; ulimit -f "$1"; shift; "$@") 2>"$dir/message"; }
full 100 "$hkd" $edm --out "$dir/full" --log "$dir/full.csv"; [ $? -eq 5 ]; ok $? "a full disk must end with exit code 5"
[ "$(wc -l <"$dir/message")" -eq 1 ]; ok $? "a full disk must give one line: $(cat "$dir/message")"
[ ! -e "$dir/full" ] && [ ! -e "$dir/full.checkpoint" ] && [ -z "$(find "$dir" -name 'full*.tmp')" ]
ok $? "a full disk left something half-written: $(ls "$dir")"
# and one that fills after a good checkpoint: the run continues from there when there is room again
stopped TERM full $edm; cp "$dir/full.checkpoint" "$dir/good" 2>/dev/null
full 100 "$hkd" $edm --out "$dir/full" --log "$dir/full.csv"
[ ! -e "$dir/good" ] || [ -e "$dir/full.checkpoint" ]; ok $? "a full disk took the last good checkpoint away"
run full $edm; ok $? "the run does not continue when there is room again"
cmp -s "$dir/edm" "$dir/full"; ok $? "a run that met a full disk gives another model"
cmp -s "$dir/edm.csv" "$dir/full.csv"; ok $? "a run that met a full disk gives another log"

# statistics of shards: killed, resumed and merged they are those of one run
stats() { "$hkd" eval --quiet --metric frechet --count 4096 --save-stats "$@" builtin:scenes:16 >/dev/null; }
stats "$dir/once.safetensors"; ok $? "statistics"
kills=0
for k in 1 2 3; do
    "$hkd" eval --quiet --metric frechet --count 4096 --save-stats "$dir/s0.safetensors" --shard 0/2 --resume builtin:scenes:16 \
        >/dev/null & pid=$!
    sleep "$(moment)"
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
[ "$kills" -gt 0 ]; ok $? "no statistics were killed: the test tested nothing"
stats "$dir/s0.safetensors" --shard 0/2 --resume && stats "$dir/s1.safetensors" --shard 1/2; ok $? "the last resume failed"
"$hkd" eval --metric frechet --save-stats "$dir/merged.safetensors" "$dir/s1.safetensors" "$dir/s0.safetensors" >/dev/null
cmp -s "$dir/once.safetensors" "$dir/merged.safetensors"; ok $? "killed, resumed and merged statistics differ from one run's"

echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
