/* trajectory_file.h - a teacher's trajectories on disk: a folder of shards, each a safetensors file with
 *   states [m, N + 1, C, R R]  (float16 or float32)  the sampler's state at each noise level, from pure noise to the picture
 *   sigma  [N + 1]  (float64)                        the levels, ending in 0
 *   labels [m]  (int64)                              -1 without classes
 * and metadata hkd.trajectories (what made them, as JSON text). Generation can be stopped and taken up again at any time, with
 * the same bytes at the end: the shard being filled is written when it is full, when `cancel` is set, and whenever `every`
 * seconds have passed; a process that is killed loses what it has computed since. A folder can be made to hold more later.
 */
#ifndef HKD_TRAJECTORY_FILE_H
#define HKD_TRAJECTORY_FILE_H

#include "paths.h"

#include <signal.h>

enum { HKD_SHARD = 256 }; /* trajectories in a full shard */

typedef struct {
    int64_t count;       /* trajectories in all */
    int64_t steps;       /* N of the Karras grid; Heun takes 2N - 1 evaluations */
    uint64_t first_seed; /* trajectory k starts from the noise of seed first_seed + k */
    bool half;           /* store float16 */
    double every;        /* seconds between writings of a shard that is not full; 0: after every 32 trajectories */
    const char *made_by; /* JSON text that fixes teacher and settings: shards made otherwise are refused */
    const volatile sig_atomic_t *cancel;                /* NULL, or nonzero to stop (HKD_RESOURCES) */
    void (*progress)(void *self, int64_t done, int64_t total);
    void *progress_self;
} hkd_trajectory_request;

/* Make what is missing of the folder. An existing shard must be of this request (made_by, sizes, type) and may hold more, or
 * less. */
hkd_status hkd_trajectories_make(const char *dir, const hkd_path_teacher *teacher, const hkd_trajectory_request *request);

/* Open a folder: every shard's header is checked, all must agree. */
hkd_status hkd_trajectories_open(hkd_trajectories *out, const char *dir);
void hkd_trajectories_close(hkd_trajectories *t);
/* The picture size that the states have: C * R * R. */
int64_t hkd_trajectories_size(const hkd_trajectories *t);

#endif
