/* Cases of add, scale, add_channel and concat. */
#include "test_vector.h"

static const hkd_case add[] = {
    {"exact_small", HKD_EXACT, "ChannelOrder", "", "a 2x3x5x4 int:9 | b 2x3x5x4 int:9"},
    {"exact_vector", HKD_EXACT, "Tail", "", "a 7 int:9 | b 7 int:9"},
    {"exact_matrix", HKD_EXACT, "Tail", "", "a 3x17 int:9 | b 3x17 int:9"},
    {"exact_tail_15", HKD_EXACT, "Tail", "", "a 1x15x3x5 int:9 | b 1x15x3x5 int:9"},
    {"exact_tail_33", HKD_EXACT, "Tail", "", "a 1x33x1x3 int:9 | b 1x33x1x3 int:9"},
    {"exact_pow2", HKD_EXACT, "Precision", "", "a 5x9 pow2 | b 5x9 pow2"},
    {"exact_empty", HKD_EXACT, "Empty", "", "a 0x3 int | b 0x3 int"},
    {"random_small", HKD_RANDOM, "Precision", "", "a 2x3x5x7 normal | b 2x3x5x7 normal"},
    {"random_17", HKD_RANDOM, "Tail", "", "a 1x2x17x17 normal | b 1x2x17x17 normal"},
    {"random_vector", HKD_RANDOM, "Tail", "", "a 101 normal | b 101 normal"},
    {"random_size_one", HKD_RANDOM, "SizeOne", "", "a 1x1x1x1 normal | b 1x1x1x1 normal"},
    {"random_empty", HKD_RANDOM, "Empty", "", "a 0x4x2x2 normal | b 0x4x2x2 normal"},
    {"half_small", HKD_RANDOM, "Half", "", "a 3x33 normal | b 3x33 normal"},
    {"hard_cancel", HKD_ADVERSARIAL, "Cancellation", "", "a 2x3x2x2 normal:1:1000 | b 2x3x2x2 normal:1:-1000"},
    {"hard_range", HKD_ADVERSARIAL, "Range", "", "a 5x7 mix:60 | b 5x7 mix:60"},
    {"hard_subnormal", HKD_ADVERSARIAL, "Subnormal", "", "a 3x5 tiny | b 3x5 tiny"},
    {"hard_infinite", HKD_ADVERSARIAL, "NonFinite", "", "a 4 list:inf,-inf,1,nan | b 4 list:1,2,inf,3"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_add = {"add", add};

static const hkd_case scale[] = {
    {"exact_half", HKD_EXACT, "Scale", "s=-0.5", "x 2x3x5x4 int:9"},
    {"exact_double", HKD_EXACT, "Scale", "s=2", "x 7 int:9"},
    {"exact_zero", HKD_EXACT, "Scale", "s=0", "x 3x5 int:9"},
    {"exact_one", HKD_EXACT, "Identity", "s=1", "x 1x15x3x5 int:9"},
    {"exact_three", HKD_EXACT, "Scale", "s=3", "x 1x33x1x3 int:9"},
    {"exact_17", HKD_EXACT, "Tail", "s=-4", "x 17x17 int:9"},
    {"exact_empty", HKD_EXACT, "Empty", "s=3", "x 0x3 int"},
    {"random_root_half", HKD_RANDOM, "Precision", "s=0.70710678118654752", "x 2x3x5x7 normal"},
    {"random_third", HKD_RANDOM, "Precision", "s=0.33333333333333331", "x 101 normal"},
    {"random_17", HKD_RANDOM, "Tail", "s=-1.7", "x 1x2x17x17 normal"},
    {"random_size_one", HKD_RANDOM, "SizeOne", "s=1.1", "x 1x1x1x1 normal"},
    {"random_empty", HKD_RANDOM, "Empty", "s=1.1", "x 0x4x2x2 normal"},
    {"half_small", HKD_RANDOM, "Half", "s=0.70710678118654752", "x 3x33 normal"},
    {"hard_range", HKD_ADVERSARIAL, "Range", "s=0.1", "x 5x7 mix:60"},
    {"hard_subnormal", HKD_ADVERSARIAL, "Subnormal", "s=0.7", "x 3x5 tiny | ^y normal"},
    {"hard_to_subnormal", HKD_ADVERSARIAL, "Subnormal", "s=1e-30", "x 3x5 normal:1e-12"},
    {"hard_infinite", HKD_ADVERSARIAL, "NonFinite", "s=-2", "x 6 list:inf,-inf,1,nan,2,3"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_scale = {"scale", scale};

static const hkd_case add_channel[] = {
    {"exact_small", HKD_EXACT, "ChannelOrder,Bias", "", "x 2x3x5x4 int:9 | b 2x3 int:9"},
    {"exact_shared", HKD_EXACT, "Bias,BatchReduction", "", "x 5x3x2x4 int:9 | b 1x3 int:9"},
    {"exact_bias", HKD_EXACT, "Bias,BatchReduction", "", "x 3x7x3x5 int:9 | b 7 int:9"},
    {"exact_tail_15", HKD_EXACT, "Tail", "", "x 1x15x3x5 int:9 | b 1x15 int:9"},
    {"exact_tail_17", HKD_EXACT, "Tail", "", "x 2x17x1x17 int:9 | b 2x17 int:9"},
    {"exact_tail_33", HKD_EXACT, "Tail", "", "x 1x33x3x1 int:9 | b 33 int:9"},
    {"exact_batch_9", HKD_EXACT, "BatchReduction", "", "x 9x2x2x2 int:9 | b 1x2 int:9"},
    {"exact_empty", HKD_EXACT, "Empty", "", "x 0x3x2x2 int | b 0x3 int"},
    {"exact_empty_shared", HKD_EXACT, "Empty", "", "x 0x3x2x2 int | b 1x3 int"},
    {"random_small", HKD_RANDOM, "Precision", "", "x 2x3x5x7 normal | b 2x3 normal"},
    {"random_shared", HKD_RANDOM, "BatchReduction", "", "x 9x3x5x3 normal | b 1x3 normal"},
    {"random_17", HKD_RANDOM, "Tail", "", "x 1x2x17x17 normal | b 2 normal"},
    {"random_size_one", HKD_RANDOM, "SizeOne", "", "x 1x1x1x1 normal | b 1x1 normal"},
    {"random_empty", HKD_RANDOM, "Empty", "", "x 0x4x2x2 normal | b 0x4 normal"},
    {"half_small", HKD_RANDOM, "Half", "", "x 3x5x3x3 normal | b 3x5 normal"},
    {"hard_cancel", HKD_ADVERSARIAL, "Cancellation", "", "x 2x3x2x2 normal:1:1000 | b 2x3 normal:1:-1000 | ^y cancel:1000"},
    {"hard_range", HKD_ADVERSARIAL, "Range", "", "x 2x3x3x3 mix:40 | b 2x3 mix:40 | ^y mix"},
    {"hard_infinite", HKD_ADVERSARIAL, "NonFinite", "", "x 1x2x1x2 list:inf,1,2,3 | b 1x2 list:1,nan"},
    {"hard_subnormal", HKD_ADVERSARIAL, "Subnormal", "", "x 2x3x2x2 tiny | b 2x3 tiny | ^y tiny"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_add_channel = {"add_channel", add_channel};

static const hkd_case concat[] = {
    {"exact_small", HKD_EXACT, "ChannelOrder", "", "a 2x3x5x4 int:9 | b 2x4x5x4 int:9"},
    {"exact_order", HKD_EXACT, "ChannelOrder", "", "a 2x2x3x2 ramp | b 2x1x3x2 ramp:1:100 | ^y ramp"},
    {"exact_one_channel", HKD_EXACT, "Tail", "", "a 1x1x3x3 int:9 | b 1x33x3x3 int:9"},
    {"exact_matrix", HKD_EXACT, "Tail", "", "a 5x3 int:9 | b 5x17 int:9"},
    {"exact_tail_15", HKD_EXACT, "Tail", "", "a 1x15x3x5 int:9 | b 1x17x3x5 int:9"},
    {"exact_no_first", HKD_EXACT, "Empty", "", "a 2x0x3x3 int | b 2x2x3x3 int"},
    {"exact_no_second", HKD_EXACT, "Empty", "", "a 2x2x3x3 int | b 2x0x3x3 int"},
    {"exact_empty_batch", HKD_EXACT, "Empty", "", "a 0x3x2x2 int | b 0x3x2x2 int"},
    {"random_small", HKD_RANDOM, "Precision", "", "a 2x3x5x7 normal | b 2x5x5x7 normal"},
    {"random_17", HKD_RANDOM, "Tail", "", "a 1x2x17x17 normal | b 1x1x17x17 normal"},
    {"random_size_one", HKD_RANDOM, "SizeOne", "", "a 1x1x1x1 normal | b 1x1x1x1 normal"},
    {"random_empty", HKD_RANDOM, "Empty", "", "a 0x4x2x2 normal | b 0x4x2x2 normal"},
    {"half_small", HKD_RANDOM, "Half", "", "a 3x33 normal | b 3x5 normal"},
    {"hard_range", HKD_ADVERSARIAL, "Range", "", "a 2x3x3x3 mix:60 | b 2x2x3x3 mix:60"},
    {"hard_subnormal", HKD_ADVERSARIAL, "Subnormal", "", "a 3x5 tiny | b 3x2 tiny"},
    {"hard_infinite", HKD_ADVERSARIAL, "NonFinite", "", "a 1x2x1x2 list:inf,1,nan,3 | b 1x1x1x2 list:-inf,2"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_concat = {"concat", concat};
