/* Edits through whole (small) models, on ref and cpu: the invariants that a user may rely on. */
#include "bands.h"
#include "cpu.h"
#include "init.h"
#include "model_edit.h"
#include "rng.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, SIDE = 8, IMAGE = 3 * SIDE * SIDE };

static hkd_model *small_model(hkd_device *dev, hkd_hierarchy hierarchy) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = SIDE;
    c.model_channels = 8;
    c.num_blocks = 1;
    c.levels = 2, c.channel_mult[0] = 1, c.channel_mult[1] = 2;
    c.attn_count = 0;
    c.augment_dim = 0;
    c.is_hkd = true;
    c.hierarchy = hierarchy;
    hkd_model *m = NULL;
    CHECK(hkd_model_new(&m, &c, dev) == HKD_OK, "%s", hkd_last_error());
    if (m) CHECK(hkd_init_weights(m->weights, 1, true) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; m && i < m->weights->count; i++) {
        hkd_weight *w = &m->weights->item[i];
        const int64_t count = hkd_count(&w->value.shape);
        if (strncmp(w->name, "koopman.", 8)) continue;
        double *values = malloc((size_t)count * sizeof *values);
        hkd_random_normals(values, 0, count, &(hkd_stream){.seed = 3, .purpose = HKD_FOR_TEST, .draw = (uint32_t)i});
        dev->upload(dev, &w->value, values, HKD_F64);
        free(values);
    }
    return m;
}

static double distance(const double *a, const double *b) {
    double worst = 0;
    for (int i = 0; i < N * IMAGE; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

typedef struct {
    hkd_model *m;
    hkd_model_levels levels;
    double x[2][N * IMAGE], sigma[N], plain[2][N * IMAGE];
    hkd_model_input in[2];
} stage;

static bool set_up(stage *s, hkd_device *dev, hkd_hierarchy hierarchy) {
    s->m = small_model(dev, hierarchy);
    if (!s->m || !CHECK(hkd_model_levels_read(&s->levels, s->m) == HKD_OK, "%s", hkd_last_error())) return false;
    for (int i = 0; i < N; i++) s->sigma[i] = 80;
    for (int k = 0; k < 2; k++) {
        hkd_random_normals(s->x[k], 0, N * IMAGE, &(hkd_stream){.seed = 4 + (uint64_t)k, .purpose = HKD_FOR_TEST});
        for (int i = 0; i < N * IMAGE; i++) s->x[k][i] *= 80;
        s->in[k] = (hkd_model_input){.n = N, .x = s->x[k], .sigma = s->sigma};
        CHECK(hkd_model_denoise(s->m, s->plain[k], NULL, &s->in[k]) == HKD_OK, "%s", hkd_last_error());
    }
    return true;
}

/* Ratio 0 is the one-step sample and ratio 1 the reference's, bit for bit, on any device and hierarchy. Catches latents
 * without operator that are forgotten, the input's own share in the output, a rounding in the mixing. */
static void ends(stage *s) {
    double d[N * IMAGE], region[SIDE * SIDE];
    hkd_edit_rule rule = {0, NULL, NULL};
    CHECK(distance(s->plain[0], s->plain[1]) > 1e-3, "image and reference are alike: the test tests nothing");
    CHECK(hkd_model_edit(s->m, d, &s->in[0], &s->in[1], &s->levels, &rule) == HKD_OK, "%s", hkd_last_error());
    CHECK(!memcmp(d, s->plain[0], sizeof d), "ratio 0 changed the image by %g", distance(d, s->plain[0]));
    rule.ratio = 1;
    CHECK(hkd_model_edit(s->m, d, &s->in[0], &s->in[1], &s->levels, &rule) == HKD_OK, "%s", hkd_last_error());
    CHECK(!memcmp(d, s->plain[1], sizeof d), "ratio 1 is not the reference, by %g", distance(d, s->plain[1]));
    memset(region, 0, sizeof region);
    rule.region = region;
    CHECK(hkd_model_edit(s->m, d, &s->in[0], &s->in[1], &s->levels, &rule) == HKD_OK, "%s", hkd_last_error());
    CHECK(!memcmp(d, s->plain[0], sizeof d), "an empty region changed the image by %g", distance(d, s->plain[0]));
    rule.ratio = -0.1;
    CHECK(hkd_model_edit(s->m, d, &s->in[0], &s->in[1], &s->levels, &rule) == HKD_USAGE, "ratio -0.1 accepted");
}

/* A band and its complement: an empty band changes nothing, a third changes the image and leaves it different from both. */
static void bands(stage *s) {
    double d[N * IMAGE];
    int64_t *rank[HKD_MAX_LATENTS];
    unsigned char *mask[HKD_MAX_LATENTS];
    for (int64_t k = 0; k < s->levels.count; k++) {
        const size_t modes = (size_t)hkd_mode_count(&s->levels.level[k]);
        rank[k] = malloc(modes * sizeof **rank);
        mask[k] = malloc(modes);
    }
    const hkd_band_rule by = {.key = HKD_BY_ALPHA, .dt = -1};
    CHECK(hkd_mode_ranks(rank, s->levels.level, s->levels.count, &by) == HKD_OK, "%s", hkd_last_error());
    const hkd_edit_rule rule = {1, mask, NULL};
    for (int third = 0; third < 2; third++) {
        const hkd_status masked = hkd_band_mask(mask, rank, s->levels.level, s->levels.count, &by, 0, third / 3.0);
        CHECK(masked == HKD_OK, "%s", hkd_last_error());
        CHECK(hkd_model_edit(s->m, d, &s->in[0], &s->in[1], &s->levels, &rule) == HKD_OK, "%s", hkd_last_error());
        const double from_image = distance(d, s->plain[0]), from_reference = distance(d, s->plain[1]);
        if (third) CHECK(fmin(from_image, from_reference) > 1e-6, "a third: %g, %g away", from_image, from_reference);
        else CHECK(from_image == 0, "an empty band changed the image by %g", from_image);
    }
    for (int64_t k = 0; k < s->levels.count; k++) free(rank[k]), free(mask[k]);
}

/* On ref: a reference whose latents were moved to tau beforehand gives the picture of the edit at T to 1e-12: for a reference
 * that evolves by the same A the time of the edit does not matter. Done by hand from encode, evolve, mix and decode. */
static void time_does_not_matter(stage *s) {
    double direct[N * IMAGE], later[N * IMAGE], *z[HKD_MAX_LATENTS], *zr[HKD_MAX_LATENTS];
    const double half[N] = {-0.5, -0.5};
    const int count = hkd_model_latent_count(s->m);
    for (int i = 0; i < count; i++) {
        const hkd_shape shape = hkd_model_latent_shape(s->m, i);
        z[i] = malloc((size_t)(N * hkd_count(&shape)) * sizeof **z);
        zr[i] = malloc((size_t)(N * hkd_count(&shape)) * sizeof **zr);
    }
    const hkd_edit_rule rule = {0.3, NULL, NULL};
    CHECK(hkd_model_edit(s->m, direct, &s->in[0], &s->in[1], &s->levels, &rule) == HKD_OK, "%s", hkd_last_error());
    CHECK(hkd_model_encode(s->m, z, &s->in[0]) == HKD_OK && hkd_model_encode(s->m, zr, &s->in[1]) == HKD_OK, "encoding failed");
    for (int64_t k = 0; k < s->levels.count; k++) {
        const hkd_level *v = &s->levels.level[k];
        const hkd_koopman_dims dims = {N, v->d, v->h, v->w, v->ah, v->aw};
        const int i = s->levels.latent[k];
        const int64_t size = N * v->d * v->h * v->w;
        hkd_ref_koopman_evolve(z[i], z[i], v->a, half, &dims);
        hkd_ref_koopman_evolve(zr[i], zr[i], v->a, half, &dims);
        for (int64_t j = 0; j < size; j++) z[i][j] = 0.7 * z[i][j] + 0.3 * zr[i][j];
    }
    double x[N * IMAGE];
    for (int i = 0; i < N * IMAGE; i++) x[i] = 0.7 * s->x[0][i] + 0.3 * s->x[1][i];
    const hkd_model_input rest = {.n = N, .x = x, .sigma = s->sigma, .dt = half};
    CHECK(hkd_model_decode(s->m, later, NULL, (const double *const *)z, &rest) == HKD_OK, "%s", hkd_last_error());
    CHECK(distance(direct, later) < 1e-12, "the time of the edit matters: %g", distance(direct, later));
    for (int i = 0; i < count; i++) free(z[i]), free(zr[i]);
}

void test_model_edit(void) {
    static stage s;
    const hkd_device_options options = {.threads = 1};
    for (int k = 0; k < 2; k++)
        for (int h = 0; h < 3; h++) {
            hkd_device *dev = NULL;
            const hkd_status opened = (k ? hkd_device_open_cpu : hkd_device_open_ref)(&dev, &options);
            if (!CHECK(opened == HKD_OK, "%s", hkd_last_error())) return;
            if (set_up(&s, dev, (hkd_hierarchy)h)) {
                ends(&s);
                bands(&s);
                if (!k && h == HKD_HIERARCHY_FULL) time_does_not_matter(&s);
                hkd_model_levels_free(&s.levels);
            }
            hkd_model_free(s.m);
            hkd_device_close(dev);
        }
}
