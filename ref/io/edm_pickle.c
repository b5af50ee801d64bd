/* Pickled EDM networks: {'ema': a preconditioner, ...}. The configuration is what the objects were made with; tensors are held
 * against the network that it describes, so that a file which says one thing and holds another is refused. */
#include "model.h"
#include "tensor_list.h"
#include "torch_pickle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the configuration ------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *file;
    const hkd_py *kwargs; /* what the object was made with */
    const hkd_py *state;
    hkd_status status;
} reader;

static void wrong(reader *r, const char *key, const char *expected) {
    if (!r->status) r->status = hkd_fail(HKD_BAD_FILE, "%s: EDM network: '%s' must be %s", r->file, key, expected);
}

static const hkd_py *field(const reader *r, const char *key) {
    const hkd_py *v = hkd_py_get(r->kwargs, key);
    return v ? v : hkd_py_get(r->state, key);
}

static void read_real(reader *r, const char *key, double *out) {
    const hkd_py *v = field(r, key);
    if (v && !hkd_py_number(out, v)) wrong(r, key, "a number");
}

static bool small(int *out, const hkd_py *v) {
    int64_t value;
    if (!hkd_py_integer(&value, v) || value < 0 || value > 1000000) return false;
    *out = (int)value;
    return true;
}

static void read_int(reader *r, const char *key, int *out) {
    const hkd_py *v = field(r, key);
    if (v && !small(out, v)) wrong(r, key, "a whole number from 0 to 1000000");
}

static void read_list(reader *r, const char *key, int *out, int *count) {
    const hkd_py *v = field(r, key);
    if (!v) return;
    if ((v->kind != HKD_PY_LIST && v->kind != HKD_PY_TUPLE) || v->count > HKD_MAX_LEVELS) {
        wrong(r, key, "a list of at most 8 whole numbers");
        return;
    }
    *count = (int)v->count;
    for (size_t i = 0; i < v->count; i++)
        if (!small(&out[i], v->item[i])) wrong(r, key, "a list of at most 8 whole numbers");
}

/* A field that this project's networks fix. */
static void expect_text(reader *r, const char *key, const char *value, bool standard) {
    const hkd_py *v = field(r, key);
    if (v ? !hkd_py_is_text(v, value) : !standard) wrong(r, key, value);
}

static void expect_int(reader *r, const char *key, int value, int standard) {
    int found = standard;
    char text[16];
    read_int(r, key, &found);
    snprintf(text, sizeof text, "%d", value);
    if (found != value) wrong(r, key, text);
}

static void read_unet(reader *r, hkd_config *c) {
    static const int taps[2][4] = {{1, 1}, {1, 3, 3, 1}};
    int filter[HKD_MAX_LEVELS] = {1, 1}, filter_count = 2;
    const hkd_py *embedding = field(r, "embedding_type");
    c->arch = hkd_py_is_text(embedding, "fourier") ? HKD_ARCH_NCSNPP : HKD_ARCH_DDPMPP;
    const bool ve = c->arch == HKD_ARCH_NCSNPP;
    read_int(r, "augment_dim", &c->augment_dim);
    read_int(r, "model_channels", &c->model_channels);
    read_list(r, "channel_mult", c->channel_mult, &c->levels);
    read_int(r, "channel_mult_emb", &c->channel_mult_emb);
    read_int(r, "num_blocks", &c->num_blocks);
    read_list(r, "attn_resolutions", c->attn_resolutions, &c->attn_count);
    read_real(r, "dropout", &c->dropout);
    expect_text(r, "embedding_type", ve ? "fourier" : "positional", !ve);
    expect_text(r, "encoder_type", ve ? "residual" : "standard", !ve);
    expect_text(r, "decoder_type", "standard", true);
    expect_int(r, "channel_mult_noise", ve ? 2 : 1, 1);
    expect_int(r, "label_dropout", 0, 0);
    read_list(r, "resample_filter", filter, &filter_count);
    if (filter_count != (ve ? 4 : 2) || memcmp(filter, taps[ve], (size_t)filter_count * sizeof *filter))
        wrong(r, "resample_filter", ve ? "[1,3,3,1]" : "[1,1]");
}

static void expect_real(reader *r, const char *key, double value) {
    double found = value;
    char text[32];
    read_real(r, key, &found);
    snprintf(text, sizeof text, "%g", value);
    if (found != value) wrong(r, key, text);
}

/* Ours, as far as the network knows levels: EDM's sampler narrows its range so. */
static void read_levels(reader *r, hkd_config *c) {
    double known[2] = {0, HUGE_VAL};
    read_real(r, "sigma_min", &known[0]);
    read_real(r, "sigma_max", &known[1]);
    if (!(known[0] >= 0 && known[0] < known[1])) wrong(r, "sigma_min", "from 0 to below sigma_max");
    c->sigma_min = fmax(c->sigma_min, known[0]);
    c->sigma_max = fmin(c->sigma_max, known[1]);
}

/* The preconditioner's class, and its constants, which are those of the table that every model here uses. */
static void read_precond(reader *r, hkd_config *c, const hkd_py *class_name) {
    static const char *const names[] = {"EDMPrecond", "VPPrecond", "VEPrecond", "iDDPMPrecond", NULL};
    int i = 0;
    while (names[i] && !hkd_py_is_text(class_name, names[i])) i++;
    if (!names[i]) {
        wrong(r, "class_name", "EDMPrecond, VPPrecond, VEPrecond or iDDPMPrecond");
        return;
    }
    c->precond = (hkd_precond)i;
    read_int(r, "img_resolution", &c->img_resolution);
    read_int(r, "img_channels", &c->img_channels);
    read_int(r, "label_dim", &c->label_dim);
    if (c->precond == HKD_PRECOND_EDM) read_real(r, "sigma_data", &c->sigma_data);
    if (c->precond == HKD_PRECOND_VP) expect_real(r, "beta_d", 19.9), expect_real(r, "beta_min", 0.1);
    if (c->precond == HKD_PRECOND_IDDPM) expect_real(r, "C_1", 0.001), expect_real(r, "C_2", 0.008);
    if (c->precond == HKD_PRECOND_VP || c->precond == HKD_PRECOND_IDDPM) expect_real(r, "M", 1000);
    read_levels(r, c);
}

static reader object_reader(const char *file, const hkd_py **class_name, const hkd_py *v) {
    const hkd_py *state = hkd_torch_state(class_name, v);
    return (reader){file, hkd_py_get(state, "_init_kwargs"), state, HKD_OK};
}

static hkd_status read_config(hkd_config *c, const char *file, const hkd_py *network) {
    const hkd_py *class_name, *unet_name;
    reader r = object_reader(file, &class_name, network);
    *c = hkd_config_default(HKD_ARCH_DDPMPP);
    memcpy(c->channel_mult, (int[]){1, 2, 2, 2}, 4 * sizeof(int)); /* SongUNet's own defaults */
    c->levels = 4;
    c->dropout = 0.1;
    read_precond(&r, c, class_name);
    if (r.status) return r.status;
    reader u = object_reader(file, &unet_name, hkd_py_get(hkd_py_get(r.state, "_modules"), "model"));
    if (!hkd_py_is_text(unet_name, "SongUNet"))
        return hkd_fail(HKD_BAD_FILE,
                        "%s: EDM network: its 'model' is no SongUNet (DDPM++ or NCSN++); others are not supported", file);
    read_unet(&u, c);
    if (u.status) return u.status;
    if (!hkd_config_check(c)) return HKD_OK;
    char reason[512];
    snprintf(reason, sizeof reason, "%s", hkd_last_error());
    return hkd_fail(HKD_BAD_FILE, "%s: EDM network: %s", file, reason);
}

/* ---- the tensors ------------------------------------------------------------------------------------------------------ */

/* The constant filter of up- and downsampling, a buffer of the file that the model's own operator knows. */
static hkd_status check_filter(const hkd_listed *t, const char *file, hkd_arch arch) {
    static const double box[2] = {1, 1}, tent[4] = {1, 3, 3, 1};
    const int n = arch == HKD_ARCH_NCSNPP ? 4 : 2;
    const double *tap = n == 4 ? tent : box, sum = n == 4 ? 64 : 4;
    const hkd_shape want = hkd_shape_of(4, (int64_t)1, (int64_t)1, (int64_t)n, (int64_t)n);
    double values[16];
    bool same = hkd_same_shape(&want, &t->shape) && !hkd_listed_values(values, HKD_F64, t);
    for (int i = 0; same && i < n * n; i++) same = fabs(values[i] - tap[i / n] * tap[i % n] / sum) < 1e-7;
    return same ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: '%.64s' is not the filter of %s", file, t->name, hkd_arch_name(arch));
}

/* Buffers that the model's operators know by themselves: filters, and iDDPM's table of noise levels. */
static hkd_status drop_buffers(hkd_tensor_list *list, const char *file) {
    size_t kept = 0;
    hkd_status status = HKD_OK;
    for (size_t i = 0; i < list->count; i++) {
        hkd_listed *t = &list->item[i];
        const char *dot = strrchr(t->name, '.');
        const bool filter = dot && !strcmp(dot, ".resample_filter");
        if (filter && !status) status = check_filter(t, file, list->config.arch);
        if (filter || (list->config.precond == HKD_PRECOND_IDDPM && !strcmp(t->name, "u"))) free(t->name);
        else list->item[kept++] = *t;
    }
    list->count = kept;
    return status;
}

/* Key set and shapes are those of the network: nothing missing, nothing over. */
static hkd_status check_weights(const hkd_tensor_list *list, const char *file) {
    hkd_program *p = hkd_model_program(&list->config, &(hkd_model_options){.n = 1, .augment = list->config.augment_dim > 0});
    hkd_status status = p ? hkd_program_status(p) : hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    size_t wanted = 0;
    for (int i = 0; !status && i < p->n_vars; i++) {
        const hkd_program_var *v = &p->var[i];
        if (v->kind != HKD_VAR_WEIGHT) continue;
        const hkd_listed *t = hkd_tensor_list_find(list, v->name);
        wanted++;
        if (!t) status = hkd_fail(HKD_BAD_FILE, "%s: EDM network: tensor '%s' is missing", file, v->name);
        else if (!hkd_same_shape(&t->shape, &v->shape))
            status = hkd_fail(HKD_BAD_FILE, "%s: EDM network: '%s' has another shape than its configuration asks for", file,
                              v->name);
    }
    for (size_t i = 0; !status && wanted != list->count && i < list->count; i++)
        if (hkd_find_var(p, list->item[i].name) == HKD_NO_VAR)
            status = hkd_fail(HKD_BAD_FILE,
                              "%s: EDM network: '%.64s' has no place in the network that its configuration describes",
                              file, list->item[i].name);
    if (!status && wanted != list->count) status = hkd_fail(HKD_BAD_FILE, "%s: EDM network: a tensor occurs twice", file);
    hkd_program_free(p);
    return status;
}

static hkd_status read_network(hkd_tensor_list *out, const char *file, const hkd_py *network) {
    const hkd_torch_storages none = {NULL, 0};
    hkd_status status = read_config(&out->config, file, network);
    if (!status) status = hkd_torch_collect(out, file, network, "", &none);
    if (!status) status = drop_buffers(out, file);
    if (!status) status = check_weights(out, file);
    out->is_edm = !status;
    return status;
}

hkd_status hkd_list_pickle(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count) {
    hkd_pickle *p;
    hkd_status status = hkd_pickle_read(&p, file, bytes, count);
    if (status) return status;
    if (hkd_torch_is_magic(p->root)) status = hkd_torch_read_stream(out, file, bytes, count);
    else if (!(status = hkd_torch_check_names(file, p))) {
        const hkd_py *network = hkd_py_get(p->root, "ema"), *class_name;
        hkd_torch_state(&class_name, network);
        status = class_name ? read_network(out, file, network)
                            : hkd_fail(HKD_BAD_FILE, "%s: a pickle without an EDM network: {'ema': ...} expected", file);
    }
    hkd_pickle_free(p);
    return status;
}
