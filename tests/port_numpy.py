#!/usr/bin/env python3
"""port_numpy.py - somebody else's port: thirteen operators in numpy float32, forward and backward, written from the formulas.

    python3 port_numpy.py VECTORS RESULTS [BUG]

reads in.* and up.* of every vector whose operator it knows and writes RESULTS/OP/CASE.safetensors; likewise every composite
whose calls (calls.tsv) are all of operators that it knows, forward and, along the same calls, backward. BUG plants one mistake
("bias", "sign", "half", "transpose"), which the judges must find; or it is a way that they must accept: "forward" has no
gradients, "float16" stores its results so, "flush" makes subnormal numbers zero (declared with --flush).
"""
import json
import os
import struct
import sys

import numpy as np

F = np.float32


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
    return {k: np.frombuffer(data[start + t["data_offsets"][0]:start + t["data_offsets"][1]], kind[t["dtype"]]).reshape(t["shape"])
            for k, t in header.items()}


def write(path, tensors):
    header, blobs, at = {}, [], 0
    for name, t in tensors.items():
        half = np.asarray(t).dtype == np.float16
        blob = np.ascontiguousarray(t, "<f2" if half else "<f4").tobytes()
        header[name] = {"dtype": "F16" if half else "F32", "shape": list(t.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


# ---- the operators: inputs and upstream gradient by name, parameters -> results by name -----------------------------------

def conv2d(x, w, b, y, p, bug):
    s, ph, pw, groups = (int(p[k]) for k in ("stride", "pad_h", "pad_w", "groups"))
    n, c, h, v = x.shape
    o, cg, kh, kw = w.shape
    xp = np.zeros((n, c, h + 2 * ph, v + 2 * pw), F)
    xp[:, :, ph:ph + h, pw:pw + v] = x
    ho, wo = (h + 2 * ph - kh) // s + 1, (v + 2 * pw - kw) // s + 1
    out, dxp, dw = np.zeros((n, o, ho, wo), F), np.zeros_like(xp), np.zeros_like(w)
    og = o // groups
    for g in range(groups):
        cs, os_ = slice(g * cg, (g + 1) * cg), slice(g * og, (g + 1) * og)
        for i in range(kh):
            for j in range(kw):
                window = (slice(None), cs, slice(i, i + s * (ho - 1) + 1, s), slice(j, j + s * (wo - 1) + 1, s))
                out[:, os_] += np.einsum("nchw,oc->nohw", xp[window], w[os_, :, i, j])
                dxp[window] += np.einsum("nohw,oc->nchw", y[:, os_], w[os_, :, i, j])
                dw[os_, :, i, j] += np.einsum("nohw,nchw->oc", y[:, os_], xp[window])
    r = {"grad.x": dxp[:, :, ph:ph + h, pw:pw + v], "grad.w": dw}
    if b is not None:
        out += b[:, None, None] * F(2 if bug == "bias" else 1)
        r["grad.b"] = y.sum((0, 2, 3))
    return dict(r, **{"out.y": out})


def linear(x, w, b, y, p, bug):
    r = {"out.y": x @ w.T, "grad.x": y @ w, "grad.w": y.T @ x}
    if b is not None:
        r["out.y"] = r["out.y"] + b
        r["grad.b"] = y.sum(0)
    return r


def relu(x, y, p, bug):
    return {"out.y": np.where(x > 0, x, F(0)), "grad.x": np.where(x > 0, y, F(0))}


def silu(x, y, p, bug):
    if bug == "half":
        x = x.astype(np.float16).astype(F)
    e = np.exp(-np.abs(x))  # never overflows, unlike exp(-x)
    s = np.where(x >= 0, F(1), e) / (F(1) + e)
    return {"out.y": x * s, "grad.x": y * (s + x * s * np.where(x >= 0, e, F(1)) / (F(1) + e))}


def softmax(x, y, p, bug):
    e = np.exp(x - x.max(1, keepdims=True))
    s = e / e.sum(1, keepdims=True)
    return {"out.y": s, "grad.x": s * (y - (s * y).sum(1, keepdims=True))}


def add(a, b, y, p, bug):
    return {"out.y": a + b, "grad.a": y, "grad.b": y}


def scale(x, y, p, bug):
    return {"out.y": x * F(p["s"]), "grad.x": y * F(p["s"])}


def add_channel(x, b, y, p, bug):
    db = y.sum((2, 3))
    r = {"out.y": x + (b[None, :] if b.ndim == 1 else b)[:, :, None, None]}
    r["grad.b"] = db.sum(0) if b.ndim == 1 else db.sum(0, keepdims=True) if b.shape[0] == 1 else db
    r["grad.x"] = y
    return r


def concat(a, b, y, p, bug):
    c = a.shape[1]
    return {"out.y": np.concatenate([b, a] if bug == "transpose" and a.shape == b.shape else [a, b], 1),
            "grad.a": y[:, :c], "grad.b": y[:, c:]}


def group_norm(x, gamma, beta, y, p, bug):
    n, c = x.shape[:2]
    g, m = int(p["groups"]), x[0].size // int(p["groups"]) if n else 1
    per = (1, c) + (1,) * (x.ndim - 2)
    xs = x.reshape(n, g, m)
    centred = xs - xs.mean(2, keepdims=True, dtype=F)
    r = F(1) / np.sqrt((centred * centred).mean(2, keepdims=True, dtype=F) + F(p["eps"]))
    h = centred * r
    gy = (y * gamma.reshape(per)).reshape(n, g, m)
    dx = r * (gy - gy.mean(2, keepdims=True, dtype=F) - h * (gy * h).mean(2, keepdims=True, dtype=F))
    h = h.reshape(x.shape)
    axes = (0,) + tuple(range(2, x.ndim))
    return {"out.y": h * gamma.reshape(per) + beta.reshape(per), "grad.x": dx.reshape(x.shape), "grad.gamma": (y * h).sum(axes),
            "grad.beta": y.sum(axes)}


def koopman_evolve(z, a, dt, y, p, bug):
    d = z.shape[1]
    alpha, beta, t = a[None, :d // 2], a[None, d // 2:], dt[:, None, None, None]
    sign = F(-1 if bug == "sign" else 1)
    g = np.exp(alpha * t)
    gc, gs = g * np.cos(beta * t), sign * g * np.sin(beta * t)
    z0, z1, u0, u1 = z[:, 0::2], z[:, 1::2], y[:, 0::2], y[:, 1::2]
    out, dz = np.zeros_like(z), np.zeros_like(z)
    out[:, 0::2], out[:, 1::2] = gc * z0 + gs * z1, gc * z1 - gs * z0
    dz[:, 0::2], dz[:, 1::2] = gc * u0 - gs * u1, gs * u0 + gc * u1
    along = out[:, 0::2] * u0 + out[:, 1::2] * u1
    across = out[:, 1::2] * u0 - out[:, 0::2] * u1
    da = np.concatenate([(t * along).sum(0), (t * across).sum(0)])
    if a.shape[1:] == (1, 1):
        da = da.sum((1, 2), keepdims=True)
    ddt = (alpha * along + beta * across).sum((1, 2, 3))
    return {"out.y": out, "grad.z": dz, "grad.a": da, "grad.dt": ddt}


def mse_loss(x, y_, up, p, bug):
    n = x.shape[0]
    count = F(x[0].size if n else 1)
    diff = x - y_
    per = (n,) + (1,) * (x.ndim - 1)
    dx = F(2) / count * diff * up.reshape(per)
    return {"out.l": (diff * diff).reshape(n, -1).sum(1) / count if n else np.zeros(0, F), "grad.x": dx, "grad.y": -dx}


def haar2d(x, y, p, bug):
    def analysis(t):
        p0, p1, p2, p3 = t[:, :, 0::2, 0::2], t[:, :, 0::2, 1::2], t[:, :, 1::2, 0::2], t[:, :, 1::2, 1::2]
        bands = [p0 + p1 + p2 + p3, p0 - p1 + p2 - p3, p0 + p1 - p2 - p3, p0 - p1 - p2 + p3]
        return (np.stack(bands, 2) * F(0.5)).reshape(t.shape[0], -1, t.shape[2] // 2, t.shape[3] // 2) if t.size else \
            np.zeros((t.shape[0], 4 * t.shape[1], t.shape[2] // 2, t.shape[3] // 2), F)

    def synthesis(t):
        b0, b1, b2, b3 = t[:, 0::4], t[:, 1::4], t[:, 2::4], t[:, 3::4]
        out = np.zeros((t.shape[0], t.shape[1] // 4, 2 * t.shape[2], 2 * t.shape[3]), F)
        out[:, :, 0::2, 0::2], out[:, :, 0::2, 1::2] = b0 + b1 + b2 + b3, b0 - b1 + b2 - b3
        out[:, :, 1::2, 0::2], out[:, :, 1::2, 1::2] = b0 + b1 - b2 - b3, b0 - b1 - b2 + b3
        return out * F(0.5)
    forward, backward = (analysis, synthesis) if p["mode"] == 0 else (synthesis, analysis)
    return {"out.y": forward(x), "grad.x": backward(y)}


def run(case, t, bug):
    f32 = {k: v.astype(F) for k, v in t.items() if k.startswith(("in.", "up."))}
    get = lambda name: f32.get("in." + name)
    up, p, op = next((v for k, v in f32.items() if k.startswith("up.")), None), case["params"], case["op"]
    if op in ("conv2d", "linear"):
        return globals()[op](get("x"), get("w"), get("b"), up, p, bug)
    if op in ("relu", "silu", "softmax", "scale", "haar2d"):
        return globals()[op](get("x"), up, p, bug)
    if op in ("add", "concat"):
        return globals()[op](get("a"), get("b"), up, p, bug)
    if op == "add_channel":
        return add_channel(get("x"), get("b"), up, p, bug)
    if op == "group_norm":
        return group_norm(get("x"), get("gamma"), get("beta"), up, p, bug)
    if op == "koopman_evolve":
        return koopman_evolve(get("z"), get("a"), get("dt"), up, p, bug)
    if op == "mse_loss":
        return mse_loss(get("x"), get("y"), up, p, bug)
    return None


# ---- composites: networks as lists of calls ---------------------------------------------------------------------------------

def calls_of(vectors):
    """calls.tsv: composite, number, operator, inputs, outputs, parameters -> the calls of each composite in order, with the
    inputs and parameters by name and the names of the outputs."""
    composites = {}
    with open(os.path.join(vectors, "calls.tsv")) as f:
        for line in f:
            name, _, op, ins, outs, params = line.rstrip("\n").split("\t")
            ins, outs, params = (dict(p.split("=", 1) for p in field.split()) for field in (ins, outs, params))
            composites.setdefault(name, []).append((op, ins, list(outs.values()), {k: float(v) for k, v in params.items()}))
    return composites


def call(op, ins, params, values, upstream, bug):
    t = {"in." + k: values[name] for k, name in ins.items()}
    return run({"op": op, "params": params}, dict(t, **{"up.y": upstream}), bug)


def composite(calls, recorded, bug):
    """Inputs and weights are what no call makes; grad_NAME is the upstream gradient of NAME. None: an operator is unknown."""
    made = {y for _, _, (y,), _ in calls}
    values = {k: v.astype(F) for k, v in recorded.items() if k not in made}
    for op, ins, (y,), params in calls:
        answer = call(op, ins, params, values, np.zeros(recorded[y].shape, F), bug)
        if answer is None:
            return None
        values[y] = answer["out.y"]
    grads = {k[5:]: v for k, v in values.items() if k.startswith("grad_")}
    for op, ins, (y,), params in reversed(calls):
        answer = call(op, ins, params, values, grads[y], bug)
        for k, name in ins.items():
            grads[name] = grads.get(name, F(0)) + answer["grad." + k]
    results = {name: values[name] for name in made}
    results.update({"grad." + name: g for name, g in grads.items() if "grad." + name in recorded})
    return results


def main(vectors, results, bug=""):
    with open(os.path.join(vectors, "manifest.json")) as f:
        cases = json.load(f)["cases"]
    done = 0
    cases = [(case["file"], lambda t, case=case: run(case, t, bug)) for case in cases]
    cases += [(name + ".safetensors", lambda t, calls=calls: composite(calls, t, bug)) for name, calls in calls_of(vectors).items()]
    with np.errstate(all="ignore"):
        for file, compute in cases:
            answer = compute(read(os.path.join(vectors, file)))
            if answer is not None:
                if bug == "forward":
                    answer = {k: v for k, v in answer.items() if not k.startswith("grad.")}
                if bug == "float16":
                    answer = {k: np.asarray(v).astype(np.float16) for k, v in answer.items()}
                if bug == "flush":
                    answer = {k: np.where(np.abs(v) < F(2.0 ** -126), F(0), v) for k, v in answer.items()}
                write(os.path.join(results, file), answer)
                done += 1
    print(done, "cases computed")


if __name__ == "__main__":
    main(*sys.argv[1:])
