#!/usr/bin/env python3
"""Our convolutions beside PyTorch's (oneDNN), on the same shapes, interleaved; prints ratios ours / theirs in speed.

usage: tools/bench_peers.py [--hkd build/hkd] [--threads 1] [--batch 4] [--rounds 3] [--math fast|direct]

Each round runs `hkd bench --json` and then PyTorch's standard layers on the same shapes, contiguous and channels_last; the
best of all rounds counts on both sides, for PyTorch the better of its two layouts. Needs PyTorch.
"""
import argparse
import json
import re
import statistics
import subprocess
import time

import torch


def best_of(run, budget=0.05):
    best, begin, runs = 1e9, time.perf_counter(), 0
    while runs < 2 or time.perf_counter() < begin + budget:
        start = time.perf_counter()
        run()
        best, runs = min(best, time.perf_counter() - start), runs + 1
    return best


def theirs(n, c_in, c_out, side, kernel):
    """GF/s of forward, dx and dw: the better of the two layouts."""
    flops, speed = 2e-9 * n * c_in * c_out * side * side * kernel * kernel, {}
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.full((n, c_in, side, side), 0.5).to(memory_format=layout)
        w = torch.full((c_out, c_in, kernel, kernel), 0.01).to(memory_format=layout)
        y = torch.full((n, c_out, side, side), 0.5).to(memory_format=layout)

        def backward(mask):
            return torch.ops.aten.convolution_backward(y, x, w, None, [1, 1], [kernel // 2] * 2, [1, 1], False, [0, 0], 1, mask)

        with torch.no_grad():
            runs = {"forward": lambda: torch.conv2d(x, w, None, 1, kernel // 2),
                    "dx": lambda: backward([True, False, False]), "dw": lambda: backward([False, True, False])}
            for name, run in runs.items():
                speed[name] = max(speed.get(name, 0), flops / best_of(run))
    return speed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hkd", default="build/hkd")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--math", default="fast", choices=["fast", "direct"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    command = [args.hkd, "bench", "--json", "--rounds", "1", "--threads", str(args.threads), "--batch", str(args.batch),
               "--math", args.math]
    ours, peers, peaks = {}, {}, []
    for _ in range(args.rounds):
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        peaks.append(report["peak_gflops"])
        for row in report["rows"]:
            work = row.pop("work")
            kernel, c_in, c_out, side = map(int, re.match(r"(\d+)x\d+ (\d+)->(\d+) (\d+)x", work).groups())
            for table, speeds in ((ours, row), (peers, theirs(args.batch, c_in, c_out, side, kernel))):
                for name, speed in speeds.items():
                    table.setdefault(work, {})[name] = max(table.get(work, {}).get(name, 0), speed)
    print(f"PyTorch {torch.__version__}, {args.threads} thread(s), batch {args.batch}, --math {args.math}, best of "
          f"{args.rounds} rounds; multiply-adds in each round: {', '.join(f'{p:.0f}' for p in peaks)} GF/s\n")
    pairs = [("forward", "forward"), ("frozen", "forward"), ("dx", "dx"), ("dw", "dw")]
    print("| GF/s as direct: ours / theirs = ratio | " + " | ".join(name for name, _ in pairs) + " |\n|---|---|---|---|---|")
    ratios = {name: [] for name, _ in pairs}
    for work in ours:
        cells = []
        for name, peer in pairs:
            ratio = ours[work][name] / peers[work][peer]
            cells.append(f"{ours[work][name]:.0f} / {peers[work][peer]:.0f} = {ratio:.2f}")
            if work.startswith("3x3") and " 3->" not in work and "->3 " not in work:
                ratios[name].append(ratio)
        print(f"| {work} | " + " | ".join(cells) + " |")
    medians = (f"{statistics.median(ratios[name]):.2f}" for name, _ in pairs)
    print("| median of 3x3, without 3-> and ->3 | " + " | ".join(medians) + " |")
    print("| least of these | " + " | ".join(f"{min(ratios[n]):.2f}" for n, _ in pairs) + " |")


if __name__ == "__main__":
    main()
