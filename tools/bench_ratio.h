/* bench_ratio.h - one device beside others, in one run. */
#ifndef HKD_BENCH_RATIO_H
#define HKD_BENCH_RATIO_H

#include "model.h"

#include <jansson.h>

/* Seconds of a matrix product, a 3x3 convolution, a one-step sample and a training step on OpenCL, on cpu without and with
 * fast algorithms; the rounds take turns and the best counts. Appends a row for each to `rows`. */
hkd_status hkd_bench_ratios(json_t *rows, hkd_device *opencl, int64_t rounds, int threads);
void hkd_print_ratios(const json_t *rows);

#endif
