#!/bin/sh
# Runs the parts of a check one after another and adds up what they count: tests/run.sh LOGS "NAME: COMMAND"...
# A part's count is its last line that says "N passed, N failed" and perhaps "N skipped"; a part without one counts as a single
# check. Exit code 77: the part cannot run here and counts as skipped. The last line is the sum of all.
logs=$1; shift
mkdir -p "$logs" || exit 1
passed=0 failed=0 skipped=0
table=$logs/table
printf '%-28s %9s %8s %8s %8s\n' part passed failed skipped seconds >"$table"

# The number before the word $1 in the count line: "2929 tensors passed, 0 failed".
number() {
    echo "$line" | tr -d ',;:' | awk -v word="$1" '{for (i = 2; i <= NF; i++) if ($i == word) print $(i - 1) ~ /^[0-9]+$/ ? $(i - 1) : $(i - 2)}'
}
for part; do
    name=${part%%: *} log=$logs/$(echo "${part%%: *}" | tr ' /' '--').log start=$(date +%s)
    echo "---- $name"
    { sh -c "${part#*: }" </dev/null; echo $? >"$log.code"; } 2>&1 | tee "$log"
    code=$(cat "$log.code") line="$(grep -E '[0-9]+( [a-z]+)? passed, [0-9]+ failed' "$log" | tail -1)"
    p=$(number passed) f=$(number failed) s=$(number skipped)
    if [ "$code" = 77 ]; then s=$((${s:-0} + 1))
    elif [ -z "$p" ]; then [ "$code" = 0 ] && p=1 || f=1
    elif [ "$code" != 0 ] && [ "$f" = 0 ]; then f=1; fi
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
    note=; [ "$code" = 77 ] && note="  not run"; [ "${f:-0}" != 0 ] && note="  FAILED, see $log"
    printf '%-28s %9d %8d %8d %8d%s\n' "$name" "${p:-0}" "${f:-0}" "${s:-0}" $(($(date +%s) - start)) "$note" >>"$table"
done
echo
cat "$table"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
