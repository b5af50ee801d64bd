/* safetensors.h - named tensors in one file: 8 bytes header length (little-endian), a JSON header, the data.
 *
 * The reader gives the same verdicts as the official library, with three exceptions, all refused here: a key that occurs twice
 * (also after unescaping), a tensor in array form, and NUL in a name or metadata. So are numbers that no file of data has:
 * whole numbers beyond 2^63 - 1, and -0 in a field that is ignored. The writer's files equal those of Python's save_file.
 */
#ifndef HKD_SAFETENSORS_H
#define HKD_SAFETENSORS_H

#include "os.h"
#include "stored.h"

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    hkd_stored type;
    int rank;
    const int64_t *dim;
    uint64_t count;      /* elements */
    uint64_t begin, end; /* bytes, within the data */
} hkd_safetensor;

typedef struct {
    const char *key, *value;
} hkd_metadata;

typedef struct {
    hkd_file *file;
    size_t count;
    hkd_safetensor *tensor; /* in the order of the data */
    size_t metadata_count;
    hkd_metadata *metadata;
    uint64_t data_offset;   /* where the data begin in the file */
    void *owned[2];         /* what the strings and extents above live in */
} hkd_safetensors;

/* Reads and checks the header alone. */
hkd_status hkd_safetensors_open(hkd_safetensors **out, const char *path);
hkd_status hkd_safetensors_open_file(hkd_safetensors **out, hkd_file *file); /* takes over the file, also when it fails */
void hkd_safetensors_close(hkd_safetensors *st);                             /* NULL is fine */

const hkd_safetensor *hkd_safetensors_find(const hkd_safetensors *st, const char *name); /* NULL: none */
const char *hkd_safetensors_metadata(const hkd_safetensors *st, const char *key);        /* NULL: none */
/* The tensor's shape, if arrays of this project can have it (rank at most HKD_MAX_RANK). */
hkd_status hkd_safetensors_shape(hkd_shape *out, const hkd_safetensors *st, const hkd_safetensor *t);
/* All values, or `count` of them from `first` on, as float or double. */
hkd_status hkd_safetensors_read(const hkd_safetensors *st, const hkd_safetensor *t, void *to, hkd_dtype as);
hkd_status hkd_safetensors_read_part(const hkd_safetensors *st, const hkd_safetensor *t, uint64_t first, size_t count, void *to,
                                     hkd_dtype as);

/* All elements of a U64 or I64 tensor, exactly. */
hkd_status hkd_safetensors_read_u64(const hkd_safetensors *st, const hkd_safetensor *t, uint64_t *to);

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

/* A tensor to be written. Its values are `data`, or what `fetch` puts into a buffer when their turn comes: a model on a device
 * needs room for one tensor at a time. Or `bytes` are its elements as the file has them. */
typedef struct hkd_saved {
    const char *name;
    hkd_stored type;     /* in the file */
    hkd_shape shape;
    hkd_dtype as;        /* of the values in memory */
    const void *data;    /* NULL: fetch */
    const unsigned char *bytes;
    hkd_status (*fetch)(void *to, const struct hkd_saved *tensor);
    void *context;       /* for fetch */
} hkd_saved;

/* Sorted as Python does: larger types first, then by name. Metadata keep their order. Atomic. */
hkd_status hkd_safetensors_save(const char *path, const hkd_saved *tensor, size_t count, const hkd_metadata *metadata,
                                size_t metadata_count);

#endif
