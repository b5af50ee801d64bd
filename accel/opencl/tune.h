/* tune.h - which way a contraction is computed on this device, and how the best one is found and remembered.
 *
 * A way is a tile of our own kernel, or CLBlast. Without a stored choice it is the profile's tile. `hkd tune` tries all ways
 * on the shapes of a network: each must first agree with a sum in double, then it is timed; a choice is stored only when it
 * is faster by a twentieth. Nothing is measured while a network runs, so two runs give the same bits.
 */
#ifndef HKD_TUNE_H
#define HKD_TUNE_H

#include "opencl.h"

typedef struct hkd_cl_way {
    const char *name; /* in the stored file; of our own: the kernel's */
    hkd_status (*run)(hkd_cl *cl, const struct hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                      const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *shape);
    int m, v;         /* tile of our own: rows, vectors */
    bool (*fits)(const hkd_cl *cl, const hkd_contract *shape); /* NULL: always */
} hkd_cl_way;
extern const hkd_cl_way hkd_cl_ways[HKD_CL_WAYS + 1]; /* ends with name NULL */

/* The profile's tile, which is part of the main program. */
bool hkd_cl_is_standard(const hkd_cl *cl, const hkd_cl_way *way);
/* contract.c and blas.c */
hkd_status hkd_cl_tiles(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                        const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *shape);
hkd_status hkd_cl_blas(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                       const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *shape);
/* Is it a plain matrix product, or a regular batch of them, that CLBlast takes as it lies? False when built without it. */
bool hkd_cl_blas_fits(const hkd_cl *cl, const hkd_contract *shape);
const char *hkd_cl_blas_name(void); /* "CLBlast 1.5.3", or "no CLBlast" */
void hkd_cl_blas_close(void);       /* before the context goes */

/* What contractions must have in common to be computed alike: m, n, z, r0, r1, r2, group, how A and C lie. */
enum { HKD_CL_KEY = 8 };
typedef struct hkd_cl_choice {
    int key[HKD_CL_KEY];
    const hkd_cl_way *way;
    double seconds, standard; /* of this way and of the profile's tile */
} hkd_cl_choice;

/* Contractions of different keys. While cl->seen is set, the device launches nothing and notes them down. */
typedef struct hkd_cl_shapes {
    hkd_contract *item;
    int count;
} hkd_cl_shapes;

/* How one way did. */
typedef struct {
    const hkd_cl_way *way;
    char wrong[200];  /* "" : right; else why it is discarded */
    double seconds;
} hkd_cl_trial;

/* Try `ways` (ended by name NULL) on one shape. The profile's tile is tried first, and must be right. CLBlast is left out on a
 * CPU, unless the device was opened with it. */
hkd_status hkd_cl_try(hkd_cl_choice *best, hkd_cl_trial trials[HKD_CL_WAYS + 1], int *count, hkd_cl *cl,
                      const hkd_contract *shape, const hkd_cl_way *ways);
/* Add a choice, in place of one for the same key. */
hkd_status hkd_cl_choose(hkd_cl *cl, const hkd_cl_choice *choice);
/* All choices to and from the cache, per device, driver, program and version of CLBlast. A file that is damaged or another's
 * counts as none. */
void hkd_cl_store_choices(const hkd_cl *cl);
void hkd_cl_load_choices(hkd_cl *cl);

#endif
