#!/usr/bin/env python3
"""check.py - judge a port of the operators with the recorded vectors. Standard library and numpy, nothing of this project.

    python3 check.py VECTORS RESULTS

VECTORS/manifest.json lists the cases: operator, parameters, file, SHA-256. Each file is a safetensors file with in.NAME,
up.NAME (upstream gradients), out.NAME, grad.NAME (float64) and bound.out.NAME, bound.grad.NAME (float32).
RESULTS/OP/CASE.safetensors is what your port computed: tensors out.NAME and grad.NAME.
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


def shares(y, bound, got, n, exact):
    """How much of its allowance each element uses; more than 1 is wrong."""
    with np.errstate(all="ignore"):
        got64 = got.astype(np.float64)
        exponent = np.where(y == 0, -149, np.maximum(np.frexp(y)[1] - 24, -149))
        ulp = np.ldexp(1.0, exponent)
        if got.dtype == np.float16:  # stored as float16: one ulp of that instead of half an ulp of float32
            ulp = 2 * np.ldexp(1.0, np.where(y == 0, -24, np.maximum(np.frexp(y)[1] - 11, -24)))
        allowed = np.ldexp(bound.astype(np.float64), -24) + ulp / 2 + n * 2.0 ** -149
        used = np.abs(got64 - y) / (0 * allowed if exact and got.dtype != np.float16 else allowed)
        used = np.where(np.isinf(y) | np.isinf(got64) | np.isnan(got64), np.inf, used)
        same = (got64 == y) | (np.isnan(got64) & np.isnan(y))
        return np.where(same, 0.0, np.where(np.isnan(y), np.inf, used))


def main(vectors, results):
    with open(os.path.join(vectors, "manifest.json")) as f:
        manifest = json.load(f)
    worst, passed, failed, missing = {}, 0, 0, 0
    for case in manifest["cases"]:
        path, mine = os.path.join(vectors, case["file"]), os.path.join(results, case["file"])
        with open(path, "rb") as f:
            if hashlib.sha256(f.read()).hexdigest() != case["sha256"]:
                print("FAIL", case["case"], "the vector is damaged")
                failed += 1
                continue
        if not os.path.exists(mine):
            missing += 1
            continue
        vector, port = read(path), read(mine)
        for role in (r for r in vector if r.startswith(("out.", "grad."))):
            y, got = vector[role], port.get(role)
            if got is None or got.shape != y.shape:
                print("FAIL", case["case"], role, "no result of shape", y.shape)
                failed += 1
                continue
            used = shares(y, vector["bound." + role], got, case["n"], case["class"] == "exact")
            top = used.max() if used.size else 0.0
            if top <= 1:
                passed += 1
                worst[case["op"]] = max(worst.get(case["op"], 0.0), top)
            else:
                failed += 1
                at = np.unravel_index(np.argmax(used), y.shape)
                print(f"FAIL {case['case']} {role}: {int((used > 1).sum())} of {y.size} wrong, worst at {tuple(map(int, at))}: "
                      f"expected {y[at]:.9g}, got {got[at]:.9g}, {top:.3g} times the allowance")
    for op, share in worst.items():
        print(f"{op:20} worst {100 * share:6.2f} % of the allowance")
    print(f"{passed} tensors passed, {failed} failed, {missing} cases without results")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
