/* manifest.h - the list of all vectors: written by hkd record, read by hkd verify.
 *   manifest.json  for people and programs (manifest.schema.json says what it holds)
 *   index.tsv      the same without JSON: one line per tensor
 *   calls.tsv      the calls that composites consist of, likewise: one line per call
 *   notes.json     what each flag is about;  SHA256SUMS: hashes of these files, as of sha256sum */
#ifndef HKD_MANIFEST_H
#define HKD_MANIFEST_H

#include "recording.h"
#include "test_vector.h"

#include <jansson.h>

#define HKD_MANIFEST_VERSION 1

typedef struct {
    const char *id, *op, *file, *sha256; /* "conv2d/exact_3x3", "conv2d", "conv2d/exact_3x3.safetensors" */
} hkd_manifest_entry;

typedef struct {
    hkd_manifest_entry *entry;
    size_t count;
    json_t *json, *networks; /* networks: within json */
} hkd_manifest;

/* Read DIR/manifest.json and check DIR/SHA256SUMS. */
hkd_status hkd_manifest_load(hkd_manifest *out, const char *dir);
void hkd_manifest_free(hkd_manifest *m);
/* What every element of a tensor of a composite may be off, in units of 2^-24; false: it is not listed as a result. */
bool hkd_manifest_bound(double *out, const hkd_manifest *m, const char *network, const char *tensor);

/* A text that grows; NULL once memory was lacking. */
typedef struct {
    char *text;
    size_t length, room;
} hkd_lines;

/* Being written: add every vector after it was saved, then finish. */
typedef struct {
    const char *dir;
    json_t *cases, *networks;
    hkd_lines index, calls;
    int64_t bytes;
} hkd_manifest_writer;
hkd_status hkd_manifest_begin(hkd_manifest_writer *w, const char *dir);
hkd_status hkd_manifest_add(hkd_manifest_writer *w, const hkd_vector *v, const char *file);
hkd_status hkd_manifest_add_network(hkd_manifest_writer *w, const char *name, const hkd_recording *r, const char *file);
hkd_status hkd_manifest_finish(hkd_manifest_writer *w);
void hkd_manifest_writer_free(hkd_manifest_writer *w);

/* DIR/NAME; false when too long. */
bool hkd_join(char *out, size_t size, const char *dir, const char *name);

#endif
