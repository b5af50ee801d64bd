#include "trajectory_file.h"

#include "safetensors.h"
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- shards ---- */

static char *shard_path(const char *dir, int64_t shard) {
    char name[32];
    snprintf(name, sizeof name, "%06lld.safetensors", (long long)shard);
    return hkd_path_join(dir, name);
}

static int64_t area_of(const hkd_config *c) { return (int64_t)c->img_resolution * c->img_resolution; }

/* Numbers in a trajectory. */
static int64_t size_of(const hkd_trajectory_request *r, const hkd_config *c) {
    return (r->steps + 1) * c->img_channels * area_of(c);
}

static hkd_stored stored_as(const hkd_trajectory_request *r) { return r->half ? HKD_F16 : HKD_FLOAT; }

static hkd_status save_shard(const char *path, const double *states, const double *labels, const hkd_path_teacher *teacher,
                             const hkd_trajectory_request *r, int64_t n) {
    const hkd_config *c = teacher->config;
    const hkd_schedule schedule = {HKD_SCHEDULE_EDM, c->sigma_min, c->sigma_max, c->rho};
    double *sigma = malloc((size_t)(r->steps + 1) * sizeof *sigma);
    hkd_status status = sigma ? hkd_schedule_grid(sigma, r->steps, &schedule) : hkd_fail(HKD_RESOURCES, "out of memory");
    const hkd_saved saved[] = {
        {.name = "states", .type = stored_as(r),
         .shape = hkd_shape_of(4, n, r->steps + 1, (int64_t)c->img_channels, area_of(c)), .as = HKD_F64, .data = states},
        {.name = "sigma", .type = HKD_DOUBLE, .shape = hkd_shape_of(1, r->steps + 1), .as = HKD_F64, .data = sigma},
        {.name = "labels", .type = HKD_I64, .shape = hkd_shape_of(1, n), .as = HKD_F64, .data = labels},
    };
    const hkd_metadata metadata[] = {{"hkd.trajectories", r->made_by}};
    if (!status) status = hkd_safetensors_save(path, saved, 3, metadata, 1);
    free(sigma);
    return status;
}

/* Take up a shard that is there: the first of its trajectories, at most n, when it is of this request; *have of them. */
static hkd_status load_shard(double *states, double *labels, int64_t *have, const char *path, const hkd_path_teacher *teacher,
                             const hkd_trajectory_request *r, int64_t n) {
    const hkd_config *c = teacher->config;
    hkd_safetensors *st;
    hkd_status status = hkd_safetensors_open(&st, path);
    if (status) return status;
    const char *made_by = hkd_safetensors_metadata(st, "hkd.trajectories");
    const hkd_safetensor *in_file = hkd_safetensors_find(st, "states"), *classes = hkd_safetensors_find(st, "labels");
    if (!made_by || strcmp(made_by, r->made_by))
        status = hkd_fail(HKD_BAD_FILE, "%s: holds trajectories of another teacher or other settings, use another folder: %s "
                                        "there, %s here", path, made_by ? made_by : "nothing", r->made_by);
    else if (!in_file || in_file->rank != 4 || in_file->dim[1] != r->steps + 1 || in_file->dim[2] != c->img_channels ||
             in_file->dim[3] != area_of(c) || in_file->type != stored_as(r))
        status = hkd_fail(HKD_BAD_FILE, "%s: 'states' must be %s [m,%lld,%d,%lld]", path, r->half ? "F16" : "F32",
                          (long long)r->steps + 1, c->img_channels, (long long)area_of(c));
    else if (!classes || classes->rank != 1 || classes->dim[0] != in_file->dim[0])
        status = hkd_fail(HKD_BAD_FILE, "%s: 'labels' must have one number per trajectory", path);
    else *have = in_file->dim[0] < n ? in_file->dim[0] : n;
    const bool grows = !status && *have < n; /* a full shard is not read */
    if (grows) status = hkd_safetensors_read_part(st, in_file, 0, (size_t)(*have * size_of(r, c)), states, HKD_F64);
    if (grows && !status) status = hkd_safetensors_read_part(st, classes, 0, (size_t)*have, labels, HKD_F64);
    hkd_safetensors_close(st);
    return status;
}

/* Trajectories have .. n - 1 of a shard, and the file with all of them; what is ready when the user stops is kept, and what
 * was ready at the last writing when the process is killed. */
static hkd_status fill_shard(const char *path, double *states, double *labels, int64_t have,
                             const hkd_path_teacher *teacher, const hkd_trajectory_request *r, int64_t first, int64_t n) {
    enum { AT_ONCE = 32 };
    hkd_status status = HKD_OK;
    const int64_t per = size_of(r, teacher->config);
    double saved = hkd_seconds();
    bool stop = false;
    while (have < n && !status && !stop) {
        uint64_t seeds[AT_ONCE];
        const int64_t count = n - have < AT_ONCE ? n - have : AT_ONCE;
        for (int64_t k = 0; k < count; k++) seeds[k] = r->first_seed + (uint64_t)(first + have + k);
        status = hkd_paths_compute(states + have * per, labels + have, teacher, seeds, count, r->steps);
        if (!status) have += count;
        if (!status && r->progress) r->progress(r->progress_self, first + have, r->count);
        stop = r->cancel && *r->cancel;
        if (!status && (have == n || stop || hkd_seconds() - saved >= r->every)) {
            status = save_shard(path, states, labels, teacher, r, have);
            saved = hkd_seconds();
        }
    }
    return status || !stop ? status : hkd_fail(HKD_RESOURCES, "interrupted; the first %lld trajectories are kept",
                                               (long long)(first + have));
}

static hkd_status make_shard(const char *path, const hkd_path_teacher *teacher, const hkd_trajectory_request *r, int64_t first,
                             int64_t n) {
    int64_t have = 0;
    double *states = malloc((size_t)(n * size_of(r, teacher->config)) * sizeof *states);
    double *labels = malloc((size_t)n * sizeof *labels);
    hkd_status status = states && labels ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for %lld trajectories",
                                                             (long long)n);
    if (!status && hkd_exists(path)) status = load_shard(states, labels, &have, path, teacher, r, n);
    if (!status) status = fill_shard(path, states, labels, have, teacher, r, first, n);
    free(states);
    free(labels);
    return status;
}

/* Is there room for the shards that are missing? Asked before hours are spent on them. */
static hkd_status check_room(const char *dir, const hkd_path_teacher *teacher, const hkd_trajectory_request *r) {
    const double one = (double)size_of(r, teacher->config) * (r->half ? 2 : 4);
    double needed = 0;
    for (int64_t first = 0; first < r->count; first += HKD_SHARD) {
        char *path = shard_path(dir, first / HKD_SHARD);
        if (!path) return hkd_fail(HKD_RESOURCES, "out of memory");
        if (!hkd_exists(path)) needed += one * (double)(r->count - first < HKD_SHARD ? r->count - first : HKD_SHARD);
        free(path);
    }
    const double room = (double)hkd_free_bytes(dir);
    return needed <= room ? HKD_OK
                          : hkd_fail(HKD_RESOURCES, "%s: the missing trajectories take %.1f MB, there is room for %.1f MB", dir,
                                     1e-6 * needed, 1e-6 * room);
}

hkd_status hkd_trajectories_make(const char *dir, const hkd_path_teacher *teacher, const hkd_trajectory_request *r) {
    hkd_status status = hkd_make_directory(dir);
    if (!status) status = check_room(dir, teacher, r);
    for (int64_t first = 0; first < r->count && !status; first += HKD_SHARD) {
        const int64_t n = r->count - first < HKD_SHARD ? r->count - first : HKD_SHARD;
        char *path = shard_path(dir, first / HKD_SHARD);
        if (!path) return hkd_fail(HKD_RESOURCES, "out of memory");
        status = make_shard(path, teacher, r, first, n);
        free(path);
    }
    return status;
}

/* ---- reading ---- */

typedef struct {
    hkd_safetensors *st;
    const hkd_safetensor *states, *labels;
} shard;

typedef struct {
    int64_t count, size;
    shard *shards;
    double *sigma;
} folder;

static hkd_status get(const hkd_trajectories *t, int64_t index, int state, double *x) {
    const folder *f = t->context;
    const shard *s = &f->shards[index / HKD_SHARD];
    const uint64_t first = (uint64_t)((index % HKD_SHARD * t->states + state) * f->size);
    return hkd_safetensors_read_part(s->st, s->states, first, (size_t)f->size, x, HKD_F64);
}

static hkd_status label_of(const hkd_trajectories *t, int64_t index, int *label) {
    const folder *f = t->context;
    const shard *s = &f->shards[index / HKD_SHARD];
    double value;
    const hkd_status status = hkd_safetensors_read_part(s->st, s->labels, (uint64_t)(index % HKD_SHARD), 1, &value, HKD_F64);
    if (status) return status;
    if (!(value >= -1 && value <= INT32_MAX))
        return hkd_fail(HKD_BAD_FILE, "%s: label %g of trajectory %lld, expected -1 or a class",
                        hkd_file_name(s->st->file), value,
                        (long long)index);
    *label = (int)value;
    return HKD_OK;
}

static hkd_status open_shard(hkd_trajectories *t, folder *f, const char *path) {
    shard *s = &f->shards[f->count++];
    hkd_status status = hkd_safetensors_open(&s->st, path);
    if (status) return status;
    const hkd_safetensor *sigma = hkd_safetensors_find(s->st, "sigma");
    s->states = hkd_safetensors_find(s->st, "states");
    s->labels = hkd_safetensors_find(s->st, "labels");
    if (!sigma || !s->states || !s->labels || sigma->rank != 1 || s->states->rank != 4 || s->labels->rank != 1 ||
        s->labels->dim[0] != s->states->dim[0] || sigma->dim[0] != s->states->dim[1] || s->states->dim[0] > HKD_SHARD)
        return hkd_fail(HKD_BAD_FILE, "%s: not a shard of trajectories: states [m, N+1, C, RR], sigma [N+1], labels [m] "
                                      "expected", path);
    const int64_t size = s->states->dim[2] * s->states->dim[3];
    if (f->count == 1) {
        t->states = (int)sigma->dim[0];
        f->size = size;
        f->sigma = malloc((size_t)sigma->dim[0] * sizeof *f->sigma + 1);
        status = f->sigma ? hkd_safetensors_read(s->st, sigma, f->sigma, HKD_F64) : hkd_fail(HKD_RESOURCES, "out of memory");
        t->sigma = f->sigma;
    } else if (sigma->dim[0] != t->states || size != f->size || t->count % HKD_SHARD) {
        status = hkd_fail(HKD_BAD_FILE, "%s: does not fit the shards before it", path);
    }
    t->count += s->states->dim[0];
    return status;
}

/* A run that was killed leaves "000003.safetensors.PID-0.tmp", whole or not: that is no shard. */
static bool is_shard(const char *name) {
    static const char end[] = ".safetensors";
    const size_t length = strlen(name);
    return length >= sizeof end && !strcmp(name + length - (sizeof end - 1), end);
}

hkd_status hkd_trajectories_open(hkd_trajectories *out, const char *dir) {
    char **names = NULL;
    size_t count = 0;
    *out = (hkd_trajectories){.get = get, .label = label_of};
    hkd_status status = hkd_list_directory(&names, &count, dir);
    if (status) return status;
    folder *f = calloc(1, sizeof *f);
    if (f) f->shards = calloc(count + 1, sizeof *f->shards);
    if (!f || !f->shards) {
        free(f);
        hkd_names_free(names, count);
        return hkd_fail(HKD_RESOURCES, "out of memory");
    }
    out->context = f;
    for (size_t i = 0; i < count && !status; i++) {
        char *path = is_shard(names[i]) ? hkd_path_join(dir, names[i]) : NULL;
        if (path) status = open_shard(out, f, path);
        free(path);
    }
    if (!status && !out->count) status = hkd_fail(HKD_BAD_FILE, "%s: holds no trajectories", dir);
    hkd_names_free(names, count);
    if (status) hkd_trajectories_close(out);
    return status;
}

void hkd_trajectories_close(hkd_trajectories *t) {
    folder *f = t->context;
    for (int64_t i = 0; f && i < f->count; i++) hkd_safetensors_close(f->shards[i].st);
    if (f) {
        free(f->shards);
        free(f->sigma);
    }
    free(f);
    *t = (hkd_trajectories){0};
}

int64_t hkd_trajectories_size(const hkd_trajectories *t) { return ((const folder *)t->context)->size; }
