/* paths.h - the teacher's trajectories as they come: Heun solutions of its probability-flow ODE, one per seed. */
#ifndef HKD_PATHS_H
#define HKD_PATHS_H

#include "model.h"
#include "objective.h"
#include "sampler.h"

/* A teacher is a denoiser network, or any other denoiser (ref/diffusion/teacher.h) for pictures and noise levels of
 * `config`. */
typedef struct {
    hkd_model *model;      /* NULL: denoise(self, ...) */
    hkd_denoise *denoise;
    void *self;
    const hkd_config *config;
} hkd_path_teacher;

/* states [n, steps + 1, size] and labels [n] (-1 without classes) for n seeds. A network with classes draws each label from the
 * seed. */
hkd_status hkd_paths_compute(double *states, double *labels, const hkd_path_teacher *teacher, const uint64_t *seeds, int64_t n,
                             int64_t steps);

/* An endless supply: trajectory k is computed from seed first_seed + k when a step asks for it, and forgotten afterwards. */
hkd_status hkd_paths_live(hkd_trajectories *out, const hkd_path_teacher *teacher, uint64_t first_seed, int64_t count,
                          int64_t steps);
void hkd_paths_live_free(hkd_trajectories *t);

#endif
