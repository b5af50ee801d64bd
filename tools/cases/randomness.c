/* Cases of dropout and random_normal. */
#include "test_vector.h"

static const hkd_case dropout[] = {
    {"exact_half", HKD_EXACT, "Random", "p=0.5 seed_lo=7", "x 2x3x5x4 int:9"},
    {"exact_quarter", HKD_EXACT, "Random,Scale", "p=0.75 seed_lo=7 draw=1", "x 3x7 int:9"},
    {"exact_none", HKD_EXACT, "Identity", "p=0", "x 2x16x2x2 int:9"},
    {"exact_tail_33", HKD_EXACT, "Tail,Random", "p=0.5 seed_lo=4", "x 2x33 int:9"},
    {"random_small", HKD_RANDOM, "Random,Scale", "p=0.3 seed_lo=7", "x 2x3x5x7 normal"},
    {"random_seed_high", HKD_RANDOM, "Random", "p=0.13 seed_lo=4000000000 seed_hi=9 first_index=11 draw=2", "x 3x8x4x6 normal"},
    {"random_first_index", HKD_RANDOM, "Random", "p=0.4 first_index=4294967294", "x 4x5 normal"},
    {"random_draw", HKD_RANDOM, "Random", "p=0.4 draw=4294967295", "x 1x33 normal"},
    {"random_rare", HKD_RANDOM, "Random", "p=0.02 seed_lo=1", "x 1x2x17x17 normal"},
    {"random_tail_15", HKD_RANDOM, "Tail", "p=0.5 seed_lo=3", "x 5x15 normal"},
    {"random_channels_32", HKD_RANDOM, "Random,Scale", "p=0.3 seed_lo=8 draw=5", "x 2x32x2x6 normal"},
    {"random_channels_48", HKD_RANDOM, "Random,Tail", "p=0.6 seed_lo=9 first_index=3", "x 1x48x4x3 normal"},
    {"random_size_one", HKD_RANDOM, "SizeOne", "p=0.1 seed_lo=2", "x 1x1x1x1 normal"},
    {"random_empty", HKD_RANDOM, "Empty", "p=0.5", "x 0x3x2x2 normal"},
    {"half_small", HKD_RANDOM, "Half", "p=0.3 seed_lo=5", "x 3x33 normal"},
    {"hard_most", HKD_ADVERSARIAL, "Scale", "p=0.999 seed_lo=5", "x 9x33 normal"},
    {"hard_range", HKD_ADVERSARIAL, "Range", "p=0.25 seed_lo=5", "x 5x7 mix:60"},
    {"hard_infinite", HKD_ADVERSARIAL, "NonFinite", "p=0.5 seed_lo=5", "x 2x6 list:inf,-inf,1,2,nan,3"},
    {"hard_subnormal", HKD_ADVERSARIAL, "Subnormal", "p=0.3 seed_lo=5", "x 3x7 tiny | ^y normal"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_dropout = {"dropout", dropout};

static const hkd_case random_normal[] = {
    {"random_small", HKD_RANDOM, "Random", "seed_lo=7 purpose=4", "like 2x3x5x7 const:0"},
    {"random_one", HKD_RANDOM, "SizeOne", "seed_lo=1", "like 1x1 const:0"},
    {"random_two", HKD_RANDOM, "Random", "seed_lo=1", "like 1x2 const:0"},
    {"random_three", HKD_RANDOM, "Random,Tail", "seed_lo=1", "like 1x3 const:0"},
    {"random_five", HKD_RANDOM, "Random,Tail", "seed_lo=1", "like 2x5 const:0"},
    {"random_seed_high", HKD_RANDOM, "Random", "seed_hi=4294967295", "like 2x17 const:0"},
    {"random_seed_zero", HKD_RANDOM, "Random", "", "like 3x8 const:0"},
    {"random_first_index", HKD_RANDOM, "Random", "first_index=4294967295", "like 3x7 const:0"},
    {"random_draw", HKD_RANDOM, "Random", "draw=9 seed_lo=3", "like 2x3x3x3 const:0"},
    {"random_purpose", HKD_RANDOM, "Random", "purpose=2 seed_lo=3", "like 2x3x3x3 const:0"},
    {"random_layout", HKD_RANDOM, "ChannelOrder", "seed_lo=12", "like 1x15x3x5 const:0"},
    {"random_many", HKD_RANDOM, "Random", "seed_lo=99", "like 1x1024 const:0"},
    {"random_17", HKD_RANDOM, "Tail", "seed_lo=5", "like 1x2x17x17 const:0"},
    {"random_empty", HKD_RANDOM, "Empty", "seed_lo=5", "like 0x3x2x2 const:0"},
    {"hard_like_nan", HKD_ADVERSARIAL, "NonFinite", "seed_lo=5", "like 2x3 const:nan"},
    {"int_like", HKD_STRUCTURED, "Random", "seed_lo=21 draw=1", "like 2x3x3x5 int"},
    {"hard_like_infinite", HKD_ADVERSARIAL, "NonFinite", "seed_lo=6 draw=2", "like 2x5 list:inf,-inf,nan,1e38"},
    {"hard_last_words", HKD_ADVERSARIAL, "Random,Range",
     "seed_lo=4294967295 seed_hi=4294967295 first_index=4294967293 draw=4294967295",
     "like 3x9 const:0"},
    {"hard_like_subnormal", HKD_ADVERSARIAL, "Subnormal", "seed_lo=8", "like 3x5 tiny"},
    {NULL, HKD_EXACT, NULL, NULL, NULL},
};
const hkd_case_list hkd_cases_random_normal = {"random_normal", random_normal};
