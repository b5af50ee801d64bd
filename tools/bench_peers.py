#!/usr/bin/env python3
"""Our convolutions beside PyTorch's (oneDNN), on the same shapes, interleaved; prints ratios ours / theirs in speed. With
--what network the whole of EDM's CIFAR-10 network beside the best of PyTorch's eager, channels_last and optimize_for_inference;
prints ratios ours / theirs in time, of every round.

usage: tools/bench_peers.py [--what network] [--channels 128] [--hkd build/hkd] [--threads 1] [--batch 4] [--rounds 3]
                            [--math fast|direct]

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


def best_forward(variants, x, noise):
    """Milliseconds and name of the fastest variant, once each."""
    times = {}
    with torch.no_grad():
        for name, (network, layout) in variants.items():
            start = time.perf_counter()
            network(x.to(memory_format=layout), noise)
            times[name] = 1e3 * (time.perf_counter() - start)
    return min((t, name) for name, t in times.items())


def best_backward(networks, x, noise):
    times = {}
    for name, (network, layout) in networks.items():
        start = time.perf_counter()
        network.zero_grad(set_to_none=True)
        network(x.to(memory_format=layout), noise).backward(x)
        times[name] = 1e3 * (time.perf_counter() - start)
    return min((t, name) for name, t in times.items())


def compare_networks(args, command):
    from peer_network import Network
    x, noise = torch.randn(args.batch, 3, 32, 32), torch.full((args.batch,), 1.1)
    layouts = {"eager": torch.contiguous_format, "channels_last": torch.channels_last}
    training = {name: (Network(args.channels).to(memory_format=layout).train(), layout) for name, layout in layouts.items()}
    forward = {name: (Network(args.channels).to(memory_format=layout).eval(), layout) for name, layout in layouts.items()}
    for name, (network, layout) in list(forward.items()):
        with torch.no_grad():
            traced = torch.jit.trace(network, (x.to(memory_format=layout), noise), check_trace=False)
            forward[name + ", optimize_for_inference"] = (torch.jit.optimize_for_inference(torch.jit.freeze(traced)), layout)
    for _ in range(2):
        best_forward(forward, x, noise)
    print("| round | FMA peak, GF/s | work | ours, ms per image | theirs | ratio |\n|---|---|---|---|---|---|")
    ratios = {}
    for number in range(args.rounds):
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        theirs_forward, theirs_backward = best_forward(forward, x, noise), best_backward(training, x, noise)
        for row in report["rows"]:
            peer, name = theirs_backward if row["work"].startswith("forward and") else theirs_forward
            ours, peer = 1e3 * row["seconds_per_image"], peer / args.batch
            ratios.setdefault(row["work"], []).append(ours / peer)
            print(f"| {number + 1} | {report['peak_gflops']:.0f} | {row['work']} | {ours:.1f} | {peer:.1f} ({name}) "
                  f"| {ours / peer:.3f} |", flush=True)
    print("\n| work | least ratio | median |\n|---|---|---|")
    for work, all_rounds in ratios.items():
        print(f"| {work} | {min(all_rounds):.3f} | {statistics.median(all_rounds):.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hkd", default="build/hkd")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--math", default="fast", choices=["fast", "direct"])
    parser.add_argument("--what", default="convolutions", choices=["convolutions", "network"])
    parser.add_argument("--channels", type=int, default=128)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    command = [args.hkd, "bench", "--json", "--rounds", "1", "--threads", str(args.threads), "--batch", str(args.batch),
               "--math", args.math]
    if args.what == "network":
        return compare_networks(args, command + ["--what", "network", "--channels", str(args.channels)])
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
