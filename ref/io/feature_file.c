#include "feature_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
                            "of a ResNet for CIFAR-10",
                            hkd_file_name(st->file), stage + 1);
    }
    return HKD_OK;
}

static hkd_status read_weight(hkd_device *dev, const hkd_weight *w, const hkd_safetensors *st) {
    const hkd_safetensor *t = hkd_safetensors_find(st, w->name);
    hkd_shape shape;
    if (!t) return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' is missing", hkd_file_name(st->file), w->name);
    hkd_status status = hkd_safetensors_shape(&shape, st, t);
    if (status) return status;
    if (!hkd_same_shape(&shape, &w->value.shape))
        return hkd_fail(HKD_BAD_FILE, "%s: tensor '%s' has another shape than its place in the network",
                        hkd_file_name(st->file), w->name);
    double *values = malloc((size_t)hkd_count(&shape) * sizeof *values + 1);
    if (!values) return hkd_fail(HKD_RESOURCES, "out of memory for the feature network");
    status = hkd_safetensors_read(st, t, values, HKD_F64);
    if (!status) status = dev->upload(dev, &w->value, values, HKD_F64);
    free(values);
    return status;
}

hkd_status hkd_features_load(hkd_features **out, const char *path, int64_t res, int64_t batch, hkd_device *dev) {
    hkd_safetensors *st;
    hkd_resnet net;
    *out = NULL;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    status = recognise(&net, st);
    if (!status) status = hkd_features_new(out, &net, res, batch, dev);
    for (int i = 0; !status && i < (*out)->weights->count; i++)
        if (strncmp((*out)->weights->item[i].name, "shortcut.", 9)) status = read_weight(dev, &(*out)->weights->item[i], st);
    hkd_safetensors_close(st);
    if (status) {
        hkd_features_free(*out);
        *out = NULL;
    }
    return status;
}
