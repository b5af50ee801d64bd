#include "fuzz.h"
#include "join.h"

/* The halves of the input as the parts of a run, and the whole as its only part. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const size_t half = count / 2;
    const char *parts[2] = {fuzz_file("0.safetensors", bytes, half), fuzz_file("1.safetensors", bytes + half, count - half)};
    const char *whole = fuzz_file("whole.safetensors", bytes, count), *to = fuzz_file("joined.safetensors", bytes, 0);
    if (hkd_is_shard(parts[0])) hkd_join_shards(parts, 2, to);
    if (hkd_is_shard(whole)) hkd_join_shards(&whole, 1, to);
    return 0;
}
