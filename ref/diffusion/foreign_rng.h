/* foreign_rng.h - the noise that other tools draw for a seed, so that the same seed shows the same picture here.
 *
 * One generator for each image, seeded with the image's seed, as EDM does it: first the latents, then the class, then what a
 * sampler adds on its way. The integers are those of the tool exactly. The normals follow from them in double and are rounded
 * once to float32 (NumPy's are doubles); the tools themselves use float32 functions of a few ulp, so theirs and ours agree to
 * about 5e-7, not bit for bit.
 *
 *   edm         torch-cuda of seed mod 2^32, as EDM and ECT seed it
 *   torch-cuda  Philox4x32-10, key = seed, counter = (call, 0, element, 0); Box-Muller on words 0 and 1, the sine first. At
 *               most 12288 numbers a call: beyond, PyTorch's result depends on the model of the GPU
 *   torch-cpu   MT19937 of the seed's low 32 bits; fewer than 16 numbers come from 53-bit uniforms, else blocks of 16
 *   numpy       RandomState: MT19937, polar method (not default_rng, whose stream may change); seeds below 2^32
 *   jax         Threefry2x32 with jax_threefry_partitionable (the default since JAX 0.5), erfinv of a uniform; low 32 bits of
 *               the seed, which must be below 2^63; call k > 0 uses fold_in(key(seed), k)
 *   jax-legacy  the same as it was before
 * Source: PyTorch aten/src/ATen/{core/DistributionsHelper.h, native/cpu/DistributionTemplates.h, native/cuda/
 * DistributionTemplates.h}; NumPy NEP 19; Salmon et al. 2011; JAX jax/_src/{prng,random}.py.
 */
#ifndef HKD_FOREIGN_RNG_H
#define HKD_FOREIGN_RNG_H

#include "hkd.h"

typedef enum {
    HKD_RNG_HKD, /* this project's own stream (rng.h) */
    HKD_RNG_EDM,
    HKD_RNG_TORCH_CUDA,
    HKD_RNG_TORCH_CPU,
    HKD_RNG_NUMPY,
    HKD_RNG_JAX,
    HKD_RNG_JAX_LEGACY
} hkd_rng_kind;
#define HKD_RNG_CHOICES "hkd|edm|torch-cuda|torch-cpu|numpy|jax|jax-legacy"
const char *hkd_rng_name(hkd_rng_kind kind);

typedef struct {
    uint32_t state[624];
    int next;
} hkd_twister; /* MT19937 */

/* A generator and where it stands. */
typedef struct {
    hkd_rng_kind kind;
    uint64_t seed;
    uint32_t calls;      /* so far */
    hkd_twister twister; /* torch-cpu, numpy */
    bool waits;          /* of a pair of normals one is not used yet */
    double second;
} hkd_foreign;

/* HKD_USAGE for a seed that the tool refuses. */
hkd_status hkd_foreign_seed(hkd_foreign *g, uint64_t seed, hkd_rng_kind kind);
/* out [count] = the unit normals that the generator gives next: torch.randn, RandomState.randn, jax.random.normal. */
hkd_status hkd_foreign_normals(double *out, int64_t count, hkd_foreign *g);
/* A class in [0, classes): torch.randint, RandomState.randint, jax.random.randint. */
hkd_status hkd_foreign_label(int64_t *out, int64_t classes, hkd_foreign *g);

#endif
