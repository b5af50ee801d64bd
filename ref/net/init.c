#include "init.h"

#include "rng.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool ends(const char *name, const char *with) {
    const size_t n = strlen(name), k = strlen(with);
    return n >= k && !strcmp(name + n - k, with);
}

static double gain(const char *name) {
    if (ends(name, ".conv1.weight") || ends(name, ".proj.weight") || ends(name, "_aux_conv.weight")) return 1e-5;
    return ends(name, ".qkv.weight") ? sqrt(0.2) : 1;
}

/* U(-1, 1) sqrt(6 / (fan_in + fan_out)), fans counted over the kernel's taps. */
static double xavier(const hkd_shape *s) {
    const double taps = s->rank == 4 ? (double)(s->dim[2] * s->dim[3]) : 1;
    return sqrt(6 / ((double)(s->dim[0] + s->dim[1]) * taps));
}

static void draw(double *out, const hkd_weight *w, const hkd_stream *stream, bool plain_gain) {
    const int64_t n = hkd_count(&w->value.shape);
    const bool vector = w->value.shape.rank == 1, koopman = !strncmp(w->name, "koopman.", 8);
    const double scale = vector || koopman ? (plain_gain ? 0.2 : 0)
                         : xavier(&w->value.shape) * (plain_gain ? 1 : gain(w->name));
    const double centre = vector && ends(w->name, ".weight") ? 1 : 0; /* the scale of a norm */
    for (int64_t i = 0; i < n; i++)
        out[i] = ends(w->name, "map_noise.freqs")
                     ? 16 * hkd_random_normal(stream, (uint64_t)i)
                     : (double)(float)(centre + scale * (2 * hkd_random_uniform(stream, (uint64_t)i) - 1));
}

hkd_status hkd_init_weights(hkd_weights *w, uint64_t seed, bool plain_gain) {
    for (int i = 0; i < w->count; i++) {
        const hkd_stream stream = {.seed = seed, .purpose = HKD_FOR_WEIGHTS, .draw = (uint32_t)i};
        double *values = malloc((size_t)hkd_count(&w->item[i].value.shape) * sizeof *values + 1);
        if (!values) return hkd_fail(HKD_RESOURCES, "out of memory while drawing initial weights");
        draw(values, &w->item[i], &stream, plain_gain);
        const hkd_status status = w->dev->upload(w->dev, &w->item[i].value, values, HKD_F64);
        free(values);
        if (status) return status;
    }
    return HKD_OK;
}
