#!/usr/bin/env python3
"""check.py - judge a port of the operators with the recorded vectors. Standard library and numpy, nothing of this project.

    python3 check.py VECTORS RESULTS [--flush]          --flush: your port makes subnormal numbers zero

VECTORS/manifest.json lists the cases: operator, parameters, file, SHA-256. Each file is a safetensors file with in.NAME,
up.NAME (upstream gradients), out.NAME, grad.NAME (float64) and bound.out.NAME, bound.grad.NAME (float32); the bounds of whole
networks stand in the manifest. RESULTS/OP/CASE.safetensors is what your port computed: tensors out.NAME and grad.NAME in
float32, float16 or float64.
A result is right when |got - y| <= 2^-24 bound + ulp32(y)/2 + n 2^-149; in class "exact" when got = y.
"""
import hashlib
import json
import os
import struct
import sys

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def read(path):
    """All tensors of a safetensors file: 8 bytes header length, a JSON header, the data."""
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[start + t["data_offsets"][0]:start + t["data_offsets"][1]], DTYPES[t["dtype"]])
            .reshape(t["shape"]) for name, t in header.items()}


def shares(y, bound, got, n, exact, flush):
    """How much of its allowance each element uses; more than 1 is wrong."""
    half = got.dtype == np.float16
    with np.errstate(all="ignore"):
        got = got.astype(np.float64)
        exponent = np.frexp(y)[1]
        if half:  # stored as float16: one ulp of that instead of half an ulp of float32
            store, most = np.ldexp(1.0, np.where(y == 0, -24, np.maximum(exponent - 11, -24))), 65504
        else:
            store, most = np.ldexp(0.5, np.where(y == 0, -149, np.maximum(exponent - 24, -149))), np.finfo(np.float32).max
        allowed = np.ldexp(np.float64(bound), -24) + store + n * 2.0 ** (-126 if flush else -149)
        used = np.abs(got - y) / allowed
        overflow = np.isinf(got) & (np.sign(got) == np.sign(y)) & (np.abs(y) + allowed > most)
        used = np.where(overflow, 0, np.where(np.isnan(used) | np.isinf(y), np.inf, used))
        if exact and not half:
            used = np.full(y.shape, np.inf)
        same = (got == y) | (np.isnan(got) & np.isnan(y))
        return np.where(same, 0.0, np.where(np.isnan(y), np.inf, used))


def bounds(case, vector):
    """What each result of a case may be off: out.* and grad.* have arrays, the tensors of a network a number each."""
    if "class" not in case:
        return {t["role"]: t["bound"] for t in case["tensors"] if "bound" in t}
    return {r: vector["bound." + r] for r in vector if r.startswith(("out.", "grad."))}


def judge(case, vector, port, flush):
    """Print what is wrong; returns how many tensors are right, wrong and missing, and the largest share used by a right one."""
    count, worst = [0, 0, 0], 0.0
    for role, bound in bounds(case, vector).items():
        y, got = vector[role], port.get(role)
        if got is None:
            count[2] += 1
            continue
        if got.shape != y.shape:
            print("FAIL", case["case"], role, "is not of shape", y.shape)
            count[1] += 1
            continue
        used = shares(y, bound, got, case["n"], case.get("class") == "exact", flush)
        top = used.max() if used.size else 0.0
        count[0 if top <= 1 else 1] += 1
        if top <= 1:
            worst = max(worst, top)
            continue
        at = np.unravel_index(np.argmax(used), y.shape)
        print(f"FAIL {case['case']} {role}: {int((used > 1).sum())} of {y.size} wrong, worst at {tuple(map(int, at))}: "
              f"expected {y[at]:.9g}, got {got[at]:.9g}, {top:.3g} times the allowance")
    return count, worst


def main(vectors, results, flush):
    with open(os.path.join(vectors, "manifest.json")) as f:
        manifest = json.load(f)
    worst, passed, failed, missing = {}, 0, 0, 0
    for case in manifest["cases"] + manifest["networks"]:
        path, mine = os.path.join(vectors, case["file"]), os.path.join(results, case["file"])
        with open(path, "rb") as f:
            damaged = hashlib.sha256(f.read()).hexdigest() != case["sha256"]
        try:
            count, top = judge(case, read(path), read(mine) if os.path.exists(mine) else {}, flush) if not damaged else ([0, 1, 0], 0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error) as e:
            print("FAIL", case["case"], "the result is no safetensors file of F32, F16 and F64:", repr(e))
            count, top = [0, 1, 0], 0
        if damaged:
            print("FAIL", case["case"], "the vector is damaged")
        passed, failed, missing = passed + count[0], failed + count[1], missing + count[2]
        if count[0]:
            op = case.get("op", "networks")
            worst[op] = max(worst.get(op, 0.0), top)
    for op, share in worst.items():
        print(f"{op:20} worst {100 * share:6.2f} % of the allowance")
    print(f"{passed} tensors passed, {failed} failed, {missing} without a result")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    flushes = sys.argv[3:] == ["--flush"]
    if len(sys.argv) != 3 and not flushes:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], flushes))
