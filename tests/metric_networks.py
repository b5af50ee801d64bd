"""What the networks of tests/test_metric_networks.c must give, computed with nothing but Python's own arithmetic.

    python3 tests/metric_networks.py > tests/metric_networks.h

Written from the descriptions of LPIPS 0.1, torchvision's classifiers and the Inception-v3 of FID, not from this project's code.
Every layer has 1/16 of its width. Element i of tensor NAME comes from a hash of both.
"""
import math

M = 0xffffffff


def word(name, i):
    h = 5381
    for c in name.encode():
        h = (h * 33 + c) & M
    x = (h + i * 2654435761) & M
    x = ((x ^ x >> 15) * 2246822519) & M
    x = ((x ^ x >> 13) * 3266489917) & M
    return (x ^ x >> 16) >> 16


def centred(name, count):
    return [word(name, i) / 65536 - 0.5 for i in range(count)]


def kernel(name, out, inside, kh, kw):
    scale = 8.0
    while scale * scale * inside * kh * kw > 48:
        scale /= 2
    flat = [scale * v for v in centred(name, out * inside * kh * kw)]
    size = inside * kh * kw
    return [flat[o * size:(o + 1) * size] for o in range(out)]


class Picture:
    """Channels of rows of numbers."""
    def __init__(self, planes):
        self.c, self.h, self.w, self.planes = len(planes), len(planes[0]), len(planes[0][0]), planes


def conv(x, weights, kh, kw, stride=1, ph=0, pw=0, bias=None):
    zero = [0.0] * (x.w + 2 * pw)
    padded = [[zero] * ph + [[0.0] * pw + row + [0.0] * pw for row in plane] + [zero] * ph for plane in x.planes]
    out = [[] for _ in weights]
    for i in range(0, x.h + 2 * ph - kh + 1, stride):
        rows = [[] for _ in weights]
        for j in range(0, x.w + 2 * pw - kw + 1, stride):
            patch = [v for plane in padded for p in range(kh) for v in plane[i + p][j:j + kw]]
            for o, w in enumerate(weights):
                rows[o].append(sum(map(float.__mul__, w, patch)) + (bias[o] if bias else 0.0))
        for o, row in enumerate(rows):
            out[o].append(row)
    return Picture(out)


def relu(x):
    return Picture([[[v if v > 0 else 0.0 for v in row] for row in plane] for plane in x.planes])


def pool(x, size, stride, pad=0, ceil=False, mean=False):
    """The window's places outside the picture count for nothing."""
    def places(n):
        over = n + 2 * pad - size
        count = (over + stride - 1 if ceil else over) // stride + 1
        if ceil and (count - 1) * stride >= n + pad:
            count -= 1
        return [range(max(0, k * stride - pad), min(n, k * stride - pad + size)) for k in range(count)]
    value = (lambda v: sum(v) / len(v)) if mean else max
    return Picture([[[value([plane[a][b] for a in r for b in s]) for s in places(x.w)] for r in places(x.h)]
                    for plane in x.planes])


def join(*parts):
    return Picture([plane for p in parts for plane in p.planes])


# ---- LPIPS

def layer(x, name, width, k, stride=1, pad=0):
    width //= 16
    return relu(conv(x, kernel(name + ".weight", width, x.c, k, k), k, k, stride, pad, pad,
                     [0.5 * v for v in centred(name + ".bias", width)]))


def fire(x, index, middle, width):
    name = "features.%d." % index
    s = layer(x, name + "squeeze", middle, 1)
    return join(layer(s, name + "expand1x1", width, 1), layer(s, name + "expand3x3", width, 3, pad=1))


def squeeze(x):
    taps = [layer(x, "features.0", 64, 3, 2)]
    for group in (((3, 16, 64), (4, 16, 64)), ((6, 32, 128), (7, 32, 128)), ((9, 48, 192),)):
        h = pool(taps[-1], 3, 2, ceil=True)
        for f in group:
            h = fire(h, *f)
        taps.append(h)
    for f in ((10, 48, 192), (11, 64, 256), (12, 64, 256)):
        taps.append(fire(taps[-1], *f))
    return taps


def alex(x):
    taps = [layer(x, "features.0", 64, 11, 4, 2)]
    taps.append(layer(pool(taps[-1], 3, 2), "features.3", 192, 5, pad=2))
    taps.append(layer(pool(taps[-1], 3, 2), "features.6", 384, 3, pad=1))
    taps.append(layer(taps[-1], "features.8", 256, 3, pad=1))
    taps.append(layer(taps[-1], "features.10", 256, 3, pad=1))
    return taps


def vgg(x):
    taps, at = [], 0
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if taps:
            x, at = pool(taps[-1], 2, 2), at + 1
        for _ in range(count):
            x, at = layer(x, "features.%d" % at, width, 3, pad=1), at + 2
        taps.append(x)
    return taps


def lpips(network, x, y):
    def taps(p):
        shift, scale = (-.030, -.088, -.188), (.458, .448, .450)
        return network(Picture([[[(v - shift[c]) / scale[c] for v in row] for row in p.planes[c]] for c in range(3)]))
    total = 0.0
    for k, (a, b) in enumerate(zip(taps(x), taps(y))):
        w = [v + 0.5 for v in centred("lin%d.weight" % k, a.c)]
        for i in range(a.h):
            for j in range(a.w):
                u, v = [q[i][j] for q in a.planes], [q[i][j] for q in b.planes]
                nu, nv = math.sqrt(sum(t * t for t in u)) + 1e-10, math.sqrt(sum(t * t for t in v)) + 1e-10
                total += sum(w[c] * (u[c] / nu - v[c] / nv) ** 2 for c in range(a.c)) / (a.h * a.w)
    return total


# ---- Inception

def unit(x, name, width, kh=1, kw=1, stride=1, pad=True):
    width //= 16
    y = conv(x, kernel(name + ".conv.weight", width, x.c, kh, kw), kh, kw, stride, kh // 2 if pad else 0, kw // 2 if pad else 0)
    gamma, beta, mean, var = (centred(name + ".bn." + f, width) for f in ("weight", "bias", "running_mean", "running_var"))
    planes = []
    for c in range(width):
        factor = (1 + gamma[c] / 2) / math.sqrt(1 + var[c] + 1e-3)
        planes.append([[max(0.0, (v - mean[c] / 2) * factor + beta[c] / 2) for v in row] for row in y.planes[c]])
    return Picture(planes)


def resize(x, size):
    """TensorFlow 1: no half-pixel offset."""
    def places(n):
        for i in range(size):
            f = i * n / size
            yield int(f), min(int(f) + 1, n - 1), f - int(f)
    return Picture([[[(1 - fi) * ((1 - fj) * p[a][c] + fj * p[a][d]) + fi * ((1 - fj) * p[b][c] + fj * p[b][d])
                      for c, d, fj in places(x.w)] for a, b, fi in places(x.h)] for p in x.planes])


def inception(x):
    def chain(h, block, *rows):
        for name, *how in rows:
            h = unit(h, block + name, *how)
        return h
    x = resize(x, 299)
    x = Picture([[[(v - 128) / 128 for v in row] for row in p] for p in x.planes])
    x = chain(x, "Conv2d_", ("1a_3x3", 32, 3, 3, 2, False), ("2a_3x3", 32, 3, 3, 1, False), ("2b_3x3", 64, 3, 3))
    x = chain(pool(x, 3, 2), "Conv2d_", ("3b_1x1", 80), ("4a_3x3", 192, 3, 3, 1, False))
    x = pool(x, 3, 2)
    for block, width in (("5b", 32), ("5c", 64), ("5d", 64)):
        b = "Mixed_%s." % block
        x = join(chain(x, b, ("branch1x1", 64)), chain(x, b, ("branch5x5_1", 48), ("branch5x5_2", 64, 5, 5)),
                 chain(x, b, ("branch3x3dbl_1", 64), ("branch3x3dbl_2", 96, 3, 3), ("branch3x3dbl_3", 96, 3, 3)),
                 chain(pool(x, 3, 1, 1, mean=True), b, ("branch_pool", width)))
    b = "Mixed_6a."
    x = join(chain(x, b, ("branch3x3", 384, 3, 3, 2, False)),
             chain(x, b, ("branch3x3dbl_1", 64), ("branch3x3dbl_2", 96, 3, 3), ("branch3x3dbl_3", 96, 3, 3, 2, False)),
             pool(x, 3, 2))
    for block, w in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        b = "Mixed_%s." % block
        x = join(chain(x, b, ("branch1x1", 192)),
                 chain(x, b, ("branch7x7_1", w), ("branch7x7_2", w, 1, 7), ("branch7x7_3", 192, 7, 1)),
                 chain(x, b, ("branch7x7dbl_1", w), ("branch7x7dbl_2", w, 7, 1), ("branch7x7dbl_3", w, 1, 7),
                       ("branch7x7dbl_4", w, 7, 1), ("branch7x7dbl_5", 192, 1, 7)),
                 chain(pool(x, 3, 1, 1, mean=True), b, ("branch_pool", 192)))
    b = "Mixed_7a."
    x = join(chain(x, b, ("branch3x3_1", 192), ("branch3x3_2", 320, 3, 3, 2, False)),
             chain(x, b, ("branch7x7x3_1", 192), ("branch7x7x3_2", 192, 1, 7), ("branch7x7x3_3", 192, 7, 1),
                   ("branch7x7x3_4", 192, 3, 3, 2, False)), pool(x, 3, 2))
    for b, mean in (("Mixed_7b.", True), ("Mixed_7c.", False)):
        first = chain(x, b, ("branch3x3_1", 384))
        second = chain(x, b, ("branch3x3dbl_1", 448), ("branch3x3dbl_2", 384, 3, 3))
        x = join(chain(x, b, ("branch1x1", 320)),
                 chain(first, b, ("branch3x3_2a", 384, 1, 3)), chain(first, b, ("branch3x3_2b", 384, 3, 1)),
                 chain(second, b, ("branch3x3dbl_3a", 384, 1, 3)), chain(second, b, ("branch3x3dbl_3b", 384, 3, 1)),
                 chain(pool(x, 3, 1, 1, mean=mean), b, ("branch_pool", 192)))
    return [sum(map(sum, p)) / (x.h * x.w) for p in x.planes]


# ---- distances of sets of vectors

def points(name, n, dim, shift):
    v = centred(name, n * dim)
    return [[4 * t + shift for t in v[i * dim:(i + 1) * dim]] for i in range(n)]


def dot(a, b):
    return math.fsum(map(float.__mul__, a, b))


def kernel_distance(x, y):
    k = lambda a, b: (dot(a, b) / len(a) + 1) ** 3
    within = lambda s: math.fsum(k(a, b) for a in s for b in s if a is not b) / (len(s) * (len(s) - 1))
    return within(x) + within(y) - 2 * math.fsum(k(a, b) for a in x for b in y) / (len(x) * len(y))


def inside(x, y, k):
    """The fraction of y that lies within reach of a point of x."""
    d = lambda a, b: math.fsum((s - t) ** 2 for s, t in zip(a, b))
    reach = [sorted(d(a, b) for b in x)[k] for a in x]
    return sum(any(d(a, b) <= r for a, r in zip(x, reach)) for b in y) / len(y)


def numbers(name, values):
    print("static const double %s[] = {" % name)
    for i in range(0, len(values), 4):
        print("    " + " ".join("%.17g," % v for v in values[i:i + 4]))
    print("};")


def main():
    print("/* Made by metric_networks.py. */")
    h, w = 37, 42
    picture = lambda name: Picture([[[2 * v for v in centred(name, 3 * h * w)[(c * h + i) * w:(c * h + i + 1) * w]]
                                     for i in range(h)] for c in range(3)])
    numbers("recorded_lpips", [lpips(f, picture("x"), picture("y")) for f in (squeeze, alex, vgg)])
    side = 20
    byte = lambda i: float(word("bytes", i) >> 8)
    numbers("recorded_inception", inception(Picture([[[byte((c * side + i) * side + j) for j in range(side)]
                                                      for i in range(side)] for c in range(3)])))
    x, y = points("first", 70, 19, 0), points("second", 53, 19, 0.5)
    numbers("recorded_kernel_distance", [kernel_distance(x, y)])
    numbers("recorded_precision_recall", [inside(x, y, 3), inside(y, x, 3)])


main()
