#include "feature_file.h"

#include "inception.h"
#include "resnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors into weights ------------------------------------------------------------------------------------------------ */

/* The taps' weights are [1, C, 1, 1] in files and [C, 1, 1, 1] in the network. */
static bool fits(const hkd_shape *file, const hkd_weight *w) {
    const bool tap = !strncmp(w->name, "lin", 3) && file->rank == 4 && file->dim[0] == 1;
    return hkd_same_shape(file, &w->value.shape) || (tap && file->dim[1] == w->value.shape.dim[0] &&
                                                     hkd_count(file) == hkd_count(&w->value.shape));
}

static hkd_status read_weight(hkd_device *dev, const hkd_weight *w, const hkd_safetensors *st) {
    const hkd_safetensor *t = hkd_safetensors_find(st, w->name);
    hkd_shape shape;
    if (!t) return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is missing", hkd_file_name(st->file), w->name);
    hkd_status status = hkd_safetensors_shape(&shape, st, t);
    if (status) return status;
    if (!fits(&shape, w))
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' has another shape than its place in the network",
                        hkd_file_name(st->file), w->name);
    double *values = malloc((size_t)hkd_count(&shape) * sizeof *values + 1);
    if (!values) return hkd_fail(HKD_RESOURCES, "out of memory for the feature network");
    status = hkd_safetensors_read(st, t, values, HKD_F64);
    if (!status) status = dev->upload(dev, &w->value, values, HKD_F64);
    free(values);
    return status;
}

static hkd_status read_weights(hkd_weights *weights, const hkd_safetensors *st) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < weights->count && !status; i++)
        if (strncmp(weights->item[i].name, HKD_CONSTANT, strlen(HKD_CONSTANT)))
            status = read_weight(weights->dev, &weights->item[i], st);
    return status;
}

/* How much narrower than `first` a network's first layer is: a divisor of `widths`, or 0. */
static int64_t narrower(const hkd_safetensors *st, const char *name, int64_t first, int64_t widths) {
    const hkd_safetensor *t = hkd_safetensors_find(st, name);
    const int64_t width = t && t->rank == 4 ? t->dim[0] : 0, factor = width > 0 && first % width == 0 ? first / width : 0;
    return factor && widths % factor == 0 ? factor : 0;
}

/* ---- feature networks ---------------------------------------------------------------------------------------------------- */

/* Depth and widths, from names and shapes. */
static hkd_status recognise(hkd_resnet *net, const hkd_safetensors *st) {
    char name[48];
    *net = (hkd_resnet){{0}, {0}};
    for (int stage = 0; stage < HKD_RESNET_STAGES; stage++) {
        const hkd_safetensor *t;
        do {
            snprintf(name, sizeof name, "layer%d.%d.conv1.weight", stage + 1, net->blocks[stage]);
            t = hkd_safetensors_find(st, name);
            if (t && net->blocks[stage] == 0) net->width[stage] = t->rank == 4 ? t->dim[0] : 0;
            if (t) net->blocks[stage]++;
        } while (t && net->blocks[stage] < 1000);
        if (net->blocks[stage] < 1 || net->width[stage] < 1 || net->width[stage] > 65536 ||
            (stage > 0 && net->width[stage] < net->width[stage - 1]))
            return hkd_fail(HKD_BAD_FILE,
                            "%s: no feature network that this program knows: expected layer%d.0.conv1.weight and so on "
                            "of a ResNet for CIFAR-10, or Mixed_5b.branch1x1.conv.weight and so on of Inception-v3",
                            hkd_file_name(st->file), stage + 1);
    }
    return HKD_OK;
}

static int64_t inception_in(const hkd_safetensors *st) {
    if (!hkd_safetensors_find(st, "Mixed_7c.branch_pool.conv.weight")) return 0;
    return narrower(st, "Conv2d_1a_3x3.conv.weight", HKD_INCEPTION_FIRST, HKD_INCEPTION_WIDTHS);
}

static hkd_status load(hkd_features **out, const hkd_safetensors *st, int64_t res, int64_t batch, hkd_device *dev) {
    enum { MOST_INCEPTION = 8 }; /* activations of 299 x 299 are large */
    const int64_t inception = inception_in(st);
    hkd_resnet net;
    hkd_status status = inception ? HKD_OK : recognise(&net, st);
    if (status) return status;
    if (inception && batch > MOST_INCEPTION) batch = MOST_INCEPTION;
    if (inception) status = hkd_features_new(out, hkd_inception_program(inception, batch, res), &hkd_inception_scale, dev);
    else status = hkd_features_new(out, hkd_resnet_program(&net, batch, res), &hkd_resnet_scale, dev);
    if (!status) status = read_weights((*out)->weights, st);
    return status || inception ? status : hkd_resnet_constants((*out)->weights);
}

hkd_status hkd_features_load(hkd_features **out, const char *path, int64_t res, int64_t batch, hkd_device *dev) {
    hkd_safetensors *st;
    *out = NULL;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = load(out, st, res, batch, dev);
    hkd_safetensors_close(st);
    if (status) {
        hkd_features_free(*out);
        *out = NULL;
    }
    return status;
}

bool hkd_features_is_inception(const char *path) {
    hkd_safetensors *st;
    if (hkd_safetensors_open(&st, path)) return false;
    const bool is = inception_in(st) != 0;
    hkd_safetensors_close(st);
    return is;
}

/* ---- LPIPS --------------------------------------------------------------------------------------------------------------- */

static hkd_status recognise_backbone(hkd_backbone *out, int64_t *factor, const hkd_safetensors *st) {
    static const struct {
        const char *name;
        hkd_backbone backbone;
    } sign[] = {{"features.3.squeeze.weight", HKD_LPIPS_SQUEEZE}, {"features.28.weight", HKD_LPIPS_VGG},
                {"features.10.weight", HKD_LPIPS_ALEX}};
    const char *file = hkd_file_name(st->file);
    *factor = narrower(st, "features.0.weight", HKD_LPIPS_FIRST, HKD_LPIPS_WIDTHS);
    for (int i = 0; i < HKD_LPIPS_BACKBONES; i++) {
        if (!hkd_safetensors_find(st, sign[i].name) || !*factor) continue;
        *out = sign[i].backbone;
        if (hkd_safetensors_find(st, "lin0.weight")) return HKD_OK;
        return hkd_fail(HKD_BAD_FILE, "%s: a %s backbone without LPIPS' weights lin0.weight ...; `hkd convert` joins the two",
                        file, hkd_backbone_name(*out));
    }
    return hkd_fail(HKD_BAD_FILE,
                    "%s: no LPIPS network: expected torchvision's features.0.weight and so on of SqueezeNet 1.1, AlexNet or "
                    "VGG16, and lin0.weight and so on", file);
}

hkd_status hkd_lpips_load(hkd_lpips **out, const char *path, int64_t n, int64_t channels, int64_t h, int64_t w, bool gradient,
                          hkd_device *dev) {
    hkd_safetensors *st;
    hkd_backbone backbone = HKD_LPIPS_SQUEEZE;
    int64_t factor = 1;
    *out = NULL;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = recognise_backbone(&backbone, &factor, st);
    if (!status) status = hkd_lpips_new(out, backbone, factor, n, channels, h, w, gradient, dev);
    if (!status) status = read_weights((*out)->weights, st);
    hkd_safetensors_close(st);
    if (!status) status = hkd_lpips_prepare(*out);
    if (status) {
        hkd_lpips_free(*out);
        *out = NULL;
    }
    return status;
}
