#include "checkpoint.h"
#include "fuzz.h"
#include "init.h"

#include <stdlib.h>

static hkd_status no_image(const hkd_images *self, int64_t index, double *image, int *label) {
    (void)self, (void)index, (void)image, (void)label;
    return HKD_OK;
}

/* A trainer of the smallest network, kept over all inputs: the checkpoint of the corpus is one of it. */
static hkd_trainer *trainer(void) {
    static const hkd_images images = {1, no_image, NULL};
    static const hkd_edm_objective edm = {.images = &images, .p_std = 1};
    static hkd_trainer *t;
    hkd_device *dev;
    hkd_model *m;
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    if (t) return t;
    c.img_resolution = 1, c.img_channels = 1, c.model_channels = 4, c.levels = 1, c.channel_mult[0] = 1, c.num_blocks = 1;
    c.channel_mult_emb = 1, c.attn_count = 0;
    const hkd_train_settings s = {.batch = 1, .micro_batch = 1, .images = 1, .edm = &edm, .optimizer = HKD_OPTIMIZER_DEFAULT,
                                  .average = HKD_AVERAGE_DEFAULT};
    if (hkd_device_open_ref(&dev, &(hkd_device_options){0}) || hkd_model_new(&m, &c, dev) ||
        hkd_init_weights(m->weights, 0, false) || hkd_trainer_new(&t, m, &s)) abort();
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    hkd_checkpoint_load(trainer(), fuzz_file("f.checkpoint", bytes, count), "seed=0\n");
    return 0;
}
