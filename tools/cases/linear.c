/* Cases of linear. */
#include "test_vector.h"

static const hkd_case linear[] = {
    {"exact_identity", HKD_EXACT, "ChannelOrder", "", "x 3x3 int:9 | w 3x3 list:1,0,0,0,1,0,0,0,1"},
    {"exact_small", HKD_EXACT, "ChannelOrder,Bias", "", "x 2x3 int | w 5x3 int | b 5 int:9"},
    {"exact_no_bias", HKD_EXACT, "Bias", "", "x 3x5 int | w 7x5 int"},
    {"exact_tail_15", HKD_EXACT, "Tail", "", "x 15x15 int | w 15x15 int | b 15 int"},
    {"exact_tile_16", HKD_EXACT, "Tail", "", "x 16x16 int | w 16x16 int | b 16 int"},
    {"exact_tail_17", HKD_EXACT, "Tail", "", "x 17x17 int | w 17x17 int | b 17 int"},
    {"exact_tail_33", HKD_EXACT, "Tail", "", "x 5x33 int | w 33x33 int | b 33 int"},
    {"exact_long", HKD_EXACT, "Tail,Precision", "", "x 2x257 int | w 3x257 int | b 3 int"},
    {"exact_batch_9", HKD_EXACT, "BatchReduction", "", "x 9x4 int | w 3x4 int | b 3 int"},
    {"exact_pow2", HKD_EXACT, "Scale", "", "x 3x5 pow2 | w 4x5 pow2 | b 4 pow2 | ^y pow2"},
    {"exact_no_inputs", HKD_EXACT, "Empty,Bias", "", "x 2x0 int | w 3x0 int | b 3 int"},
    {"exact_no_outputs", HKD_EXACT, "Empty", "", "x 2x3 int | w 0x3 int | b 0 int"},
    {"exact_empty_batch", HKD_EXACT, "Empty", "", "x 0x5 int | w 4x5 int | b 4 int"},
    {"random_small", HKD_RANDOM, "Precision", "", "x 3x5 normal | w 7x5 normal:0.4 | b 7 normal"},
    {"random_long", HKD_RANDOM, "Precision", "", "x 2x515 normal | w 5x515 normal:0.05 | b 5 normal"},
    {"random_tail_17", HKD_RANDOM, "Tail,Precision", "", "x 17x17 normal | w 33x17 normal:0.2 | b 33 normal"},
    {"random_batch_33", HKD_RANDOM, "BatchReduction", "", "x 33x7 normal | w 5x7 normal | b 5 normal"},
    {"random_size_one", HKD_RANDOM, "SizeOne", "", "x 1x1 normal | w 1x1 normal | b 1 normal"},
    {"random_empty_batch", HKD_RANDOM, "Empty", "", "x 0x5 normal | w 4x5 normal | b 4 normal"},
    {"half_tail_33", HKD_RANDOM, "Half", "", "x 5x33 normal | w 17x33 normal:0.2 | b 17 normal"},
    {"half_long", HKD_RANDOM, "Half", "", "x 2x259 normal | w 3x259 normal:0.1 | b 3 normal"},
    {"hard_cancel", HKD_ADVERSARIAL, "Cancellation", "", "x 2x64 cancel:1000 | w 5x64 const:1 | b 5 normal:0.001"},
    {"hard_offset", HKD_ADVERSARIAL, "Offset", "", "x 3x17 normal:1:1000 | w 5x17 normal:0.2 | b 5 normal"},
    {"hard_range", HKD_ADVERSARIAL, "Range", "", "x 3x9 mix | w 5x9 mix:8 | b 5 mix"},
    {"hard_huge", HKD_ADVERSARIAL, "Range", "", "x 2x5 normal:1e36 | w 3x5 normal | b 3 normal:1e36 | ^y normal:0.1"},
    {"hard_subnormal", HKD_ADVERSARIAL, "Subnormal", "", "x 3x5 tiny | w 4x5 normal | b 4 tiny"},
    {"hard_infinite", HKD_ADVERSARIAL, "NonFinite", "", "x 3x2 list:1,2,inf,3,nan,4 | w 2x2 list:1,2,3,4 | b 2 int"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_linear = {"linear", linear};
