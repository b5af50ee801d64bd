#!/bin/sh
# Table 3 of the HKD paper at small scale: every row distils the same teacher from the same stored trajectories with equally many
# pictures, over three seeds; the Frechet distance of the features of FEATURES is taken of COUNT pictures against DATA.
# usage: tools/table3.sh PROGRAM TEACHER DATA FEATURES DIR [further options of `hkd train`]
# Environment: IMAGES (length of a run, 60000), COUNT (pictures measured, 2000), SEEDS ("0 1 2"). What is there already is not made again; prints a Markdown table.
set -eu
[ $# -ge 5 ] || { sed -n '4,5s/^# //p' "$0" >&2; exit 2; }
hkd=$1 teacher=$2 data=$3 features=$4 dir=$5; shift 5
images=${IMAGES:-60000} count=${COUNT:-2000} seeds=${SEEDS:-0 1 2}
mkdir -p "$dir"

# row NAME SEED OPTIONS...: train, sample, measure; $dir/NAME.SEED.{safetensors,frd,seconds}
row() {
    at=$dir/$1.$2 seed=$2; shift 2
    [ -s "$at.frd" ] && return
    began=$(date +%s)
    "$hkd" train --objective hkd --config cifar10-small --teacher "$teacher" --trajectories "$dir/trajectories" --seed "$seed" \
        --out "$at.safetensors" --log "$at.csv" --images "$images" --resume "$@" >&2
    [ -s "$at.seconds" ] || echo $(($(date +%s) - began)) >"$at.seconds"
    "$hkd" sample --model "$at.safetensors" --seeds 0-$((count - 1)) --out "$at.x.safetensors" >&2
    "$hkd" eval --metric frd --features "$features" --count "$count" "$at.x.safetensors" "$data" --json |
        sed -n 's/.*"\(value\|distance\)": *\([0-9.e+-]*\).*/\2/p' | head -n 1 >"$at.frd.part"
    [ -s "$at.frd.part" ] || { echo "table3: $at: no distance was measured" >&2; exit 1; }
    mv "$at.frd.part" "$at.frd"
    rm "$at.x.safetensors"
}

# line NAME TITLE OPTIONS...: one row over all seeds
line() {
    name=$1 title=$2; shift 2
    for seed in $seeds; do row "$name" "$seed" "$@"; done
    for seed in $seeds; do paste "$dir/$name.$seed.frd" "$dir/$name.$seed.seconds"; done |
        awk -v title="$title" '{ n++; s += $1; q += $1 * $1; t += $2 }
            END { v = n > 1 ? (q - s * s / n) / (n - 1) : 0
                  printf "| %s | %.2f | %.2f | %.0f |\n", title, s / n, sqrt(v > 0 ? v : 0), t / n }'
}

# trajectories are made by the first run; they belong to no row's time
[ -e "$dir/trajectories/000000.safetensors" ] ||
    "$hkd" train --objective hkd --config cifar10-small --teacher "$teacher" --trajectories "$dir/trajectories" \
        --out "$dir/none.safetensors" "$@" --images 0 >&2
echo "| model | FRD, mean of the seeds | standard deviation | seconds per run |"
echo "|---|---|---|---|"
line none "no Koopman operator, no trajectory loss" "$@" --hierarchy none --times 0
line bottleneck "+ operator on the bottleneck" "$@" --hierarchy bottleneck --times 0
line trajectory "+ trajectory loss" "$@" --hierarchy bottleneck
line full "+ operators on every level (full)" "$@" --hierarchy full
line shared "the same, shared over positions and levels" "$@" --hierarchy shared
