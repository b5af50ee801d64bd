#!/usr/bin/env python3
"""Rows of tests/foreign_noise.h for the two streams that no CPU tool can be asked for: PyTorch on CUDA, and this project's own.

Written from the descriptions of Philox4x32-10 (Salmon et al. 2011), cuRAND's curand_normal and PyTorch's use of both, with the
standard library alone and independently of the C code. Checked against values that PyTorch's users published from GPUs.
usage: foreign_noise.py >> rows
"""
import math
import struct

SEEDS = [0, 1, 42, 2**31, 2**32 - 1, 2**32 + 1, 2**63]
LENGTHS = [1, 15, 16, 17, 31, 3072, 12288]
LOW = 0xFFFFFFFF


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def philox(counter, seed):
    c, k0, k1 = list(counter), seed & LOW, seed >> 32
    for _ in range(10):
        p, q = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(q >> 32) ^ c[1] ^ k0, q & LOW, (p >> 32) ^ c[3] ^ k1, p & LOW]
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c


def cuda_normal(seed, element, call=0):
    w = philox([call, 0, element, 0], seed)
    u = f32(f32(w[0]) * 2.0**-32 + 2.0**-33)
    turn = f32(2.0**-32 * 6.2831855)
    v = f32(f32(w[1]) * turn + turn / 2)
    return f32(math.sqrt(-2 * math.log(u)) * math.sin(v))


def cuda_label(seed, classes, call):
    return philox([call, 0, 0, 0], seed)[0] % classes


def own_block(seed, element, draw, purpose):
    return philox([element // 4, draw, 0, purpose], seed)


def own_normal(seed, element, draw=0, purpose=0):
    w = own_block(seed, element, draw, purpose)
    a, b = w[0:2] if element % 4 < 2 else w[2:4]
    r, theta = math.sqrt(-2 * math.log((a + 0.5) / 2**32)), 2 * math.pi * (b + 0.5) / 2**32
    return f32(r * (math.cos(theta) if element % 2 == 0 else math.sin(theta)))


def own_label(seed, classes):
    w = own_block(seed, 0, 0, 1)
    return ((w[0] << 32 | w[1]) * classes) >> 64


PUBLISHED = {42: (0.1940, 2.1614, -0.1721), 1: (-0.2963, 2.6764, -0.1408)}
for seed, values in PUBLISHED.items():
    assert all(abs(cuda_normal(seed, i) - v) < 6e-5 for i, v in enumerate(values)), seed

STREAMS = (("TORCH_CUDA", cuda_normal, lambda seed: cuda_label(seed, 10, 1)),
           ("HKD", own_normal, lambda seed: own_label(seed, 10)))
for kind, normal, label in STREAMS:
    for seed in SEEDS:
        x = [normal(seed, i) for i in range(LENGTHS[-1])]
        for n in LENGTHS:
            print("    {HKD_RNG_%s, %du, %d, %.9g, %.9g, %.9g, %.12g, %d}," %
                  (kind, seed, n, x[0], x[n // 2], x[n - 1], math.fsum(x[:n]), label(seed)))

# one generator of seed 42: (element, call) of the last of 3, the first and last of 5, the last of 16 numbers
cuda = [cuda_normal(42, i, call) for i, call in ((2, 1), (0, 3), (4, 3), (15, 4))]
own = [own_normal(42, i, call, 2) for i, call in ((2, 1), (0, 2), (4, 2), (15, 3))]
for kind, x, label in (("TORCH_CUDA", cuda, cuda_label(42, 10, 2)), ("HKD", own, own_label(42, 10))):
    print("    {HKD_RNG_%s, {%.9g, %.9g, %.9g, %.9g}, %d}," % (kind, *x, label))
