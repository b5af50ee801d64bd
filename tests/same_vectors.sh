#!/bin/sh
# Vectors that were recorded here equal the committed ones byte for byte, neither set has a file more, and both stay small: at
# most 12 MB, of which composites have 5. Usage: tests/same_vectors.sh RECORDED COMMITTED
there=$(diff -rq "$1" "$2" | grep -v "^Only in $2: \(README.md\|check.c\|check.py\|manifest.schema.json\)$")
count=$(find "$1" -type f | wc -l)
bytes() { find "$1" -type f -exec cat {} + | wc -c; }
all=$(bytes "$2") composites=$(bytes "$2/networks")
[ -z "$there" ] && [ "$count" -gt 700 ] && [ "$all" -le 12000000 ] && [ "$composites" -le 5000000 ] &&
    echo "$all bytes, $composites in composites; $count files passed, 0 failed" && exit 0
echo "$there" | head -10
echo "$all bytes, $composites in composites; $count files recorded again: 0 passed, 1 failed"
exit 1
