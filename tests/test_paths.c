/* Teacher trajectories: on disk, on the fly, and what happens to damaged shards. */
#include "trajectory_file.h"

#include "safetensors.h"
#include "scratch.h"
#include "teacher.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 3 * 2 * 2, STEPS = 4, COUNT = 300 }; /* two shards */

static const float points[2 * SIZE] = {-1, 1, -1, 1, 0.5F, -0.5F, 1, 1, 1, -1, -1, -1, 1, 1, 1, 1, 0, 0, 0, 0, -1, -1, -1, -1};
static hkd_point_cloud cloud = {2, points};

static hkd_config config_of(void) {
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.img_resolution = 2;
    return c;
}

static double gap(const hkd_trajectories *a, const hkd_trajectories *b, int64_t index) {
    double x[SIZE], y[SIZE], worst = 0;
    for (int state = 0; state <= STEPS; state++) {
        CHECK(!a->get(a, index, state, x) && !b->get(b, index, state, y), "%s", hkd_last_error());
        for (int i = 0; i < SIZE; i++) worst = fmax(worst, fabs(x[i] - y[i]) / fmax(1, a->sigma[state]));
    }
    return worst;
}

/* Stored and fresh trajectories are the same but for the rounding of the file; the last state is one of the points. */
static void stored_and_live(void) {
    const hkd_config c = config_of();
    const hkd_path_teacher teacher = {.denoise = hkd_denoise_points, .self = &cloud, .config = &c};
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", scratch("paths"));
    for (int half = 0; half < 2; half++) {
        const hkd_trajectory_request r = {.count = COUNT, .steps = STEPS, .first_seed = 77, .half = half,
                                          .made_by = half ? "half" : "full"};
        char sub[4200];
        snprintf(sub, sizeof sub, "%s%d", dir, half);
        char first[4300], left[4300];
        unsigned char *bytes = NULL;
        size_t size = 0;
        hkd_trajectories file, live;
        CHECK(!hkd_trajectories_make(sub, &teacher, &r), "%s", hkd_last_error());
        snprintf(first, sizeof first, "%s/000000.safetensors", sub); /* a killed run left this shard's copy, or half of it */
        snprintf(left, sizeof left, "%s/000000.safetensors.77-0.tmp", sub);
        CHECK(!hkd_read_file(&bytes, &size, first, 1 << 24) && !hkd_write_file(left, bytes, half ? size / 2 : size), "%s",
              hkd_last_error());
        free(bytes);
        if (!CHECK(!hkd_trajectories_open(&file, sub), "%s", hkd_last_error())) return;
        CHECK(!hkd_paths_live(&live, &teacher, 77, COUNT, STEPS), "%s", hkd_last_error());
        CHECK(file.count == COUNT && file.states == STEPS + 1, "%d trajectories of %d states", (int)file.count, file.states);
        const int64_t wanted[] = {299, 0, 256};
        CHECK(!live.prepare(&live, wanted, 3), "%s", hkd_last_error());
        for (int k = 0; k < 3; k++)
            CHECK(gap(&file, &live, wanted[k]) < (half ? 0x1p-8 : 0x1p-20), "trajectory %d differs by %g", (int)wanted[k],
                  gap(&file, &live, wanted[k]));
        double x[SIZE];
        CHECK(live.get(&live, 5, 0, x) == HKD_USAGE, "a trajectory that was not prepared was given");
        hkd_trajectories_close(&file);
        hkd_paths_live_free(&live);
    }
}

/* A lost shard is made again with the same bytes; a cut one, or one of another teacher, is refused with its name. */
static void damage(void) {
    const hkd_config c = config_of();
    const hkd_path_teacher teacher = {.denoise = hkd_denoise_points, .self = &cloud, .config = &c};
    hkd_trajectory_request r = {.count = COUNT, .steps = STEPS, .first_seed = 77, .half = true, .made_by = "half"};
    char dir[4096], shard[4200];
    unsigned char *before, *after = NULL;
    size_t size, again = 0;
    snprintf(dir, sizeof dir, "%s1", scratch("paths"));
    snprintf(shard, sizeof shard, "%s/000001.safetensors", dir);
    CHECK(!hkd_read_file(&before, &size, shard, 1 << 24) && !remove(shard), "%s", hkd_last_error());
    CHECK(!hkd_trajectories_make(dir, &teacher, &r) && !hkd_read_file(&after, &again, shard, 1 << 24), "%s", hkd_last_error());
    CHECK(size == again && !memcmp(before, after, size), "the shard that was made again has other bytes");
    CHECK(!hkd_write_file(shard, before, size - 1), "%s", hkd_last_error());
    CHECK(hkd_trajectories_make(dir, &teacher, &r) == HKD_BAD_FILE && strstr(hkd_last_error(), "000001"), "a cut shard: %s",
          hkd_last_error());
    hkd_write_file(shard, before, size);
    r.made_by = "another teacher";
    CHECK(hkd_trajectories_make(dir, &teacher, &r) == HKD_BAD_FILE && strstr(hkd_last_error(), "another teacher"), "%s",
          hkd_last_error());
    r.made_by = "half";
    r.half = false;
    CHECK(hkd_trajectories_make(dir, &teacher, &r) == HKD_BAD_FILE && strstr(hkd_last_error(), "F32"),
          "float16 for float32: %s",
          hkd_last_error());
    r.half = true;
    r.count = COUNT - 10;
    CHECK(!hkd_trajectories_make(dir, &teacher, &r), "a folder that holds more than is asked for: %s", hkd_last_error());
    hkd_config gray = c;
    gray.img_channels = 1;
    const hkd_path_teacher other = {.denoise = hkd_denoise_points, .self = &cloud, .config = &gray};
    CHECK(hkd_trajectories_make(dir, &other, &r) == HKD_BAD_FILE, "pictures of another size were accepted");
    snprintf(shard, sizeof shard, "%s-huge", dir); /* 10^16 bytes: more than any disk has */
    gray.img_resolution = 1 << 21;
    CHECK(hkd_trajectories_make(shard, &other, &r) == HKD_RESOURCES && strstr(hkd_last_error(), "there is room for"), "%s",
          hkd_last_error());
    free(before);
    free(after);
}

static volatile sig_atomic_t stop;

static void stop_at_288(void *self, int64_t done, int64_t total) {
    (void)self, (void)total;
    stop = done == 288;
}

static void same_bytes(const char *dir, const char *other, const char *what) {
    for (int shard = 0; shard < 2; shard++) {
        unsigned char *bytes[2] = {NULL, NULL};
        size_t size[2] = {0, 0};
        for (int k = 0; k < 2; k++) {
            char path[4200];
            snprintf(path, sizeof path, "%s/%06d.safetensors", k ? other : dir, shard);
            CHECK(!hkd_read_file(&bytes[k], &size[k], path, 1 << 24), "%s", hkd_last_error());
        }
        CHECK(size[0] == size[1] && !memcmp(bytes[0], bytes[1], size[0]), "%s: shard %d has other bytes", what, shard);
        free(bytes[0]), free(bytes[1]);
    }
}

/* Stopped within a shard, nothing that was ready is lost; what is missing is added, also for a larger count, and the folder
 * is in the end the one that was made at once. */
static void in_pieces(void) {
    const hkd_config c = config_of();
    const hkd_path_teacher teacher = {.denoise = hkd_denoise_points, .self = &cloud, .config = &c};
    hkd_trajectory_request r = {.count = COUNT, .steps = STEPS, .first_seed = 77, .half = true, .made_by = "half",
                                .cancel = &stop, .progress = stop_at_288};
    hkd_trajectories file = {.count = 0};
    char dir[4096], at_once[4096];
    snprintf(at_once, sizeof at_once, "%s1", scratch("paths"));
    snprintf(dir, sizeof dir, "%s", scratch("paths_in_pieces"));
    CHECK(hkd_trajectories_make(dir, &teacher, &r) == HKD_RESOURCES && strstr(hkd_last_error(), "first 288 trajectories"), "%s",
          hkd_last_error());
    CHECK(!hkd_trajectories_open(&file, dir) && file.count == 288, "%d of 288 trajectories were kept", (int)file.count);
    hkd_trajectories_close(&file);
    stop = 0;
    CHECK(!hkd_trajectories_make(dir, &teacher, &r), "%s", hkd_last_error());
    same_bytes(at_once, dir, "stopped and taken up again");
    r.progress = NULL;
    snprintf(dir, sizeof dir, "%s", scratch("paths_growing"));
    for (r.count = 100; r.count <= COUNT; r.count += 100)
        CHECK(!hkd_trajectories_make(dir, &teacher, &r), "a folder of %d is to hold more: %s", (int)r.count - 100,
              hkd_last_error());
    same_bytes(at_once, dir, "grown");
}

/* While a shard is filled its file holds what was ready when `every` seconds had passed: what a killed process keeps. */
static char filling[4096];
static int64_t kept[2];

static void look(void *self, int64_t done, int64_t total) {
    char path[4200];
    hkd_trajectories file;
    snprintf(path, sizeof path, "%s/000000.safetensors", filling);
    (void)self, (void)total;
    if (done > 128 || !hkd_exists(path)) return;
    CHECK(!hkd_trajectories_open(&file, filling), "a shard that is being filled: %s", hkd_last_error());
    kept[0] = done, kept[1] = file.count;
    hkd_trajectories_close(&file);
}

static void killed(void) {
    const hkd_config c = config_of();
    const hkd_path_teacher teacher = {.denoise = hkd_denoise_points, .self = &cloud, .config = &c};
    hkd_trajectory_request r = {.count = COUNT, .steps = STEPS, .first_seed = 77, .made_by = "killed", .progress = look};
    snprintf(filling, sizeof filling, "%s", scratch("paths_killed"));
    CHECK(!hkd_trajectories_make(filling, &teacher, &r), "%s", hkd_last_error());
    CHECK(kept[0] == 128 && kept[1] == 96, "killed at trajectory %d, %d are kept", (int)kept[0], (int)kept[1]);
    snprintf(filling, sizeof filling, "%s", scratch("paths_killed_early"));
    kept[0] = 0;
    r.every = 1e9;
    CHECK(!hkd_trajectories_make(filling, &teacher, &r) && !kept[0], "a shard was written before its time");
}

void test_paths(void) {
    stored_and_live();
    damage();
    in_pieces();
    killed();
}
