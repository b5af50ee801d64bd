#!/bin/sh
# What holds for the tree itself: headers stand alone as C99 and C++, libraries export hkd_ names only, ref needs nothing but C99
# and libm, no line is too long. Usage: tests/check_house.sh BUILD [CC [CXX]]
build=${1:-build} cc=${2:-cc} cxx=${3:-c++} passed=0 failed=0 skipped=0
cd "$(dirname "$0")/.." || exit 1
work=$build/house
mkdir -p "$work" || exit 1

# good NAME COMMAND...: the command succeeds and says nothing
good() {
    name=$1; shift
    if said=$("$@" 2>&1) && [ -z "$said" ]; then passed=$((passed + 1)); return; fi
    failed=$((failed + 1))
    echo "FAIL $name"
    echo "$said" | head -10
}
skip() { skipped=$((skipped + 1)); echo "SKIP $1: $2"; }
strict="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"

for header in hkd.h hkd_insight.h hkd_ref.h; do
    printf '#include <%s>\n#include <%s>\n' $header $header >"$work/alone.c"
    # shellcheck disable=SC2086
    good "$header alone as C99" $cc -std=c99 $strict -Iinclude -fsyntax-only "$work/alone.c"
    if ! command -v "$cxx" >/dev/null; then skip "$header as C++" "no $cxx"; continue; fi
    # shellcheck disable=SC2086
    good "$header alone as C++" $cxx -std=c++98 -x c++ $strict -Wno-long-long -Wno-variadic-macros -Iinclude -fsyntax-only "$work/alone.c"
done

# shellcheck disable=SC2086
good "a program of one operator builds" $cc -std=c99 -Iinclude -o "$work/conv" tests/headers/conv.c "$build/libhkd_ref.a" -lm
good "a program of one operator runs" "$work/conv"

for library in "$build/libhkd_ref.a" "$build/libhkd.a"; do
    [ -f "$library" ] || { skip "names in $library" "not built"; continue; }
    good "names in $library" awk '$2 ~ /^[A-TV-Z]$/ && $3 !~ /^_?hkd_/ {print $3}' <<-END
	$(nm -g "$library" 2>/dev/null)
	END
done

# Of the shared library the world sees what the public headers declare, no more and no less.
if nm -D --defined-only "$build/libhkd.so" >"$work/names" 2>/dev/null; then
    awk '$2 == "T" && $3 !~ /^_/ {print $3}' "$work/names" | sort -u >"$work/exported"
    sed 's|/\*.*||; /^ \*/d; /^typedef/d' include/*.h | grep -o 'hkd_[a-z0-9_]*(' | tr -d '(' | sort -u >"$work/declared"
    good "libhkd.so exports what is declared" diff "$work/declared" "$work/exported"
else skip "names in libhkd.so" "not built, or no nm -D"; fi

# The method: C99's own headers and its own, nothing of the accelerators, nothing of the system.
standard='assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool stddef stdint stdio stdlib
          string tgmath time wchar wctype'
method=$(find ref -name '*.[ch]' ! -path 'ref/io/*')
# shellcheck disable=SC2086
good "ref outside of ref/io includes C99's headers only" awk -v standard="$standard" '
    BEGIN {n = split(standard, s); for (i = 1; i <= n; i++) is["<" s[i] ".h>"] = 1}
    /^ *# *include *</ && !is[$2] {print FILENAME ": " $0}' $method
accel=$(find accel -name '*.h' -exec basename {} \;)
for h in $accel; do find ref -name "$h"; done | sort >"$work/twice"
good "ref and accel share no header name" cat "$work/twice"
for h in $accel; do grep -rn "#include \"$h\"" ref; done >"$work/included"
good "ref includes nothing of accel" cat "$work/included"
# shellcheck disable=SC2086
good "ref/op allocates nothing, prints nothing, calls no transcendental of libm" awk '
    {code = $0; sub(/\/\*.*/, "", code)}
    code ~ /[^a-z_.>](malloc|calloc|realloc|free|printf|fopen|exit|abort|assert|expf?|logf?|sinf?|cosf?|tanhf?|erff?|powf?) *\(/ &&
    code !~ /^ *\*|\.formula/ {print FILENAME ":" FNR ": " $0}' ref/op/*.c

sources=$(find include ref accel tools tests vectors -name '*.[ch]' -o -name '*.cl' -o -name '*.clh')
# shellcheck disable=SC2086
good "no line beyond 128 columns" awk 'length($0) > 128 {print FILENAME ":" FNR ": " length($0) " columns"}' Makefile $sources
# shellcheck disable=SC2086
good "no tab, no blank at the end of a line" awk '/[ \t]$/ || (/\t/ && FILENAME != "Makefile") {print FILENAME ":" FNR}' $sources
echo "house: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
