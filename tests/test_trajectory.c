/* hkd trajectory: the end of the path is the one-step sample, the teacher's is the teacher's sample, the states between are the
 * true ones; refusals. */
#include "model_path.h"
#include "program.h"
#include "schedule.h"
#include "scratch.h"
#include "small_model.h"
#include "teacher.h"
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2, SIZE = 3 * 8 * 8, TIMES = 3 };

/* A Gaussian's exact flow at levels that are not on the grid: they must be visited, not interpolated or taken from a neighbour.
 * Heun's error falls with the square of the step. */
static void through_levels(void) {
    const double mean[4] = {0.1, -0.2, 0.3, 0}, level[4] = {80, 3.21, 0.5, 0};
    hkd_gaussian g = {.rank = 0, .mean = mean, .rest = 0.25};
    const hkd_schedule schedule = hkd_schedule_default(HKD_SCHEDULE_EDM);
    double worst[2] = {0, 0};
    for (int fine = 0; fine < 2; fine++) {
        const int64_t steps = fine ? 200 : 100;
        double grid[201], state[4 * 4], x[4] = {60, -100, 20, 5}, start[4], want[4];
        memcpy(start, x, sizeof x);
        CHECK(!hkd_schedule_grid(grid, steps, &schedule), "%s", hkd_last_error());
        hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = 1, .size = 4};
        CHECK(!hkd_sample_through(state, level, 4, &s, x, grid, steps), "%s", hkd_last_error());
        CHECK(!memcmp(state, start, sizeof start) && !memcmp(state + 12, x, sizeof x), "the ends of the way are not recorded");
        for (int k = 1; k < 3; k++) {
            hkd_gaussian_flow(want, start, level[k], 80, &g, 1, 4);
            for (int i = 0; i < 4; i++) worst[fine] = fmax(worst[fine], fabs(state[4 * k + i] - want[i]));
        }
    }
    CHECK(worst[0] < 0.01 && worst[1] < 0.3 * worst[0], "states at given levels are off by %g with 100 steps, %g with 200",
          worst[0], worst[1]);
    const double above[1] = {81};
    double grid[3] = {80, 1, 0}, x[4] = {0}, state[4];
    hkd_sampling s = {.denoise = hkd_denoise_gaussian, .denoiser = &g, .n = 1, .size = 4};
    CHECK(hkd_sample_through(state, above, 1, &s, x, grid, 2) == HKD_USAGE, "a level above the start was accepted");
}

static void same(const char *file, const char *name, int64_t skip, const char *sample, const char *what) {
    int64_t count = 0;
    double *got = tensor_in_file(file, name, NULL, &count), *want = tensor_in_file(sample, "x", NULL, NULL);
    if (got && want)
        CHECK(count == TIMES * N * SIZE && !memcmp(got + skip * N * SIZE, want, N * SIZE * sizeof *got), "%s", what);
    free(got), free(want);
}

static void ends(const char *model, const char *teacher) {
    static const char *const device[] = {"ref", "cpu"};
    for (int k = 0; k < 2; k++) {
        char path[512], one[512], heun[512];
        snprintf(path, sizeof path, "%s", scratch("t.safetensors"));
        snprintf(one, sizeof one, "%s", scratch("one.safetensors"));
        snprintf(heun, sizeof heun, "%s", scratch("heun.safetensors"));
        CHECK(program("sample --device %s --model %s --seeds 5,8 --out %s", device[k], model, one) == 0, "%s", program_err());
        CHECK(program("sample --device %s --model %s --seeds 5,8 --steps 6 --out %s", device[k], teacher, heun) == 0, "%s",
              program_err());
        CHECK(program("trajectory --device %s --model %s --teacher %s --seeds 5,8 --steps 6 --times 1,0.6,0 --reconstruct "
                      "--json --out %s "
                      "--csv %s --latents %s", device[k], model, teacher, path, scratch("t.csv"),
                          scratch("z.safetensors")) == 0,
              "%s", program_err());
        same(path, "decoded", 2, one, "the path does not end in the one-step sample");
        same(path, "reconstructed", 0, one, "the reconstruction from pure noise is not the one-step sample");
        json_t *o = json_loads(program_out(), 0, NULL), *first = json_array_get(json_object_get(o, "times"), 0);
        const double gap = json_number_value(json_object_get(first, "latent_gap"));
        CHECK(o && gap == 0, "the model's and the teacher's paths begin apart: %g", gap);
        json_decref(o);
        double *states = tensor_in_file(path, "teacher", NULL, NULL), *want = tensor_in_file(heun, "x", NULL, NULL), worst = 0;
        for (int i = 0; states && want && i < N * SIZE; i++) worst = fmax(worst, fabs(states[2 * N * SIZE + i] - want[i]));
        CHECK(states && want && worst < (k ? 1e-4 : 1e-9), "the teacher along its own grid is not its sample, by %g", worst);
        free(states), free(want);
    }
    int64_t count = 0;
    double *z = tensor_in_file(scratch("z.safetensors"), "latents", NULL, &count);
    CHECK(z && count % (TIMES * N) == 0 && count > TIMES * N * SIZE, "%d latents", (int)count);
    free(z);
    CHECK(program("trajectory --model %s --seeds 1 --out %s", model, scratch("path.ppm")) == 0, "%s", program_err());
    CHECK(strstr(program_out(), "latents"), "no table: %s", program_out());
}

/* --class is the class of `hkd sample`, of the model's path and of the teacher's. */
static void classes(const char *unconditional) {
    char model[512], teacher[512], path[512], one[512], heun[512];
    const hkd_config c = small_config(true, 3), d = small_config(false, 3);
    snprintf(model, sizeof model, "%s", scratch("class_model.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("class_teacher.safetensors"));
    snprintf(path, sizeof path, "%s", scratch("t.safetensors"));
    snprintf(one, sizeof one, "%s", scratch("one.safetensors"));
    snprintf(heun, sizeof heun, "%s", scratch("heun.safetensors"));
    small_model_file(model, &c);
    small_model_file(teacher, &d);
    CHECK(program("trajectory --device ref --model %s --teacher %s --seeds 5,8 --steps 6 --times 1,0.6,0 --class 2 --out %s",
                  model, teacher, path) == 0, "%s", program_err());
    CHECK(program("sample --device ref --model %s --seeds 5,8 --class 2 --out %s", model, one) == 0, "%s", program_err());
    CHECK(program("sample --device ref --model %s --seeds 5,8 --class 2 --steps 6 --out %s", teacher, heun) == 0, "%s",
          program_err());
    same(path, "decoded", 2, one, "the path does not end in the sample of its class");
    double *states = tensor_in_file(path, "teacher", NULL, NULL), *want = tensor_in_file(heun, "x", NULL, NULL), worst = 0;
    for (int i = 0; states && want && i < N * SIZE; i++) worst = fmax(worst, fabs(states[2 * N * SIZE + i] - want[i]));
    CHECK(states && want && worst < 1e-9, "the teacher's path is not that of its class, by %g", worst);
    free(states), free(want);
    program_refuses(2, "--class 3", "trajectory --model %s --class 3", model);
    program_refuses(2, "the model has no classes", "trajectory --model %s --class 0", unconditional);
}

void test_trajectory(void) {
    char model[512], teacher[512];
    const hkd_config c = small_config(true, 0), d = small_config(false, 0);
    snprintf(model, sizeof model, "%s", scratch("path_model.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("path_teacher.safetensors"));
    small_model_file(model, &c);
    small_model_file(teacher, &d);
    through_levels();
    ends(model, teacher);
    classes(model);
    program_refuses(2, "outside [0, 1]", "trajectory --model %s --times 1:-0.5:4", model);
    program_refuses(2, "expected to decrease", "trajectory --model %s --times 0,1", model);
    program_refuses(2, "no Koopman operators", "trajectory --model %s", teacher);
    program_refuses(2, "expected a denoiser", "trajectory --model %s --teacher %s", model, model);
    program_refuses(2, "--teacher", "trajectory --model %s --reconstruct", model);
    program_refuses(3, "No such file", "trajectory --model %s", scratch("nothing"));
}
