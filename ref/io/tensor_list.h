/* tensor_list.h - named tensors from any kind of file, and their way into another kind.
 *
 *   read      .safetensors, .npy, .npz, state dicts of torch.save (.pth: zip or the older stream), pickled EDM networks;
 *             recognised by their content
 *   written   .safetensors, .npy (one tensor), .npz, .pth
 *
 * Nothing in a file is executed. Element types are kept; a tensor has at most HKD_MAX_RANK extents.
 */
#ifndef HKD_TENSOR_LIST_H
#define HKD_TENSOR_LIST_H

#include "config.h"
#include "safetensors.h"

typedef struct {
    char *name;
    hkd_stored type;
    hkd_shape shape;
    int64_t stride[HKD_MAX_RANK]; /* in elements */
    const unsigned char *from;    /* the first element */
    size_t room;                  /* bytes that may be read from there on */
} hkd_listed;

typedef struct {
    size_t count, room;
    hkd_listed *item;     /* in the order of the file */
    size_t owned_count;
    void **owned;         /* memory that items lie in */
    size_t skipped;       /* entries that are no tensors */
    bool is_edm;          /* a pickled EDM network, checked against the model that it describes */
    hkd_config config;    /* of that model */
} hkd_tensor_list;

hkd_status hkd_tensor_list_read(hkd_tensor_list *out, const char *path);
hkd_status hkd_tensor_list_read_memory(hkd_tensor_list *out, const char *name, const unsigned char *bytes, size_t count);
void hkd_tensor_list_free(hkd_tensor_list *list);
/* Append `more`, which is empty afterwards, also when this fails. HKD_USAGE when a name, or a whole network, occurs in both. */
hkd_status hkd_tensor_list_join(hkd_tensor_list *list, hkd_tensor_list *more, const char *file);

hkd_listed *hkd_tensor_list_find(const hkd_tensor_list *list, const char *name); /* NULL: none */
/* The tensor's elements in row-major order, as doubles or floats. */
hkd_status hkd_listed_values(void *to, hkd_dtype as, const hkd_listed *t);

/* The kind of file follows from the ending of `path`. `metadata` go into .safetensors only. */
hkd_status hkd_tensor_list_write(const hkd_tensor_list *list, const char *path, const hkd_metadata *metadata, size_t count);

/* ---- for the readers ---- */

/* Refused unless every element lies within item.room. The name is copied. */
hkd_status hkd_tensor_list_add(hkd_tensor_list *list, const char *file, const hkd_listed *item);
void hkd_listed_dense(hkd_listed *t); /* sets the strides of row-major order */
/* Hand over memory from malloc; freed at once when this fails. */
hkd_status hkd_tensor_list_own(hkd_tensor_list *list, void *memory);

hkd_status hkd_list_npy(hkd_tensor_list *out, const char *file, const char *name, const unsigned char *bytes, size_t count);
hkd_status hkd_list_zip(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count); /* .npz or .pth */
hkd_status hkd_list_pickle(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count);
hkd_status hkd_write_npz(const hkd_tensor_list *list, const char *path);
hkd_status hkd_write_pth(const hkd_tensor_list *list, const char *path);

#endif
