"""Writes a pickled EDM network with Python's standard library alone: the structure of NVIDIA's files, tensors of known values.

    python3 edm_pickle.py OUT KIND [PROTOCOL]      KIND: ddpmpp, ncsnpp, cond, vp, ve, iddpm, evil, missing, shape,
                                                   lies; fresh: norms as before training; narrow: few noise levels;
                                                   backwards: from above to below;
                                                   cifar10, cond-vp, uncond-ve, cond-ve, ffhq, ffhq-ve: full size,
                                                   but hollow

Names, shapes and nesting are written down from the description of the network, not from this project's code. Element i of a
tensor is ((1103515245 i + hash(name)) mod 2^16) / 2^16 - 1/2, exact in float32. Tensors of hollow networks have one stored
element, which strides of 0 make as many of as the shape asks for.
"""
import array, io, os, pickle, struct, sys, types
from collections import OrderedDict


def fake(module, name, make):
    """An importable object of another package, which is not here: pickle only writes its name."""
    parts = module.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[:i + 1]), types.ModuleType(parts[i]))
    make.__module__, make.__name__, make.__qualname__ = module, name, name
    setattr(sys.modules[module], name, make)
    return make


reconstruct = fake("torch_utils.persistence", "_reconstruct_persistent_obj", lambda meta: None)
rebuild_parameter = fake("torch._utils", "_rebuild_parameter", lambda *a: None)
rebuild_tensor = fake("torch._utils", "_rebuild_tensor_v2", lambda *a: None)
load_from_bytes = fake("torch.storage", "_load_from_bytes", lambda b: None)
scalar = fake("numpy.core.multiarray", "scalar", lambda *a: None)
dtype = fake("numpy", "dtype", lambda *a: None)
FloatStorage = fake("torch", "FloatStorage", type("FloatStorage", (), {}))
ModuleDict = fake("torch.nn.modules.container", "ModuleDict", type("ModuleDict", (), {}))
EasyDict = fake("dnnlib.util", "EasyDict", type("EasyDict", (dict,), {}))


class Call:
    """Something that is pickled as a call with arguments and perhaps a state."""
    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


HOLLOW = FRESH = False
LEVELS = (0, float("inf"))


def name_hash(name):
    h = 5381
    for c in name.encode():
        h = (h * 33 + c) & 0xffffffff
    return h


def values(name, count):
    if name.endswith("resample_filter"):
        taps = [1, 1] if count == 4 else [1, 3, 3, 1]
        return array.array("f", [a * b / sum(taps) ** 2 for a in taps for b in taps])
    if FRESH and "norm" in name and name.endswith(".weight"):
        return array.array("f", [1] * count)
    h = name_hash(name)
    return array.array("f", [((1103515245 * i + h) % 65536) / 65536 - 0.5 for i in range(count)])


def stream(numbers):
    """What torch.save gives for a storage: five pickles of protocol 2, a count and the raw elements."""
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", FloatStorage, "94532", "cpu", len(numbers), None) if obj is numbers else None
    out = io.BytesIO()
    sizes = dict(short=2, int=4, long=4)
    info = dict(protocol_version=1001, little_endian=True, type_sizes=sizes)
    for obj in (0x1950a86a20f9469cfc6c, 1001, info, numbers, ["94532"]):
        Pickler(out, 2).dump(obj)
    return out.getvalue() + struct.pack("<q", len(numbers)) + numbers.tobytes()


def tensor(name, shape):
    count, stride = 1, []
    for extent in reversed(shape):
        stride.insert(0, count)
        count *= extent
    if HOLLOW and not name.endswith("resample_filter"):
        count, stride = 1, [0] * len(shape)
    storage = Call(load_from_bytes, (stream(values(name, count)),))
    return Call(rebuild_tensor, (storage, 0, tuple(shape), tuple(stride), False, OrderedDict()))


def module_state(parameters, buffers, modules, **more):
    state = dict(training=False, _parameters=parameters, _buffers=buffers, _non_persistent_buffers_set=set(),
                 _backward_hooks=OrderedDict(), _forward_hooks=OrderedDict(), _modules=modules)
    state.update(more)
    return state


SOURCE = "import os\nos.system('touch HKD_SOURCE_WAS_RUN')  # module_src: readers that trust a file run this\n" * 50


def persistent(class_name, state, **kwargs):
    state.update(_init_args=(), _init_kwargs=kwargs)
    meta = dict(type="class", version=6, module_src=SOURCE, class_name=class_name, state=state)
    return Call(reconstruct, (meta,))


def leaf(class_name, path, shapes, filter_taps=0):
    """A layer: parameters {part: shape or None}."""
    parameters = OrderedDict((k, Call(rebuild_parameter, (tensor(path + "." + k, s), False, OrderedDict())) if s else None)
                             for k, s in shapes.items())
    buffers = OrderedDict()
    if filter_taps:
        buffers["resample_filter"] = tensor(path + ".resample_filter", (1, 1, filter_taps, filter_taps))
    return persistent(class_name, module_state(parameters, buffers, OrderedDict()))


def linear(path, cin, cout, bias=True):
    return leaf("Linear", path, dict(weight=(cout, cin), bias=(cout,) if bias else None))


def norm(path, c):
    return leaf("GroupNorm", path, dict(weight=(c,), bias=(c,)))


def conv(path, cin, cout, k, taps=0):
    return leaf("Conv2d", path, dict(weight=(cout, cin, k, k), bias=(cout,)), taps)


def block(path, cin, cout, emb, taps=0, attention=False):
    m = OrderedDict(norm0=norm(path + ".norm0", cin), conv0=conv(path + ".conv0", cin, cout, 3, taps),
                    affine=linear(path + ".affine", emb, cout), norm1=norm(path + ".norm1", cout),
                    conv1=conv(path + ".conv1", cout, cout, 3))
    if cin != cout or taps:
        m["skip"] = conv(path + ".skip", cin, cout, 1, taps)
    if attention:
        m.update(norm2=norm(path + ".norm2", cout), qkv=conv(path + ".qkv", cout, 3 * cout, 1),
                 proj=conv(path + ".proj", cout, cout, 1))
    double = Call(dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 0))
    skip_scale = Call(scalar, (double, struct.pack("<d", 0.5 ** 0.5)))
    return persistent("UNetBlock", module_state(OrderedDict(), OrderedDict(), m, in_channels=cin, skip_scale=skip_scale))


def unet(res, classes, channels, mult, blocks, attention, fourier, outputs, augment=9):
    taps, emb = (4 if fourier else 2), 4 * channels
    noise = channels * (2 if fourier else 1)
    m = OrderedDict()
    if fourier:
        freqs = OrderedDict(freqs=tensor("model.map_noise.freqs", (noise // 2,)))
        m["map_noise"] = persistent("FourierEmbedding", module_state(OrderedDict(), freqs, OrderedDict()))
    else:
        empty = module_state(OrderedDict(), OrderedDict(), OrderedDict(), endpoint=True)
        m["map_noise"] = persistent("PositionalEmbedding", empty)
    if classes:
        m["map_label"] = linear("model.map_label", classes, noise)
    m["map_augment"] = linear("model.map_augment", augment, noise, bias=False)
    m["map_layer0"] = linear("model.map_layer0", noise, emb)
    m["map_layer1"] = linear("model.map_layer1", emb, emb)
    enc, dec, skips, width, aux = OrderedDict(), OrderedDict(), [], 3, 3
    for level, factor in enumerate(mult):
        r, out = res >> level, channels * factor
        at = "%dx%d" % (r, r)
        if level == 0:
            enc[at + "_conv"] = conv("model.enc.%s_conv" % at, width, channels, 3)
            width = channels
        else:
            enc[at + "_down"] = block("model.enc.%s_down" % at, width, width, emb, taps)
            if fourier:
                enc[at + "_aux_residual"] = conv("model.enc.%s_aux_residual" % at, aux, width, 3, taps)
                aux = width
        skips.append(width)
        for i in range(blocks):
            enc["%s_block%d" % (at, i)] = block("model.enc.%s_block%d" % (at, i), width, out, emb, attention=r in attention)
            width = out
            skips.append(width)
    for level in reversed(range(len(mult))):
        r, out = res >> level, channels * mult[level]
        at = "%dx%d" % (r, r)
        if level == len(mult) - 1:
            dec[at + "_in0"] = block("model.dec.%s_in0" % at, width, width, emb, attention=True)
            dec[at + "_in1"] = block("model.dec.%s_in1" % at, width, width, emb)
        else:
            dec[at + "_up"] = block("model.dec.%s_up" % at, width, width, emb, taps)
        for i in range(blocks + 1):
            cin = width + skips.pop()
            attend = i == blocks and r in attention
            dec["%s_block%d" % (at, i)] = block("model.dec.%s_block%d" % (at, i), cin, out, emb, attention=attend)
            width = out
    dec["%dx%d_aux_norm" % (res, res)] = norm("model.dec.%dx%d_aux_norm" % (res, res), width)
    dec["%dx%d_aux_conv" % (res, res)] = conv("model.dec.%dx%d_aux_conv" % (res, res), width, outputs, 3)
    for name, part in (("enc", enc), ("dec", dec)):
        holder = ModuleDict.__new__(ModuleDict)
        holder.__dict__.update(module_state(OrderedDict(), OrderedDict(), part))
        m[name] = holder
    kwargs = dict(img_resolution=res, in_channels=3, out_channels=outputs, label_dim=classes, augment_dim=augment, dropout=0.13,
                  model_channels=channels, channel_mult=list(mult), num_blocks=blocks, attn_resolutions=list(attention))
    if fourier:
        kwargs.update(embedding_type="fourier", encoder_type="residual", channel_mult_noise=2, resample_filter=[1, 3, 3, 1])
    return persistent("SongUNet", module_state(OrderedDict(), OrderedDict(), m, label_dropout=0), **kwargs)


def network(res=16, classes=0, channels=8, mult=(1, 2), blocks=1, attention=(8,), fourier=False, precond="EDMPrecond"):
    outputs = 6 if precond == "iDDPMPrecond" else 3  # a variance beside each value
    m = OrderedDict(model=unet(res, classes, channels, mult, blocks, attention, fourier, outputs))
    levels = {"EDMPrecond": LEVELS, "VPPrecond": (0.0010110, 152.167), "VEPrecond": (0.02, 100),
              "iDDPMPrecond": (0.0064, 20291)}[precond]
    state = module_state(OrderedDict(), OrderedDict(), m, img_resolution=res, img_channels=3, label_dim=classes, use_fp16=False,
                         sigma_min=levels[0], sigma_max=levels[1])
    vp = dict(beta_d=19.9, beta_min=0.1, M=1000, epsilon_t=1e-5)
    iddpm = dict(C_1=0.001, C_2=0.008, M=1000)
    state.update(dict(EDMPrecond=dict(sigma_data=0.5), VPPrecond=vp, VEPrecond=dict(), iDDPMPrecond=iddpm)[precond])
    if precond == "iDDPMPrecond":
        state["_buffers"]["u"] = tensor("u", (1001,))
    return persistent(precond, state, img_resolution=res, img_channels=3, label_dim=classes, model_type="SongUNet")


def modules_of(call):
    return call.reduced[1][0]["state"]["_modules"]


def main(out, kind, protocol=4):
    global HOLLOW, FRESH, LEVELS
    cifar = dict(res=32, channels=128, mult=(2, 2, 2), blocks=4, attention=(16,))
    faces = dict(cifar, res=64, mult=(1, 2, 2, 2))
    full = {"cifar10": cifar, "cond-vp": dict(cifar, classes=10), "uncond-ve": dict(cifar, fourier=True),
            "cond-ve": dict(cifar, fourier=True, classes=10), "ffhq": faces, "ffhq-ve": dict(faces, fourier=True)}
    precond = {"vp": "VPPrecond", "ve": "VEPrecond", "iddpm": "iDDPMPrecond"}.get(kind, "EDMPrecond")
    HOLLOW, FRESH = kind in full, kind == "fresh"
    LEVELS = {"narrow": (0.05, 20), "backwards": (20, 0.05)}.get(kind, LEVELS)
    ema = network(**full[kind]) if HOLLOW else network(classes=10 if kind == "cond" else 0, precond=precond,
                                                       fourier=kind in ("ncsnpp", "cond", "ve"))
    inner = modules_of(modules_of(ema)["model"])
    if kind == "missing":
        del inner["map_layer1"]
    if kind == "shape":
        inner["map_layer1"] = linear("model.map_layer1", 4, 32)
    if kind == "lies":
        modules_of(ema)["model"].reduced[1][0]["state"]["_init_kwargs"]["num_blocks"] = 2
    loss = persistent("EDMLoss", dict(P_mean=-1.2, P_std=1.2, sigma_data=0.5))
    data = dict(ema=ema, loss_fn=loss, augment_pipe=None, dataset_kwargs=EasyDict(path="cifar10.zip", use_labels=False))
    if kind == "evil":
        data["augment_pipe"] = Call(os.system, ("touch HKD_PICKLE_WAS_RUN",))
    with open(out, "wb") as f:
        pickle.dump(data, f, protocol)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
