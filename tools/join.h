/* join.h - the parts that `hkd sample --shard` wrote become the file of one run, byte for byte. */
#ifndef HKD_JOIN_H
#define HKD_JOIN_H

#include "hkd.h"

#include <stdbool.h>

/* Was this file written with --shard? */
bool hkd_is_shard(const char *path);
/* All parts of one run, in any order. What is missing, there twice or of another run is HKD_USAGE. */
hkd_status hkd_join_shards(const char *const *from, int count, const char *to);

#endif
