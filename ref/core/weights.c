#include "weights.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

hkd_status hkd_weights_new(hkd_weights **out, const hkd_program *p, hkd_device *dev) {
    hkd_weights *w = calloc(1, sizeof *w);
    *out = w;
    if (w) w->item = calloc((size_t)p->n_vars + 1, sizeof *w->item);
    if (!w || !w->item) return hkd_fail(HKD_RESOURCES, "out of memory for the list of weights");
    w->dev = dev;
    for (int i = 0; i < p->n_vars; i++) {
        if (p->var[i].kind != HKD_VAR_WEIGHT) continue;
        hkd_weight *item = &w->item[w->count++];
        item->trained = p->var[i].want_grad;
        item->name = malloc(strlen(p->var[i].name) + 1);
        if (!item->name) return hkd_fail(HKD_RESOURCES, "out of memory for the list of weights");
        strcpy(item->name, p->var[i].name);
        const hkd_status status = hkd_tensor_new(dev, &item->value, &p->var[i].shape, HKD_WEIGHT);
        if (status) return status;
    }
    return HKD_OK;
}

void hkd_weights_free(hkd_weights *w) {
    if (!w) return;
    for (int i = 0; i < w->count; i++) {
        free(w->item[i].name);
        hkd_tensor_free(w->dev, &w->item[i].value);
        hkd_tensor_free(w->dev, &w->item[i].grad);
        for (int k = 0; k < w->item[i].more_count; k++) hkd_tensor_free(w->dev, &w->item[i].more[k]);
        free(w->item[i].more);
    }
    free(w->item);
    free(w);
}

hkd_weight *hkd_weights_find(const hkd_weights *w, const char *name) {
    for (int i = 0; i < w->count; i++)
        if (!strcmp(w->item[i].name, name)) return &w->item[i];
    return NULL;
}

hkd_status hkd_weights_need_grad(hkd_weights *w) {
    for (int i = 0; i < w->count; i++) {
        hkd_weight *item = &w->item[i];
        if (!item->trained || item->grad.buffer) continue;
        const hkd_status status = hkd_tensor_new(w->dev, &item->grad, &item->value.shape, HKD_STATE);
        if (status) return status;
    }
    return HKD_OK;
}

hkd_status hkd_weights_zero_grad(hkd_weights *w) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < w->count && !status; i++) {
        hkd_weight *item = &w->item[i];
        item->no_grad_yet = true;
        for (int k = 0; k < item->more_count && !status; k++) status = w->dev->fill(w->dev, &item->more[k], 0);
    }
    return status;
}

hkd_status hkd_weights_collect_grad(hkd_weights *w) {
    hkd_status status = HKD_OK;
    for (int i = 0; i < w->count && !status; i++) {
        if (w->item[i].no_grad_yet && w->item[i].grad.buffer) status = w->dev->fill(w->dev, &w->item[i].grad, 0);
        w->item[i].no_grad_yet = false;
        for (int k = 0; k < w->item[i].more_count && !status; k++) {
            const hkd_tensor grad = w->item[i].grad;
            const hkd_call add = {.op = hkd_find_op("add"), .in = {grad, w->item[i].more[k]}, .out = {grad}};
            status = hkd_device_forward(w->dev, &add);
            if (!status) status = w->dev->fill(w->dev, &w->item[i].more[k], 0);
        }
    }
    return status;
}

hkd_status hkd_weights_grad_of_use(hkd_tensor *out, hkd_weights *w, hkd_weight *item, int use) {
    while (item->more_count < use) {
        hkd_tensor *more = realloc(item->more, (size_t)(item->more_count + 1) * sizeof *more);
        if (!more) return hkd_fail(HKD_RESOURCES, "out of memory for the gradient of '%s'", item->name);
        item->more = more;
        hkd_status status = hkd_tensor_new(w->dev, &more[item->more_count], &item->value.shape, HKD_STATE);
        if (!status) status = w->dev->fill(w->dev, &more[item->more_count], 0);
        if (status) return status;
        item->more_count++;
    }
    *out = use ? item->more[use - 1] : item->grad;
    return HKD_OK;
}

int64_t hkd_weights_total(const hkd_weights *w, bool trained_only) {
    int64_t total = 0;
    for (int i = 0; i < w->count; i++)
        if (w->item[i].trained || !trained_only) total += hkd_count(&w->item[i].value.shape);
    return total;
}
