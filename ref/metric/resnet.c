#include "resnet.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char shortcut_name[] = HKD_CONSTANT "shortcut."; /* + stage */

const hkd_pixel_scale hkd_resnet_scale = {255, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};

static hkd_var named(hkd_program *p, const char *layer, const char *field, hkd_shape shape) {
    char name[96];
    snprintf(name, sizeof name, "%s.%s", layer, field);
    return hkd_weight_var(p, name, shape, false);
}

static hkd_var convolution(hkd_program *p, hkd_var x, const char *layer, int64_t width, int stride) {
    const double params[] = {stride, 1, 1, 1};
    if (p->status) return HKD_NO_VAR;
    const int64_t in = hkd_var_shape(p, x)->dim[1];
    return hkd_apply(p, "conv2d", params, 3, x, named(p, layer, "weight", hkd_shape_of(4, width, in, (int64_t)3, (int64_t)3)),
                     HKD_NO_VAR);
}

static hkd_var norm(hkd_program *p, hkd_var x, const char *layer) {
    const double eps = 1e-5;
    if (p->status) return HKD_NO_VAR;
    const hkd_shape each = hkd_shape_of(1, hkd_var_shape(p, x)->dim[1]);
    const hkd_var gamma = named(p, layer, "weight", each), beta = named(p, layer, "bias", each);
    const hkd_var running_mean = named(p, layer, "running_mean", each), running_var = named(p, layer, "running_var", each);
    return hkd_apply(p, "batch_norm", &eps, 5, x, gamma, beta, running_mean, running_var);
}

static hkd_var relu(hkd_program *p, hkd_var x) { return hkd_apply(p, "relu", NULL, 1, x); }

static hkd_var shortcut(hkd_program *p, hkd_var x, int stage, int64_t width) {
    const double every_second[] = {2, 0, 0, 1};
    char name[32];
    if (p->status) return HKD_NO_VAR;
    snprintf(name, sizeof name, "%s%d", shortcut_name, stage);
    const hkd_shape shape = hkd_shape_of(4, width, hkd_var_shape(p, x)->dim[1], (int64_t)1, (int64_t)1);
    return hkd_apply(p, "conv2d", every_second, 3, x, hkd_weight_var(p, name, shape, false), HKD_NO_VAR);
}

static hkd_var block(hkd_program *p, hkd_var x, int stage, int number, int64_t width) {
    char name[4][48];
    static const char *const layer[] = {"conv1", "bn1", "conv2", "bn2"};
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "layer%d.%d.%s", stage + 1, number, layer[i]);
    const bool smaller = stage > 0 && number == 0;
    hkd_var h = relu(p, norm(p, convolution(p, x, name[0], width, smaller ? 2 : 1), name[1]));
    h = norm(p, convolution(p, h, name[2], width, 1), name[3]);
    return relu(p, hkd_apply(p, "add", NULL, 2, h, smaller ? shortcut(p, x, stage, width) : x));
}

hkd_program *hkd_resnet_program(const hkd_resnet *net, int64_t n, int64_t res) {
    static const double whole_picture[] = {0, 1, 0, 0, 1};
    hkd_program *p = hkd_program_new();
    if (!p) return NULL;
    hkd_var h = hkd_input(p, "x", hkd_shape_of(4, n, (int64_t)3, res, res));
    h = relu(p, norm(p, convolution(p, h, "conv1", net->width[0], 1), "bn1"));
    for (int stage = 0; stage < HKD_RESNET_STAGES; stage++)
        for (int i = 0; i < net->blocks[stage]; i++) h = block(p, h, stage, i, net->width[stage]);
    hkd_output(p, hkd_apply(p, "avg_pool2d", whole_picture, 1, h), "features");
    return p;
}

/* Old channel i goes to channel i + (new - old) / 2. */
hkd_status hkd_resnet_constants(const hkd_weights *w) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < w->count && !status; i++) {
        if (strncmp(w->item[i].name, shortcut_name, sizeof shortcut_name - 1)) continue;
        const int64_t new_width = w->item[i].value.shape.dim[0], old_width = w->item[i].value.shape.dim[1];
        double *one = calloc((size_t)(new_width * old_width), sizeof *one);
        if (!one) return hkd_fail(HKD_RESOURCES, "out of memory for the feature network");
        for (int64_t k = 0; k < old_width; k++) one[(k + (new_width - old_width) / 2) * old_width + k] = 1;
        status = w->dev->upload(w->dev, &w->item[i].value, one, HKD_F64);
        free(one);
    }
    return status;
}
