/* model_file.h - models in safetensors files: EDM's names, operators koopman.*, and the whole configuration as metadata
 * (hkd.format = "1", hkd.kind = "denoiser" | "hkd", hkd.config = JSON). A model file needs no side file. */
#ifndef HKD_MODEL_FILE_H
#define HKD_MODEL_FILE_H

#include "model.h"
#include "safetensors.h"

/* Write the weights, or `values` in their place (one tensor per weight, e.g. an average; buffers NULL = the weight itself),
 * with further metadata. Atomic. */
hkd_status hkd_model_save(const hkd_model *m, const hkd_tensor *values, const char *path, const hkd_metadata *more,
                          size_t more_count);

/* hkd_model_load for who only samples: every weight goes from the file straight into the form that forward passes read. */
hkd_status hkd_model_load_prepared(hkd_model **out, const char *path, hkd_device *dev);

/* The pieces, for files that hold a model among other things. */
hkd_status hkd_model_file_config(hkd_config *out, const hkd_safetensors *st);
/* Read every weight from the tensor PREFIX + name. Operators that the file lacks become 0 when `start_operators` is set: a
 * denoiser becomes the start of an HKD model. Anything else missing, or of another shape, is an error. */
hkd_status hkd_model_file_weights(hkd_model *m, const hkd_safetensors *st, const char *prefix, bool start_operators);

/* The configuration as JSON text and back; fields left out have their defaults. *text is freed by the caller. */
hkd_status hkd_config_to_json(char **text, const hkd_config *c);
hkd_status hkd_config_from_json(hkd_config *out, const char *text, bool is_hkd, const char *where);
/* Choose fields by name, "time=sigma,decoder_sigma=1": precond, sigma_data, channel_mult_emb, and for HKD models time,
 * decoder_sigma, sigma_min, sigma_max, rho. HKD_USAGE in `what` when a name or value is none. */
hkd_status hkd_config_set(hkd_config *c, const char *fields, const char *what);

#endif
