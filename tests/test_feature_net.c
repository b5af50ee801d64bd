/* The feature network, judged by what it was trained for: nearly all of 10,000 labelled pictures. Any mistake of structure
 * (stride, shortcut, order of channels, normalisation, a batch norm's eps or place) costs most of its accuracy. */
#include "cpu.h"
#include "dataset.h"
#include "feature_file.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 64, CLASSES = 10, SIZE = 3 * 32 * 32, IMAGES = 500, FEW = 3 };

static double *values(const char *path, const char *name) {
    hkd_safetensors *st;
    if (!CHECK(!hkd_safetensors_open(&st, path), "%s", hkd_last_error())) return calloc(CLASSES * DIM, sizeof(double));
    const hkd_safetensor *t = hkd_safetensors_find(st, name);
    double *v = calloc(t ? (size_t)t->count : CLASSES * DIM, sizeof *v);
    CHECK(t && !hkd_safetensors_read(st, t, v, HKD_F64), "no %s", name);
    hkd_safetensors_close(st);
    return v;
}

static int best_class(const double *feature, const double *w, const double *b) {
    double logit[CLASSES];
    int best = 0;
    for (int k = 0; k < CLASSES; k++) {
        logit[k] = b[k];
        for (int i = 0; i < DIM; i++) logit[k] += w[k * DIM + i] * feature[i];
        if (logit[k] > logit[best]) best = k;
    }
    return best;
}

static void accuracy(const char *net, const unsigned char *pictures, const int *labels) {
    static double features[IMAGES * DIM], exact[FEW * DIM];
    double *w = values(net, "linear.weight"), *b = values(net, "linear.bias"), worst = 0, largest = 0;
    hkd_device *cpu = NULL, *ref = NULL;
    hkd_features *fast = NULL, *slow = NULL;
    if (CHECK(!hkd_device_open_cpu(&cpu, &(hkd_device_options){.threads = 2}) && !hkd_features_load(&fast, net, 32, 64, cpu) &&
                  !hkd_device_open_ref(&ref, &(hkd_device_options){0}) && !hkd_features_load(&slow, net, 32, 2, ref),
              "%s", hkd_last_error())) {
        int right = 0;
        CHECK(fast->dim == DIM && !hkd_features_run(fast, features, pictures, IMAGES), "%s", hkd_last_error());
        for (int i = 0; i < IMAGES; i++) right += best_class(features + i * DIM, w, b) == labels[i];
        CHECK(right > 0.97 * IMAGES, "%d of %d training pictures are recognised", right, (int)IMAGES);
        CHECK(!hkd_features_run(slow, exact, pictures, FEW), "%s", hkd_last_error()); /* 3 pictures in batches of 2 */
        for (int i = 0; i < FEW * DIM; i++) {
            worst = fmax(worst, fabs(features[i] - exact[i]));
            largest = fmax(largest, fabs(exact[i]));
        }
        CHECK(worst < 1e-4 * largest, "cpu differs from ref by %g of %g", worst, largest);
    }
    hkd_features_free(fast);
    hkd_features_free(slow);
    hkd_device_close(cpu);
    hkd_device_close(ref);
    free(w);
    free(b);
}

void test_feature_net(void) {
    char net[4096], data[4096];
    hkd_dataset *set = NULL;
    unsigned char *pictures = malloc(IMAGES * SIZE);
    static int labels[IMAGES];
    if (!test_shared()) {
        free(pictures);
        test_skip("feature_net", "no development data");
        return;
    }
    snprintf(net, sizeof net, "%s/data/resnet20/resnet20_cifar10.safetensors", test_shared());
    snprintf(data, sizeof data, "%s/data/cifar10/data_batch_1.bin", test_shared());
    if (CHECK(!hkd_dataset_open(&set, data), "%s", hkd_last_error())) {
        for (int i = 0; i < IMAGES; i++) hkd_dataset_get(set, i, pictures + i * SIZE, &labels[i]);
        accuracy(net, pictures, labels);
    }
    hkd_dataset_close(set);
    free(pictures);
}
