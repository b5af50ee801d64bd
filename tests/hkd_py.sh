#!/bin/sh
# tools/hkd.py against the program and the vectors: tests/hkd_py.sh BUILD [DIR]         DIR: where hkd.py lies, if not in tools
cd "$(dirname "$0")/.." || exit 1
for python in python3 /usr/bin/python3 none; do $python -c 'import numpy' 2>/dev/null && break; done
if [ $python = none ]; then echo "SKIP hkd.py: no python3 with numpy"; exit 77; fi
PYTHONDONTWRITEBYTECODE=1 exec $python tests/test_hkd.py "${1:-build}" "${2:-tools}"
