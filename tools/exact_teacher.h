/* exact_teacher.h - teachers in closed form by name, from a data set: gaussian, mixture, points (ref/diffusion/teacher.h). */
#ifndef HKD_EXACT_TEACHER_H
#define HKD_EXACT_TEACHER_H

#include "fit.h"
#include "paths.h"
#include "training.h"

typedef struct {
    hkd_point_cloud cloud;
    hkd_fit fit;
} hkd_exact_teacher;

bool hkd_is_exact_teacher(const char *kind);
/* Sets teacher->denoise and ->self; `out` must outlive it. Free it also after a failure. */
hkd_status hkd_exact_teacher_new(hkd_exact_teacher *out, hkd_path_teacher *teacher, const char *kind,
                                 const training_images *data, int64_t clusters, int64_t rank, uint64_t seed);
void hkd_exact_teacher_free(hkd_exact_teacher *t);

#endif
