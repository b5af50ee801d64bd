#!/usr/bin/env python3
"""The table of `hkd bench` beside PyTorch's standard layers (oneDNN) on the same work, interleaved; ratios are ours / theirs in
time, so below 1 is faster.

usage: tools/bench_peers.py [--hkd build/hkd] [--threads 1,2] [--rounds 3] [--works step1,...] [--micro-batch 4] [--csv FILE]

A round measures every work on our side and right after it in PyTorch: eager, channels_last and (forward only)
optimize_for_inference; their best counts. Every measurement has a process of its own, whose peak memory is reported; a network
runs twice there to warm up. `layers` compares single convolutions, forward, dx and dw, with oneDNN's direct kernels, the only
ones PyTorch asks for: its Winograd is opt-in in oneDNN's own interface, out of reach from here.

PyTorch without a fast BLAS runs 1x1 convolutions (on one thread), attention and linear layers in plain loops, many times slower
than it can; the script measures a matrix product first and does not go on then (--slow-blas goes on). Needs PyTorch.
"""
import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import time

WORKS = {  # name: (hkd bench --what, channels, batch, math)
    "step1": ("frozen", 128, 1, "fast"), "direct1": ("frozen", 128, 1, "direct"), "step16": ("frozen", 128, 16, "fast"),
    "step16-unprepared": ("step", 128, 16, "fast"), "direct16": ("frozen", 128, 16, "direct"),
    "train8": ("training", 128, 8, "fast"),
    "small16": ("frozen", 32, 16, "fast"), "small-train16": ("training", 32, 16, "fast"),
    "layers": ("convolutions", 128, 4, "fast"),
}
LAYOUTS = ("eager", "channels_last")


def runs_of(channels, batch):
    """How often a round measures a network, on either side: the least of these counts."""
    return 1 if channels > 32 and batch > 1 else 3


# ---- PyTorch's side: each of these runs in a process of its own and prints JSON ----

def peak_memory():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) * 1024


def seconds_of(run, times):
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def peer_forward(variant, channels, batch):
    import torch
    from peer_network import Network
    layout = torch.channels_last if "channels_last" in variant else torch.contiguous_format
    network = Network(channels, operators=True).to(memory_format=layout).eval()
    x, noise = torch.randn(batch, 3, 32, 32).to(memory_format=layout), torch.full((batch,), 1.1)
    with torch.no_grad():
        if "inference" in variant:
            traced = torch.jit.freeze(torch.jit.trace(network, (x, noise), check_trace=False))
            network = torch.jit.optimize_for_inference(traced)
        seconds_of(lambda: network(x, noise), 2)
        return seconds_of(lambda: network(x, noise), runs_of(channels, batch)) / batch


def peer_training(variant, channels, batch):
    import torch
    from peer_network import Network
    layout = torch.channels_last if "channels_last" in variant else torch.contiguous_format
    network = Network(channels).to(memory_format=layout).train()
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    x, noise = torch.randn(batch, 3, 32, 32).to(memory_format=layout), torch.full((batch,), 1.1)
    average = [p.detach().clone() for p in network.parameters()]

    def step():  # as `hkd bench --what training`: squared error, backward, Adam, moving average
        adam.zero_grad(set_to_none=True)
        (network(x, noise) - x).square().mean().backward()
        adam.step()
        with torch.no_grad():
            torch._foreach_mul_(average, 0.999)
            torch._foreach_add_(average, list(network.parameters()), alpha=0.001)

    seconds_of(step, 1)
    return seconds_of(step, runs_of(channels, batch)) / batch


def peer_layer(batch, c_in, c_out, side, kernel):
    """Seconds per image of forward, dx and dw: the better of the two layouts, of runs within 50 ms."""
    import torch
    best = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.full((batch, c_in, side, side), 0.5).to(memory_format=layout)
        w = torch.full((c_out, c_in, kernel, kernel), 0.01).to(memory_format=layout)
        y = torch.full((batch, c_out, side, side), 0.5).to(memory_format=layout)

        def backward(mask):
            return torch.ops.aten.convolution_backward(y, x, w, None, [1, 1], [kernel // 2] * 2, [1, 1], False, [0, 0], 1, mask)

        runs = {"forward": lambda: torch.conv2d(x, w, None, 1, kernel // 2),
                "dx": lambda: backward([True, False, False]), "dw": lambda: backward([False, True, False])}
        with torch.no_grad():
            for way, run in runs.items():
                once = seconds_of(run, 2)
                again = seconds_of(run, max(1, min(50, int(0.05 / once))))
                best[way] = min(best.get(way, float("inf")), min(once, again) / batch)
    return best


def blas_gflops():
    import torch
    a = torch.ones(768, 768)
    return 2e-9 * 768 ** 3 / seconds_of(lambda: a @ a, 3)


def peer(args):
    import torch
    torch.set_num_threads(args.threads)
    what, variant, channels, batch = args.peer
    if what == "blas":
        result = {"gflops": blas_gflops(), "version": torch.__version__}
    elif what == "layers":
        result = {shape: peer_layer(int(batch), *map(int, re.match(r"(\d+)->(\d+) (\d+) (\d+)", shape).groups()))
                  for shape in variant.split(",")}
    else:
        run = peer_training if what == "training" else peer_forward
        result = {"seconds": run(variant, int(channels), int(batch))}
    result["peak_memory"] = peak_memory()
    print(json.dumps(result))


# ---- both sides in turn ----

def report_of(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def theirs(threads, what, variant="", channels=0, batch=0):
    words = ["--threads", str(threads), "--peer", what, variant, str(channels), str(batch)]
    return report_of([sys.executable, __file__] + words, threads)


def ours(hkd, threads, work, micro_batch):
    what, channels, batch, math = WORKS[work]
    options = {"rounds": runs_of(channels, batch), "threads": threads, "what": what, "channels": channels, "batch": batch,
               "math": math, "micro-batch": micro_batch}
    words = [word for name, value in options.items() for word in ("--" + name, str(value))]
    return report_of([hkd, "bench", "--json"] + words, threads)["rows"]


def network_round(hkd, threads, work, micro_batch, measured):
    """(what is compared, our seconds per image, theirs, best variant, our peak memory, their least, FMA peak). What `measured`
    holds of this round is not run again: PyTorch does the same for our prepared, unprepared and direct passes."""
    what, channels, batch, _ = WORKS[work]
    row = ours(hkd, threads, work, micro_batch)[0]
    variants = LAYOUTS if what == "training" else LAYOUTS + tuple(v + " optimize_for_inference" for v in LAYOUTS)
    key = (len(variants), channels, batch)
    if key not in measured:
        measured[key] = {v: theirs(threads, what, v, channels, batch) for v in variants}
    found = measured[key]
    best = min(found, key=lambda v: found[v]["seconds"])
    return [(work, row["least_seconds"], found[best]["seconds"], best, row["peak_memory"],
             min(f["peak_memory"] for f in found.values()), max(row["peak_gflops"]))]


def layers_round(hkd, threads, work, *_):
    rows = {row["work"]: row for row in ours(hkd, threads, work, 0)}
    shape_of = {}
    for name in rows:
        kernel, c_in, c_out, side = re.match(r"(\d+)x\d+ (\d+)->(\d+) (\d+)x", name).groups()
        shape_of[name] = f"{c_in}->{c_out} {side} {kernel}"
    shapes = ",".join(dict.fromkeys(shape_of.values()))
    found = theirs(threads, "layers", shapes, 0, WORKS[work][2])
    result = []
    for name, row in rows.items():
        way = name.split()[-1]
        peer_seconds = found[shape_of[name]]["forward" if way == "frozen" else way]
        result.append((name, row["least_seconds"], peer_seconds, "oneDNN direct", None, None, row["peak_gflops"][0]))
    return result


def print_layers(ratios):
    """The network's 3x3 convolutions, 3->128 and 256->3 excepted: our speed over oneDNN's."""
    speeds = {}
    for (threads, name), values in ratios.items():
        if name.startswith("3x3") and " 3->" not in name and "->3 " not in name:
            speeds.setdefault((threads, name.split()[-1]), []).append(1 / min(values))
    for (threads, way), speed in speeds.items():
        print(f"* {threads} thread(s), 3x3 {way}: {statistics.median(speed):.2f} times the speed of oneDNN direct (median over "
              f"shapes), {min(speed):.2f} the least")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hkd", default="build/hkd")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--works", default=",".join(WORKS), help="which rows: " + ", ".join(WORKS))
    parser.add_argument("--csv", help="every round's numbers")
    parser.add_argument("--micro-batch", type=int, default=0, help="of our training; 0: the whole batch")
    parser.add_argument("--slow-blas", action="store_true")
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        args.threads = int(args.threads)
        return peer(args)
    works = args.works.split(",")
    if not set(works) <= set(WORKS):
        parser.error(f"--works: of {', '.join(WORKS)}")
    blas = theirs(1, "blas")
    print(f"PyTorch {blas['version']}, its matrix product on one thread {blas['gflops']:.0f} GF/s\n", flush=True)
    if blas["gflops"] < 20 and not args.slow_blas:
        sys.exit("PyTorch's BLAS is a slow one, its times would say nothing: install a fast one (Debian: libopenblas0-pthread)")
    print("| threads | round | FMA peak, GF/s | work | ours, ms per image | theirs | ratio | ours, MB | theirs | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    ratios, memory, lines = {}, {}, []
    for threads in map(int, args.threads.split(",")):
        for number in range(1, args.rounds + 1):
            measured = {}
            for work in works:
                run = layers_round if work == "layers" else network_round
                found = run(args.hkd, threads, work, args.micro_batch, measured)
                for name, mine, peer_seconds, variant, mine_memory, peer_memory, peak in found:
                    ratios.setdefault((threads, name), []).append(mine / peer_seconds)
                    lines.append((threads, number, peak, name, mine, peer_seconds, variant, mine_memory, peer_memory))
                    size = ""
                    if mine_memory:
                        memory.setdefault((threads, name), []).append(mine_memory / peer_memory)
                        size = f" {mine_memory / 1e6:.0f} | {peer_memory / 1e6:.0f} | {mine_memory / peer_memory:.2f}"
                    times = f"{1e3 * mine:.3f} | {1e3 * peer_seconds:.3f} ({variant}) | {mine / peer_seconds:.3f}"
                    print(f"| {threads} | {number} | {peak:.0f} | {name} | {times} |{size or ' | |'} |", flush=True)
    print("\n| threads | work | time ratio, least | median | memory ratio |\n|---|---|---|---|---|")
    for (threads, name), values in ratios.items():
        size = memory.get((threads, name))
        size = f"{min(size):.2f}" if size else ""
        print(f"| {threads} | {name} | {min(values):.3f} | {statistics.median(values):.3f} | {size} |")
    print()
    print_layers(ratios)
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            table = csv.writer(file)
            table.writerow("threads round peak_gflops work ours_seconds theirs_seconds variant ours_memory "
                           "theirs_memory".split())
            table.writerows(lines)


if __name__ == "__main__":
    main()
