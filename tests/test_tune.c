/* Ways of a contraction: all of our own are right, wrong ones are found out however fast they are, and what was chosen comes
 * back in the next run unless the file is damaged or --no-tune is given. */
#ifdef HKD_OPENCL
#include "status.h"
#include "tune.h"
#endif
#include "program.h"
#include "scratch.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HKD_OPENCL
/* Tiles cut short on every side, a batch; taps on padded pictures with columns that do not exist; groups of terms, added to
 * what
 * is there; C lying along m. */
static const hkd_contract shapes[] = {
    {.m = 21, .n = 70, .z0 = 3, .z1 = 1, .r0 = 13, .r1 = 1, .r2 = 1, .a_m = 13, .a_r0 = 1, .a_z0 = 273, .b_r0 = 70, .b_z0 = 910,
     .c_m = 70, .c_z0 = 1470, .n0 = 70, .n0_used = 70, .n1 = 1, .n1_used = 1, .c_n0 = 1},
    {.m = 9, .n = 82, .z0 = 1, .z1 = 1, .r0 = 5, .r1 = 3, .r2 = 3, .a_m = 45, .a_r0 = 9, .a_r1 = 3, .a_r2 = 1, .b_r0 = 128,
     .b_r1 = 8, .b_r2 = 1, .c_m = 36, .n0 = 8, .n0_used = 6, .n1 = 8, .n1_used = 6, .c_n0 = 1, .c_n1 = 6, .c_n2 = 324},
    {.m = 10, .n = 33, .z0 = 1, .z1 = 1, .r0 = 9, .r1 = 1, .r2 = 1, .group = 4, .a_m = 1, .a_r0 = 10, .b_r0 = 33, .c_m = 33,
     .n0 = 33, .n0_used = 33, .n1 = 1, .n1_used = 1, .c_n0 = 1, .accumulate = 1},
    {.m = 9, .n = 96, .z0 = 1, .z1 = 1, .r0 = 5, .r1 = 3, .r2 = 3, .a_m = 45, .a_r0 = 9, .a_r1 = 3, .a_r2 = 1, .b_r0 = 192,
     .b_r1 = 18, .b_r2 = 1, .b_n1 = 18, .b_n2 = 90, .c_m = 48, .n0 = 16, .n0_used = 16, .n1 = 3, .n1_used = 3, .c_n0 = 1,
     .c_n1 = 16, .c_n2 = 432},
    {.m = 40, .n = 7, .z0 = 1, .z1 = 1, .r0 = 25, .r1 = 1, .r2 = 1, .a_m = 25, .a_r0 = 1, .b_r0 = 7, .c_m = 1, .n0 = 7,
     .n0_used = 7, .n1 = 1, .n1_used = 1, .c_n0 = 45},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static hkd_status with_shape(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                             const hkd_buffer *bias, const hkd_buffer *more, hkd_contract k) {
    const hkd_cl_way own = {"contract", hkd_cl_tiles, cl->tile_m, cl->tile_n / cl->width, NULL};
    (void)way;
    return hkd_cl_tiles(cl, &own, c, a, b, bias, more, &k);
}

/* The mistakes of a wrong way: each does less work than a right one. */
#define MISTAKE(name, change) \
    static hkd_status name(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b, \
                           const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *shape) { \
        hkd_contract k = *shape; \
        change; \
        return with_shape(cl, way, c, a, b, bias, more, k); \
    }
MISTAKE(forgets_a_term, k.r0--)
MISTAKE(forgets_a_row, k.m--)
MISTAKE(forgets_the_bias, bias = NULL; k.accumulate = 0)
MISTAKE(does_nothing, k.m = 0)
MISTAKE(writes_between, k.n0_used = k.n0)

static hkd_status fails(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                        const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *shape) {
    (void)cl, (void)way, (void)c, (void)a, (void)b, (void)bias, (void)more, (void)shape;
    return hkd_fail(HKD_DEVICE, "work-groups of 1024 are too large");
}

static const hkd_cl_way planted[] = {
    {"forgets_a_term", forgets_a_term, 0, 0, NULL},     {"forgets_a_row", forgets_a_row, 0, 0, NULL},
    {"forgets_the_bias", forgets_the_bias, 0, 0, NULL}, {"does_nothing", does_nothing, 0, 0, NULL},
    {"fails", fails, 0, 0, NULL},                       {NULL, NULL, 0, 0, NULL},
};
static const hkd_cl_way between[] = {{"writes_between", writes_between, 0, 0, NULL}, {NULL, NULL, 0, 0, NULL}};

static void right_ways(hkd_cl *cl) {
    hkd_cl_trial trial[HKD_CL_WAYS + 1];
    hkd_cl_choice best;
    int count;
    for (int i = 0; i < SHAPES; i++) {
        CHECK(hkd_cl_try(&best, trial, &count, cl, &shapes[i], hkd_cl_ways) == HKD_OK, "%s", hkd_last_error());
        CHECK(count >= 5, "only %d ways were tried", count);
        for (int t = 0; t < count; t++)
            CHECK(!*trial[t].wrong, "shape %d, %s: %s", i, trial[t].way->name, trial[t].wrong);
    }
}

/* A wrong way that is fastest must not be chosen: a check after the timing, or of a part of the result only. */
static void wrong_ways(hkd_cl *cl) {
    hkd_cl_trial trial[HKD_CL_WAYS + 1];
    hkd_cl_choice best;
    int count;
    for (int i = 0; i < SHAPES; i++) {
        CHECK(hkd_cl_try(&best, trial, &count, cl, &shapes[i], planted) == HKD_OK, "%s", hkd_last_error());
        CHECK(count == 6 && hkd_cl_is_standard(cl, best.way), "shape %d: %s was chosen", i, best.way->name);
        for (int t = 1; t < count; t++)
            CHECK(*trial[t].wrong && trial[t].seconds == 0, "shape %d: %s passed", i, trial[t].way->name);
        CHECK(strstr(trial[5].wrong, "work-groups of 1024"), "the reason of a failure is lost: %s", trial[5].wrong);
    }
    CHECK(!hkd_cl_try(&best, trial, &count, cl, &shapes[1], between) && *trial[1].wrong,
          "columns that do not exist were written unnoticed");
}

static hkd_cl *open_with(const hkd_device_options *options) {
    hkd_device *dev = NULL;
    CHECK(hkd_device_open_opencl(&dev, getenv("HKD_TEST_OPENCL"), options) == HKD_OK, "%s", hkd_last_error());
    return (hkd_cl *)(void *)dev;
}

/* What another process would find: how many choices, and is it ours. */
static void found(int want, const char *when, bool no_tune) {
    hkd_cl *cl = open_with(&(hkd_device_options){.force = true, .no_tune = no_tune});
    if (!cl) return;
    CHECK(cl->choice_count == want, "%s: %d choices instead of %d", when, cl->choice_count, want);
    CHECK((strstr(cl->base.name, ", tuned ") != NULL) == (want > 0), "%s: the name is %s", when, cl->base.name);
    if (want == 2 && cl->choice_count == 2)
        CHECK(cl->choices[0].way == &hkd_cl_ways[1] && cl->choices[1].way == &hkd_cl_ways[2] && cl->choices[1].seconds == 2,
              "%s: other ways were read than written", when);
    hkd_device_close(&cl->base);
}

static void stored(void) {
    hkd_cl *cl = open_with(&(hkd_device_options){.force = true, .no_tune = true});
    const hkd_cl_choice first = {{1, 2, 3, 4, 5, 6, 7, 8}, &hkd_cl_ways[1], 1, 3}, second = {{1, 2, 3, 4, 5, 6, 7, 9},
                                                                                           &hkd_cl_ways[2], 1, 3};
    hkd_cl_choice better = second;
    unsigned char *text = NULL;
    size_t size = 0;
    better.seconds = 2;
    if (!cl) return;
    found(0, "before tuning", false);
    CHECK(!hkd_cl_choose(cl, &first) && !hkd_cl_choose(cl, &second) && !hkd_cl_choose(cl, &better), "%s", hkd_last_error());
    hkd_cl_store_choices(cl);
    found(2, "after tuning", false);
    found(0, "with --no-tune", true);

    if (!CHECK(hkd_cl_recall(cl, "tune", &text, &size), "the file cannot be read")) return;
    char *name = strstr((char *)text, "contract_4x2");
    if (CHECK(name, "the file is not legible: %s", (const char *)text)) name[9] = '5';
    hkd_cl_remember(cl, "tune", text, size);
    found(0, "with a way that does not exist", false);
    hkd_cl_remember(cl, "tune", text, size - 3);
    found(0, "cut short", false);
    text[1] = 'H';
    hkd_cl_remember(cl, "tune", text, size);
    found(0, "of another version", false);
    free(text);
    hkd_cl_store_choices(cl);
    found(2, "written anew", false);
    hkd_device_close(&cl->base);
}

/* A damaged byte anywhere, here in a number, which would still be legible. */
static void damaged(void) {
    char path[1024];
    FILE *list, *file;
    snprintf(path, sizeof path, "ls %s/hkd/*.tune", getenv("XDG_CACHE_HOME"));
    list = popen(path, "r");
    const bool there = list && fgets(path, sizeof path, list);
    if (list) pclose(list);
    if (!CHECK(there, "no stored file")) return;
    path[strcspn(path, "\n")] = 0;
    file = fopen(path, "r+b");
    fseek(file, -2, SEEK_END);
    fputc('7', file);
    fclose(file);
    found(0, "damaged", false);
}

/* A choice is used, and its result is right: every element of a product against the profile's tile. */
static void used(void) {
    hkd_cl *cl = open_with(&(hkd_device_options){.force = true, .no_tune = true});
    hkd_cl_choice choice;
    hkd_cl_trial trial[HKD_CL_WAYS + 1];
    int count;
    if (!cl) return;
    CHECK(!hkd_cl_try(&choice, trial, &count, cl, &shapes[3], planted + 5), "%s", hkd_last_error());
    choice.way = &planted[4];
    hkd_cl_choose(cl, &choice);
    CHECK(hkd_cl_contract(cl, NULL, NULL, NULL, NULL, NULL, &shapes[3]) == HKD_DEVICE, "the chosen way was not taken");
    hkd_device_close(&cl->base);
}

void test_tune(void) {
    static const char *const profiles[] = {"cpu", "gpu"};
    hkd_cl_machine *list;
    char empty[256];
    int count;
    setenv("POCL_CACHE_DIR", "build/pocl", 0);
    setenv("XDG_CACHE_HOME", scratch("tuned"), 1);
    const bool none = !hkd_cl_machines(&list, &count, empty, sizeof empty) && !count;
    free(list);
    if (none) {
        test_skip("tune", "no OpenCL device on this machine");
        return;
    }
    for (int p = 0; p < 2; p++) {
        hkd_cl *cl = open_with(&(hkd_device_options){.isa = profiles[p], .force = true, .no_tune = true});
        if (!cl) return;
        right_ways(cl);
        wrong_ways(cl);
        hkd_device_close(&cl->base);
    }
    stored();
    damaged();
    used();
    program_refuses(2, "only OpenCL devices are tuned", "tune --device cpu");
}
#else
void test_tune(void) { test_skip("tune", "built without OpenCL"); }
#endif
