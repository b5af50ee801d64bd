/* hkd train --freeze-operators: the operators are the announced draws and stay them, the rest of the network learns. */
#include "program.h"
#include "rng.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void test_frozen(void) {
    char teacher[512], out[512];
    const hkd_config c = small_config(false, 0);
    int64_t count = 0, weights = 0;
    snprintf(teacher, sizeof teacher, "%s", scratch("frozen_teacher.safetensors"));
    snprintf(out, sizeof out, "%s", scratch("frozen.safetensors"));
    small_model_file(teacher, &c);
    CHECK(program("train --objective hkd --teacher %s --trajectory-count 8 --trajectory-steps 2 --times 1 --batch 4 --images "
                  "12 --seed 7 "
                  "--freeze-operators 0.5 --out %s", teacher, out) == 0, "%s", program_err());
    double *a = tensor_in_file(out, "koopman.bottleneck", NULL, &count), square = 0;
    for (int64_t i = 0; a && i < count; i++) square += a[i] * a[i];
    CHECK(a && fabs(sqrt(square / (double)count) - 0.5) < 5 * 0.5 / sqrt(2.0 * (double)count),
          "operators of size %g, expected 0.5",
          sqrt(square / (double)count));
    CHECK(program("train --objective hkd --teacher %s --trajectory-count 8 --trajectory-steps 2 --times 1 --batch 4 --images 4 "
                  "--seed 7 "
                  "--freeze-operators 0.5 --out %s", teacher, scratch("shorter.safetensors")) == 0, "%s", program_err());
    double *same = tensor_in_file(scratch("shorter.safetensors"), "koopman.bottleneck", NULL, NULL);
    CHECK(a && same && !memcmp(a, same, (size_t)count * sizeof *a), "frozen operators changed with the length of the training");
    double *learnt = tensor_in_file(out, "model.dec.8x8_aux_conv.weight", NULL, &weights);
    double *before = tensor_in_file(teacher, "model.dec.8x8_aux_conv.weight", NULL, NULL);
    CHECK(learnt && before && memcmp(learnt, before, (size_t)weights * sizeof *learnt), "nothing else was trained");
    free(a), free(same), free(learnt), free(before);
    program_refuses(2, "is for --objective hkd", "train --data builtin --freeze-operators 1 --out %s", scratch("none"));
}
