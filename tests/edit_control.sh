#!/bin/sh
# At equal change of every picture, an edit of the modes that paint the finest detail changes low spatial frequencies less than an
# edit of random modes of equal number: 256 pictures, 8 random sets, the whole 95 % interval above 0, on the shipped model.
# A band that edits other modes than it names, or a control that changes more or fewer, fails. usage: edit_control.sh BUILD
low=$("$1/hkd" edit --model data/scenes_hkd.safetensors --seeds 0-255 --reference-seeds 256-511 --sort detail --joint --band 0.9:1 \
    --control --json --quiet | awk '/"interval"/ { getline; gsub(/[ ,]/, ""); print }')
[ "$(echo "$low" | wc -w)" = 2 ] || { echo "FAIL edit_control: no two intervals: $low"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
for end in $low; do
    awk -v end="$end" 'BEGIN { exit !(end > 0) }' || { echo "FAIL edit_control: an interval begins at $end";
        echo "0 passed, 1 failed, 0 skipped"; exit 1; }
done
echo "2 passed, 0 failed, 0 skipped"
