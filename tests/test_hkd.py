#!/usr/bin/env python3
"""test_hkd.py - tools/hkd.py against the program, the recorded vectors and closed forms.

    python3 test_hkd.py BUILD DIR          the program is BUILD/hkd, hkd.py lies in DIR
"""
import gc
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

build, place = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if place == os.path.join(root, "tools"):
    os.environ["HKD_LIBRARY"] = os.path.join(build, "libhkd.so")
sys.path[:0] = [place, os.path.join(root, "tests")]
import hkd  # noqa: E402
from port_numpy import read, write  # noqa: E402

HKD, TEACHER = (os.path.join(root, "data", f"scenes_{name}.safetensors") for name in ("hkd", "teacher"))
VECTORS = os.path.join(root, "vectors")
count = [0, 0, 0]


def check(ok, message):
    count[0 if ok else 1] += 1
    if not ok:
        print("FAIL hkd.py:", message)


def skip(message):
    count[2] += 1
    print("SKIP hkd.py:", message)


def program(*words):
    done = subprocess.run([os.path.join(build, "hkd"), *words, "--quiet"], capture_output=True, text=True)
    check(done.returncode == 0, f"hkd {' '.join(words)}: {done.stderr}")


def refused(what, status, says, call, *arguments, **named):
    """The call must raise the library's one line, with this status."""
    try:
        call(*arguments, **named)
        check(False, f"{what}: nothing is said")
    except hkd.Error as e:
        check(e.status == status and says in str(e) and "\n" not in str(e), f"{what}: status {e.status}, '{e}'")


def same(a, b):
    return a.shape == b.shape and np.asarray(a, b.dtype).tobytes() == b.tobytes()


# ---- models ---------------------------------------------------------------------------------------------------------------

def samples(device, name, folder):
    """The same seeds give the program's pictures, bit for bit: a default or a name that goes elsewhere shows here."""
    cases = [(HKD, {}, []), (HKD, {"steps": 2}, ["--steps", "2"]), (HKD, {"rng": "torch-cuda"}, ["--rng", "torch-cuda"])]
    if name == "cpu":
        cases += [(TEACHER, {"steps": 3}, ["--steps", "3"]),
                  (TEACHER, {"sampler": "ddim", "steps": 3, "rng": "numpy"}, "--sampler ddim --steps 3 --rng numpy".split())]
    for path, named, words in cases[:1] if name == "ref" else cases:
        seeds = [3, 4] if named.get("rng") == "numpy" else [3, 1 << 40]
        out = os.path.join(folder, "x.safetensors")
        program("sample", "--device", name, "--model", path, "--seeds", ",".join(map(str, seeds)), "--out", out, *words)
        with hkd.Model(path, device) as m:
            check(same(m.sample(seeds, **named), read_any(out)["x"]), f"{name} {path} {named}: not the program's picture")
            steps = named.get("steps", 1)
            nfe = 2 * (2 * steps - 1 if path == TEACHER and "sampler" not in named else steps)
            check(m.nfe == nfe, f"{named}: {m.nfe} evaluations, expected {nfe}")


def picture(device, folder):
    """The PPM that the program paints is this array, rounded as EDM does it, each pixel three times as large."""
    out = os.path.join(folder, "x.ppm")
    program("sample", "--device", "cpu", "--model", HKD, "--seeds", "7", "--out", out)
    with open(out, "rb") as f:
        kind, size, most, pixels = f.read().split(b"\n", 3)
    width, height = map(int, size.split())
    painted = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    with hkd.Model(HKD, device) as m:
        x = m.sample([7])[0]
    expected = np.clip(x * 127.5 + 128, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    scale = max(1, (width - 1) // expected.shape[1])
    edge = (width - scale * expected.shape[1]) // 2
    inner = painted[edge:height - edge:scale, edge:width - edge:scale]
    check(kind == b"P6" and np.array_equal(inner, expected), "the picture is not the array")


def read_any(path):
    """A trace or sample also holds U64, which port_numpy's reader does not know."""
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    kinds = {"F64": "<f8", "F32": "<f4", "U64": "<u8"}
    tensors = {k: t for k, t in json.loads(data[8:start]).items() if k != "__metadata__"}
    where = {k: slice(*(start + at for at in t["data_offsets"])) for k, t in tensors.items()}
    return {k: np.frombuffer(data[where[k]], kinds[t["dtype"]]).reshape(t["shape"]) for k, t in tensors.items()}


def latents(device, name):
    """Encode, evolve, decode and spectrum fit together: exp(dt A) is a group, and the one whose eigenvalues are given."""
    close = 1e-13 if name == "ref" else 3e-6
    with hkd.Model(HKD, device) as m:
        x = 80 * np.random.default_rng(1).standard_normal((2, *m.shape))
        sigma = m.info.sigma_max
        z = m.encode(x, sigma)
        check([a.shape for a in z] == [(2, *s) for s in m.latent_shapes], "shapes of the latents")
        check(same(m.decode(z, x, sigma), m.denoise(x, sigma)), f"{name}: decode after encode is not denoise")
        whole, halves = m.evolve(z, -0.75), m.evolve(m.evolve(z, [-0.5, -0.5]), -0.25)
        for i, (a, b, start, e) in enumerate(zip(whole, halves, z, m.spectrum())):
            size = np.abs(a).max()
            off = np.abs(a - b).max() / size
            check(off <= close, f"{name}: latent {i}: two steps are {off:g} off one")
            check(not np.array_equal(a, start), f"{name}: latent {i} does not move")
            pair = (start[:, 0::2] + 1j * start[:, 1::2]) * np.exp(np.conj(e) * -0.75)
            moved = a[:, 0::2] + 1j * a[:, 1::2]
            check(np.abs(pair - moved).max() <= close * size, f"{name}: latent {i} does not turn with its eigenvalues")
        each = m.evolve(z, [0, -1])
        check(np.array_equal(each[0][0], z[0][0]) and not np.array_equal(each[0][1], z[0][1]), "dt is not the image's own")
        back = m.evolve(m.evolve(z, -1), 1)
        check(max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(back, z)) <= 100 * close, f"{name}: there and back")
        d = m.decode(m.evolve(z, -1), x, sigma, dt=0)
        check(same(d, m.denoise(x, sigma)), f"{name}: evolved outside, decoded elsewhere")
    with hkd.Model(TEACHER, device) as m:
        check(m.spectrum() == [None] * len(m.latent_shapes) and not m.info.one_step, "a denoiser has operators")
        z = m.encode(x, 1)
        check(all(np.array_equal(a, b) for a, b in zip(m.evolve(z, 1), z)), "a denoiser's latents move")


def trace(device, name, folder):
    """The dict is the file of `hkd trace`: the same names, the same bits."""
    given, out = os.path.join(folder, "in.safetensors"), os.path.join(folder, "trace.safetensors")
    with hkd.Model(HKD, device) as m:
        x = np.random.default_rng(2).standard_normal((2, *m.shape)).astype(np.float32)
        sigma, dt = np.array([80, 0.5], np.float32), np.array([-1, -0.25], np.float32)
        write(given, {"x": x, "sigma": sigma, "dt": dt})
        program("trace", "--device", name, "--model", HKD, "--in", given, "--out", out)
        mine, file = m.trace(x, sigma, dt=dt), read_any(out)
        check(set(mine) == set(file) and len(file) > 100, f"{name}: names differ: {sorted(set(mine) ^ set(file))[:5]}")
        check(all(same(mine[k], file[k]) for k in file if k in mine), f"{name}: values differ from the file's")
        check(np.array_equal(mine["d"], m.denoise(x, sigma, dt=dt)) and np.array_equal(mine["sigma"], sigma),
              f"{name}: the trace ends elsewhere")


# ---- operators ------------------------------------------------------------------------------------------------------------

def vectors(device, name, folder):
    """Some operators on their recorded cases, forward and backward, judged as every port is; and the judge sees a mistake."""
    with open(os.path.join(VECTORS, "manifest.json")) as f:
        cases = json.load(f)["cases"]
    some = {"conv2d", "linear", "group_norm", "attention", "koopman_evolve", "edm_loss", "mse_loss", "concat", "adam"}
    results = os.path.join(folder, "vectors-" + name)
    for case in (c for c in cases if c["op"] in some):
        t = read(os.path.join(VECTORS, case["file"]))
        part = {kind: {k[len(kind):]: v for k, v in t.items() if k.startswith(kind)} for kind in ("in.", "up.", "grad.")}
        answer = {"out." + k: v for k, v in device.run(case["op"], part["in."], **case["params"]).items()}
        if part["grad."]:
            g = device.gradient(case["op"], part["in."], part["up."], **case["params"])
            check(set(part["grad."]) <= set(g), f"{case['case']}: a gradient is missing")
            answer.update({"grad." + k: v for k, v in g.items()})
        with np.errstate(over="ignore"):
            write(os.path.join(results, case["file"]), answer)
    judge = [sys.executable, os.path.join(VECTORS, "check.py"), VECTORS, results]
    done = subprocess.run(judge, capture_output=True, text=True)
    last = done.stdout.strip().split("\n")[-1]
    check(done.returncode == 0 and int(last.split()[0]) > 500, f"{name}: the vectors reject it: {done.stdout[-600:]}")
    wrong = next(p for p in sorted(os.path.join(results, "linear", f) for f in os.listdir(os.path.join(results, "linear")))
                 if "random" in p and read(p)["grad.w"].size > 4)
    write(wrong, dict(read(wrong), **{"grad.w": -read(wrong)["grad.w"]}))
    check(subprocess.run(judge, capture_output=True).returncode == 1, "the judge does not see a wrong gradient")


def table():
    """What hkd.py says of operators."""
    names = hkd.operators()
    check(len(names) >= 35 and "conv2d" in names and len(set(names)) == len(names), f"operators: {names}")
    row = hkd.operator("conv2d")
    check(row.inputs == ["x", "w", "b"] and row.optional == ["b"] and row.outputs == ["y"], f"conv2d: {row}")
    check(row.parameters["stride"] == 1 and row.gradients == ["x", "w", "b"], f"conv2d: {row}")
    check(hkd.operator("adam").gradients == [] and "sigma" not in hkd.operator("edm_loss").gradients, "gradients that are none")


def example():
    """What the docstring shows runs as it stands there, in the project's folder."""
    names = {}
    os.chdir(root)
    exec("\n".join(line[4:] for line in hkd.__doc__.split("\n") if line.startswith("    ")), names)
    check(names["x"].shape == names["d"].shape == (4, 3, 32, 32) and names["g"].shape == (8, 3, 3, 3) and len(names["slow"]) ==
          len(names["z"]) and "z.0" in names["every"], "the example gives something else")


# ---- errors and memory ----------------------------------------------------------------------------------------------------

def errors(device):
    x = np.ones((2, 3, 4, 4))
    refused("an unknown device", 2, "gpu", hkd.Device, "gpu")
    refused("an absent model", 3, "absent.safetensors", hkd.Model, os.path.join(root, "absent.safetensors"), device)
    refused("a model that is none", 3, "README.md", hkd.Model, os.path.join(VECTORS, "README.md"), device)
    refused("an unknown operator", 2, "conv9d", device.run, "conv9d", {})
    refused("an unknown input", 2, "x, w, b", device.run, "conv2d", {"image": x})
    refused("an unknown parameter", 2, "strides", device.run, "conv2d", {"x": x}, strides=2)
    refused("a missing input", 2, "'w'", device.run, "conv2d", {"x": x})
    refused("shapes that do not fit", 2, "conv2d", device.run, "conv2d", {"x": x, "w": np.ones((1, 2, 1, 1))})
    refused("five dimensions", 2, "5 dimensions", device.run, "silu", {"x": x[None]})
    refused("half a stride", 2, "stride", device.run, "conv2d", {"x": x, "w": np.ones((1, 3, 1, 1))}, stride=0.5)
    refused("no upstream gradient", 2, "'y'", device.gradient, "silu", {"x": x}, {})
    refused("an upstream gradient of another shape", 2, "expected [2, 3, 4, 4]", device.gradient, "silu", {"x": x}, {"y": x[0]})
    one = np.ones(1)
    refused("no gradient at all", 2, "no gradient", device.gradient, "ema", {"e": one, "p": one}, {"e_new": one})
    with hkd.Model(HKD, device) as m:
        refused("a sampler of denoisers", 2, "heun", m.sample, [1], sampler="heun")
        refused("an unknown sampler", 2, "onestep|", m.sample, [1], sampler="best")
        refused("an unknown generator", 2, "torch-cuda", m.sample, [1], rng="mine")
        refused("a seed that numpy refuses", 2, "seed", m.sample, [1 << 40], rng="numpy")
        refused("a negative seed", 2, "-1", m.sample, [-1])
        refused("a class of a model without", 2, "0 classes", m.sample, [1], label=0)
        refused("labels of a model without", 2, "0 classes", m.denoise, np.zeros((1, *m.shape)), 1, labels=0)
        refused("negative steps", 2, "-2 steps", m.sample, [1], steps=-2)
        refused("a picture of another size", 2, "[2, 3, 32, 32]", m.denoise, x, 1)
        refused("one image", 2, "[n, 3, 32, 32]", m.denoise, np.zeros(m.shape), 1)
        refused("too many noise levels", 2, "sigma", m.denoise, np.zeros((2, *m.shape)), [1, 2, 3])
        refused("a latent too few", 2, "latents", m.evolve, [], 1)
        z = [np.zeros((1, *s)) for s in m.latent_shapes]
        refused("a latent of another shape", 2, "latent 1", m.evolve, [z[0], z[0][:, :1], *z[2:]], 1)
        check(m.sample([]).shape == (0, *m.shape), "no seeds")
    refused("a closed model", 2, "closed", m.sample, [1])


def memory():
    """Arrays that die, that lie oddly in memory or are of another type; handles that go in any order."""
    device = hkd.Device("cpu", threads=1)
    m = hkd.Model(HKD, device)
    x = np.random.default_rng(3).standard_normal((3, *m.shape))
    before, wanted = x.copy(), m.denoise(x, 2.0)
    check(np.array_equal(x, before), "an input changes")
    odd = np.asfortranarray(np.repeat(x, 2, axis=3))[:, :, :, ::2]
    check(np.array_equal(m.denoise(odd, np.array([2, 2, 2])), wanted), "a strided array is another picture")
    check(np.array_equal(m.denoise(x.astype(">f8"), 2), wanted), "a big-endian array is another picture")
    for _ in range(20):  # everything that goes in is garbage at once
        z = m.evolve(m.encode(x.copy(), np.full(3, 2.0)), np.zeros(3))
        gc.collect()
        trash = [np.full(a.shape, np.nan) for a in z]
        check(np.array_equal(m.decode([a.copy() for a in z], x + 0, [2.0] * 3), wanted), "garbage is read")
        del trash
    lives = m.sample([5])
    model_device = m.device
    del device, model_device
    gc.collect()
    check(np.array_equal(m.sample([5]), lives), "a model does not hold its device")
    m.device.close()
    refused("a model whose device is closed", 2, "closed", m.sample, [5])
    refused("a closed device", 2, "closed", m.device.run, "silu", {"x": x})
    m.close()
    m.device.close()
    check(np.isfinite(lives).all(), "a result dies with its model")
    for _ in range(5):
        ring = [hkd.Model(HKD, hkd.Device("cpu", threads=1))]
        ring.append(ring)  # freed by the collector, in an order of its own
        ring[0].ring = ring
        del ring
        gc.collect()


def libraries(folder):
    """A library of another ABI, one that is none, and none at all, are refused in one line that says what was found."""
    def imported(path):
        done = subprocess.run([sys.executable, "-c", "import hkd"], capture_output=True, text=True,
                              env=dict(os.environ, HKD_LIBRARY=path, PYTHONPATH=place))
        return done.stderr.strip().split("\n")[-1] if done.returncode else "imported"
    absent = os.path.join(folder, "absent.so")
    said = imported(absent)
    check(said.startswith("ImportError") and "absent.so" in said, f"no library: {said}")
    old = f"int hkd_abi_version(void) {{ return {hkd.ABI - 1}; }}"
    for name, source, says in (("old", old, f"ABI is {hkd.ABI - 1}, expected {hkd.ABI}"),
                               ("other", "int nothing(void) { return 0; }", "not a library of hkd")):
        path = os.path.join(folder, name + ".so")
        compiler = os.environ.get("CC", "cc").split()
        try:
            subprocess.run([*compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=source, text=True, check=True,
                           capture_output=True)
        except (OSError, subprocess.CalledProcessError) as e:
            skip(f"a library of another ABI: no compiler: {e}")
            continue
        said = imported(path)
        check(said.startswith("ImportError") and says in said, f"{name} library: {said}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        table()
        example()
        for name in ("cpu", "ref", "opencl"):
            try:
                device = hkd.Device(name)
            except hkd.Error as e:
                skip(f"{name}: {e}")
                continue
            with hkd.Device(name, direct=True) as plain:  # Winograd's error is not element-wise
                vectors(plain, name, folder)
            with device:
                samples(device, name, folder)
                latents(device, name)
                trace(device, name, folder)
        with hkd.Device("cpu") as cpu:
            picture(cpu, folder)
            errors(cpu)
        memory()
        libraries(folder)
    print(f"hkd.py: {count[0]} passed, {count[1]} failed, {count[2]} skipped")
    return 1 if count[1] else 0


if __name__ == "__main__":
    sys.exit(main())
