/* torch_pickle.h - tensors in the pickles that PyTorch writes: state dicts, modules, and storages inside or beside them.
 *
 *   tensor    torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...), maybe inside _rebuild_parameter
 *   storage   a persistent identifier ('storage', torch.FloatStorage, key, device, elements), or
 *             torch.storage._load_from_bytes(bytes), where the bytes are a stream:
 *   stream    pickles of the magic number, 1001, {little_endian: True, ...}, the object, the list of keys; then for each key
 *             an int64 count and the raw elements
 *   module    state with the dictionaries _parameters, _buffers and _modules; paths joined with '.' are its state dict's keys
 * Source: torch/serialization.py, torch/_utils.py (formats only).
 */
#ifndef HKD_TORCH_PICKLE_H
#define HKD_TORCH_PICKLE_H

#include "pickle.h"
#include "tensor_list.h"

typedef struct {
    const hkd_py *key;
    hkd_stored type;
    const unsigned char *bytes; /* NULL until found */
    size_t elements;
} hkd_torch_storage;

typedef struct {
    hkd_torch_storage *item; /* sorted by key, each once */
    size_t count;
} hkd_torch_storages;

/* What the pickle's persistent identifiers name, still without bytes. Free item. */
hkd_status hkd_torch_storages_of(hkd_torch_storages *out, const char *file, const hkd_pickle *p);

/* Every tensor in a tensor, module or dictionary, under its path after `prefix`; anything else is counted as skipped. */
hkd_status hkd_torch_collect(hkd_tensor_list *out, const char *file, const hkd_py *v, const char *prefix,
                             const hkd_torch_storages *storages);

/* Does a pickled stream begin with PyTorch's magic number? */
bool hkd_torch_is_magic(const hkd_py *v);
/* All tensors of a stream. */
hkd_status hkd_torch_read_stream(hkd_tensor_list *out, const char *file, const unsigned char *bytes, size_t count);

/* The state of a module or of another object that was pickled with one, EDM's persistent classes included; NULL: none.
 * *class_name: of a persistent class, else NULL. */
const hkd_py *hkd_torch_state(const hkd_py **class_name, const hkd_py *v);

/* Refuses a pickle with a name that PyTorch's and EDM's files do not have: it would be called by readers that trust it. */
hkd_status hkd_torch_check_names(const char *file, const hkd_pickle *p);

#endif
