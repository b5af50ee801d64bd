"""hkd.py - hkd from Python: one file, ctypes and numpy, nothing to build but the library (make, or make install).

    import hkd, numpy as np
    cpu = hkd.Device("cpu")                                    # or "ref" (float64), "opencl", "opencl:1"
    model = hkd.Model("data/scenes_hkd.safetensors", cpu)
    x = model.sample(range(4))                                 # [4, C, R, R], -1 black, 1 white: what `hkd sample` makes

    noise = model.info.sigma_max * np.random.randn(4, *model.shape)
    z = model.encode(noise, model.info.sigma_max)              # one array [4, d, h, w] for each latent, at time 1
    z = model.evolve(z, -0.5)                                  # exp(dt A) z: now at time 0.5
    d = model.decode(z, noise, model.info.sigma_max, dt=-0.5)  # the rest of the way to time 0, and the picture
    slow = [np.abs(e.real).min() for e in model.spectrum() if e is not None]     # eigenvalues alpha + i beta
    every = model.trace(noise, model.info.sigma_max)           # {"z.0": array, "silu.12": array, ...}

    y = cpu.run("conv2d", {"x": noise, "w": np.ones((8, 3, 3, 3))}, pad_h=1, pad_w=1)["y"]
    g = cpu.gradient("conv2d", {"x": noise, "w": np.ones((8, 3, 3, 3))}, {"y": y}, pad_h=1, pad_w=1)["w"]

Arrays are doubles, and results are new arrays. What fails raises hkd.Error with the library's own line. The library is the file
that $HKD_LIBRARY names, else build/libhkd.so of this source tree, else the installed one; one of another ABI is refused.
`python3 hkd.py` says which one that is.
"""
import collections
import ctypes
import ctypes.util
import os
import weakref

import numpy as np

ABI = 2  # HKD_ABI of the hkd.h that this file follows
USAGE, RESOURCES = 2, 5

_double_p = ctypes.POINTER(ctypes.c_double)
_int64_p = ctypes.POINTER(ctypes.c_int64)
_visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, _int64_p, _double_p)


class Error(Exception):
    """The line that hkd says; status is the exit code of the program (hkd.h)."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


# ---- hkd.h ----------------------------------------------------------------------------------------------------------------

class _Options(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int), ("direct", ctypes.c_bool), ("isa", ctypes.c_char_p), ("force", ctypes.c_bool),
                ("no_tune", ctypes.c_bool), ("clblast", ctypes.c_bool), ("half", ctypes.c_bool)]


class Info(ctypes.Structure):
    """one_step: an HKD model, else a denoiser; classes 0: unconditional; noise levels of data and of pure noise."""
    _fields_ = [("one_step", ctypes.c_bool), ("channels", ctypes.c_int), ("resolution", ctypes.c_int),
                ("classes", ctypes.c_int), ("sigma_min", ctypes.c_double), ("sigma_max", ctypes.c_double)]


class _Input(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64)] + [(name, _double_p) for name in (
        "x", "sigma", "class_labels", "augment_labels", "dt", "decoder_sigma")]


class _Shape(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dim", ctypes.c_int64 * 4)]


def _declare(library):
    """Results and arguments of every function that is used here."""
    text, status, handle, number = ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64
    handle_p, shape_p, input_p = ctypes.POINTER(handle), ctypes.POINTER(_Shape), ctypes.POINTER(_Input)
    arrays = ctypes.POINTER(_double_p)
    for name, result, *arguments in (
            ("version", text), ("last_error", text),
            ("device_open", status, handle_p, text, ctypes.POINTER(_Options)), ("device_close", None, handle),
            ("model_load", status, handle_p, text, handle), ("model_free", None, handle),
            ("model_describe", None, ctypes.POINTER(Info), handle),
            ("sample_with", status, handle, _double_p, _int64_p, ctypes.POINTER(ctypes.c_uint64), number, text, number, text,
             ctypes.c_int),
            ("model_denoise", status, handle, _double_p, _double_p, input_p),
            ("model_latent_count", ctypes.c_int, handle), ("model_latent_shape", _Shape, handle, ctypes.c_int),
            ("model_encode", status, handle, arrays, input_p),
            ("model_decode", status, handle, _double_p, _double_p, arrays, input_p),
            ("model_move", status, handle, arrays, _double_p, number),
            ("model_moves", ctypes.c_bool, handle, ctypes.c_int),
            ("model_eigenvalues", status, handle, ctypes.c_int, _double_p, _double_p),
            ("model_trace", status, handle, input_p, _visit, ctypes.c_void_p),
            ("operator_name", text, ctypes.c_int), ("operator_input", text, text, ctypes.c_int),
            ("operator_output", text, text, ctypes.c_int), ("operator_parameter", text, text, ctypes.c_int, _double_p),
            ("operator_has_gradient", ctypes.c_bool, text, ctypes.c_int),
            ("operator_shapes", status, shape_p, text, _double_p, shape_p),
            ("operator_forward", status, handle, text, _double_p, shape_p, arrays, arrays),
            ("operator_backward", status, handle, text, _double_p, shape_p, arrays, arrays, arrays)):
        function = getattr(library, "hkd_" + name)
        function.restype, function.argtypes = result, arguments


def _load():
    here = os.path.dirname(os.path.abspath(__file__))
    places = (os.path.join(here, "..", "build", "libhkd.so"), os.path.join(here, "..", "..", "lib", "libhkd.so"))
    path = os.environ.get("HKD_LIBRARY") or next(filter(os.path.exists, places), None) or ctypes.util.find_library("hkd")
    if not path:
        raise ImportError("no libhkd.so: build it with make, or name it in HKD_LIBRARY")
    try:
        library = ctypes.CDLL(path)
        found = library.hkd_abi_version()
    except (OSError, AttributeError) as e:
        raise ImportError(f"{path}: not a library of hkd: {e}") from None
    if found != ABI:
        raise ImportError(f"{path}: its ABI is {found}, expected {ABI}: hkd.py and library are not of the same version")
    _declare(library)
    return library, path


_lib, library_path = _load()


def version():
    return _lib.hkd_version().decode()


# ---- arrays and handles -----------------------------------------------------------------------------------------------------

def _check(status):
    if status:
        raise Error(status, _lib.hkd_last_error().decode(errors="replace"))


def _refuse(message):
    raise Error(USAGE, message)


def _array(values, shape, name):
    """Doubles in C's order, of this shape (None: any); one number stands for as many as are needed."""
    a = np.asarray(values, np.float64, order="C")
    if shape is not None and a.ndim == 0:
        a = np.full(shape, float(a))
    if shape is not None and a.shape != tuple(shape):
        _refuse(f"{name} is {list(a.shape)}, expected {list(shape)}")
    return a


def _pointer(a):
    """Of an array that the caller keeps; NULL of None."""
    return None if a is None else a.ctypes.data_as(_double_p)


def _pointers(arrays):
    return (_double_p * max(1, len(arrays)))(*[_pointer(a) for a in arrays])


class _Handle:
    """Something of the library's: freed once, by close(), at the end of a with block, or when nobody holds it any more."""
    _address = None

    def __init__(self, open_it, *arguments):
        address = ctypes.c_void_p()
        _check(open_it(ctypes.byref(address), *arguments))
        self._address = address

    @property
    def handle(self):
        return self._address or _refuse(f"this {type(self).__name__.lower()} is closed")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


# ---- operators --------------------------------------------------------------------------------------------------------------

Operator = collections.namedtuple("Operator", "inputs optional outputs parameters gradients")


def _names(ask, *arguments):
    names = []
    while (name := ask(*arguments, len(names))) is not None:
        names.append(name.decode())
    return names


def operator(name):
    """The names of its inputs (and of those that may be left out), outputs, parameters (with defaults), and of the inputs that
    have a gradient."""
    op = name.encode()
    inputs, standard = _names(_lib.hkd_operator_input, op), ctypes.c_double()
    if not inputs and name not in operators():
        _refuse(f"operator '{name}' does not exist")
    parameters = {}
    while (parameter := _lib.hkd_operator_parameter(op, len(parameters), ctypes.byref(standard))) is not None:
        parameters[parameter.decode()] = standard.value
    plain = [i.lstrip("?") for i in inputs]
    return Operator(plain, [i[1:] for i in inputs if i[0] == "?"], _names(_lib.hkd_operator_output, op), parameters,
                    [p for k, p in enumerate(plain) if _lib.hkd_operator_has_gradient(op, k)])


def operators():
    """The names of all operators."""
    return _names(_lib.hkd_operator_name)


class _Call:
    """An operator with its inputs and parameters in the order of its row."""

    def __init__(self, name, inputs, parameters):
        self.row, self.name = operator(name), name.encode()
        for what, given, known in (("input", inputs, self.row.inputs), ("parameter", parameters, self.row.parameters)):
            for unknown in set(given) - set(known):
                _refuse(f"{name} has no {what} '{unknown}', expected {', '.join(known) or 'none'}")
        values = list({**self.row.parameters, **parameters}.values())
        self.parameters = (ctypes.c_double * max(1, len(values)))(*values)
        self.inputs = [None if inputs.get(i) is None else _array(inputs[i], None, i) for i in self.row.inputs]
        for i, a in zip(self.row.inputs, self.inputs):
            if a is not None and a.ndim > 4:
                _refuse(f"{name}: input '{i}' has {a.ndim} dimensions, at most 4 are possible")
        self.shapes = (_Shape * max(1, len(self.inputs)))(*[
            _Shape(-1) if a is None else _Shape(a.ndim, (ctypes.c_int64 * 4)(*a.shape)) for a in self.inputs])
        made = (_Shape * max(1, len(self.row.outputs)))()
        _check(_lib.hkd_operator_shapes(made, self.name, self.parameters, self.shapes))
        self.out_shapes = [tuple(s.dim[:s.rank]) for s in made][:len(self.row.outputs)]

    @property
    def start(self):
        return self.name, self.parameters, self.shapes, _pointers(self.inputs)


class Device(_Handle):
    """name: "ref" (float64, the ground truth), "cpu", "opencl", "opencl:1" or "opencl:PART OF ITS NAME"."""

    def __init__(self, name="cpu", threads=0, direct=False, isa=None, force=False, no_tune=False, clblast=False, half=False):
        options = _Options(threads, direct, isa.encode() if isa else None, force, no_tune, clblast, half)
        self._models = weakref.WeakSet()
        super().__init__(_lib.hkd_device_open, name.encode(), ctypes.byref(options))

    def close(self):
        """Its models go first."""
        for model in list(self._models) if self._address else ():
            model.close()
        address, self._address = self._address, None
        _lib.hkd_device_close(address)

    def run(self, name, inputs, /, **parameters):
        """Outputs by name of one operator on inputs by name."""
        call = _Call(name, inputs, parameters)
        out = [np.empty(shape) for shape in call.out_shapes]
        _check(_lib.hkd_operator_forward(self.handle, *call.start, _pointers(out)))
        return dict(zip(call.row.outputs, out))

    def gradient(self, name, inputs, upstream, /, **parameters):
        """The gradient of the sum of upstream[o] * output[o] over all outputs o, for every input that is given and has one."""
        call = _Call(name, inputs, parameters)
        for o in call.row.outputs:
            if o not in upstream:
                _refuse(f"{name}: the upstream gradient of '{o}' is missing")
        up = [_array(upstream[o], shape, o) for o, shape in zip(call.row.outputs, call.out_shapes)]
        grad = [np.empty(a.shape) if a is not None and i in call.row.gradients else None
                for i, a in zip(call.row.inputs, call.inputs)]
        _check(_lib.hkd_operator_backward(self.handle, *call.start, _pointers(up), _pointers(grad)))
        return {i: g for i, g in zip(call.row.inputs, grad) if g is not None}


# ---- models -----------------------------------------------------------------------------------------------------------------

class Model(_Handle):
    """A denoiser or a one-step HKD model from a safetensors file, with its weights on a device."""

    def __init__(self, path, device):
        self.device = device
        super().__init__(_lib.hkd_model_load, os.fsencode(path), device.handle)
        device._models.add(self)
        self.info = Info()
        _lib.hkd_model_describe(ctypes.byref(self.info), self.handle)
        self.shape = self.info.channels, self.info.resolution, self.info.resolution
        shapes = [_lib.hkd_model_latent_shape(self.handle, i) for i in range(_lib.hkd_model_latent_count(self.handle))]
        self.latent_shapes = [tuple(s.dim[:s.rank]) for s in shapes]  # [d, h, w]: the skips in order, then the bottleneck
        self.nfe = 0  # evaluations of the network in the last sample(), added up over its images

    def close(self):
        address, self._address = self._address, None
        if address and self.device._address:  # a device that is gone took its memory along
            _lib.hkd_model_free(address)

    def sample(self, seeds, sampler=None, steps=0, rng=None, label=None):
        """x [n, C, R, R]: image k depends on seed k alone. Names and usual steps (0) are those of `hkd sample --help`; label: a
        class for all images, None: drawn from each seed."""
        seeds = [int(s) for s in seeds]
        for s in seeds:
            if not 0 <= s < 1 << 64:
                _refuse(f"seed {s}: expected 0 to 2^64 - 1")
        x, nfe = np.empty((len(seeds), *self.shape)), ctypes.c_int64()
        names = [None if name is None else name.encode() for name in (sampler, rng)]
        _check(_lib.hkd_sample_with(self.handle, _pointer(x), ctypes.byref(nfe), (ctypes.c_uint64 * max(1, len(seeds)))(*seeds),
                                    len(seeds), names[0], int(steps), names[1], -1 if label is None else int(label)))
        self.nfe = nfe.value
        return x

    def _input(self, x, sigma, labels, dt=None, decoder_sigma=None):
        x = np.asarray(x, np.float64)
        n = x.shape[0] if x.ndim == 4 else _refuse(f"x is {list(x.shape)}, expected [n, {', '.join(map(str, self.shape))}]")
        arrays = {"x": _array(x, (n, *self.shape), "x")}
        if labels is not None:
            labels = _array(labels, (n,), "labels")
            if not all(k in range(self.info.classes) for k in labels):
                _refuse(f"labels {list(labels)}: the model has {self.info.classes} classes")
            arrays["class_labels"] = np.eye(self.info.classes)[labels.astype(int)]
        for name, values in (("sigma", sigma), ("dt", dt), ("decoder_sigma", decoder_sigma)):
            arrays[name] = None if values is None else _array(values, (n,), name)
        given = _Input(n, **{name: _pointer(a) for name, a in arrays.items() if a is not None})
        given.arrays = arrays  # they live as long as the structure that points to them
        return given

    def _latents(self, z, n):
        if len(z) != len(self.latent_shapes):
            _refuse(f"{len(z)} latents, expected {len(self.latent_shapes)}")
        return [_array(a, (n, *shape), f"latent {i}") for i, (a, shape) in enumerate(zip(z, self.latent_shapes))]

    def denoise(self, x, sigma, labels=None, dt=None, decoder_sigma=None):
        """d [n, C, R, R]: the denoised (HKD: one-step) images of x = image + sigma * noise. labels [n]: class numbers, None: no
        class. dt [n], None: to the end. One number does for all images."""
        given = self._input(x, sigma, labels, dt, decoder_sigma)
        d = np.empty((given.n, *self.shape))
        _check(_lib.hkd_model_denoise(self.handle, _pointer(d), None, ctypes.byref(given)))
        return d

    def encode(self, x, sigma, labels=None):
        """A list of arrays [n, d, h, w]: what the encoder makes of x; nothing is evolved yet."""
        given = self._input(x, sigma, labels)
        z = [np.empty((given.n, *shape)) for shape in self.latent_shapes]
        _check(_lib.hkd_model_encode(self.handle, _pointers(z), ctypes.byref(given)))
        return z

    def evolve(self, z, dt):
        """exp(dt A) z; latents that no operator moves are copied."""
        n = len(z[0]) if len(z) else 0
        z, dt = [a.copy() for a in self._latents(z, n)], _array(dt, (n,), "dt")
        _check(_lib.hkd_model_move(self.handle, _pointers(z), _pointer(dt), n))
        return z

    def decode(self, z, x, sigma, labels=None, dt=None, decoder_sigma=None):
        """d [n, C, R, R]: evolve by dt (None: to the end, from the time of sigma; 0: not at all), then decode; x and sigma, as
        the encoder was given, enter the output."""
        given = self._input(x, sigma, labels, dt, decoder_sigma)
        d, z = np.empty((given.n, *self.shape)), self._latents(z, given.n)
        _check(_lib.hkd_model_decode(self.handle, _pointer(d), None, _pointers(z), ctypes.byref(given)))
        return d

    def spectrum(self):
        """For each latent the eigenvalues alpha + i beta [d/2, h, w] per unit of dt (and their conjugates), None where no
        operator moves it."""
        found = []
        for i, (d, h, w) in enumerate(self.latent_shapes):
            alpha, beta = np.empty((d // 2, h, w)), np.empty((d // 2, h, w))
            moved = _lib.hkd_model_moves(self.handle, i)
            if moved:
                _check(_lib.hkd_model_eigenvalues(self.handle, i, _pointer(alpha), _pointer(beta)))
            found.append(alpha + 1j * beta if moved else None)
        return found

    def trace(self, x, sigma, labels=None, dt=None, decoder_sigma=None):
        """Every input, weight and result of denoise() by its name in `hkd trace`."""
        given = self._input(x, sigma, labels, dt, decoder_sigma)
        tensors, failure = {}, []

        def keep(_, name, rank, dims, values):
            try:
                tensors[name.decode()] = np.ctypeslib.as_array(values, tuple(dims[:rank])).copy()
                return 0
            except Exception as e:  # it cannot pass through C
                failure.append(e)
                return RESOURCES
        status = _lib.hkd_model_trace(self.handle, ctypes.byref(given), _visit(keep), None)
        if failure:
            raise failure[0]
        _check(status)
        return tensors


if __name__ == "__main__":
    print(f"hkd {version()}, ABI {ABI}, {library_path}")
