/* hkd colorize - colours for a gray picture; its luma stays. */
#include "restoration.h"

static hkd_status run(const hkd_args *a) { return hkd_run_restoration(a, HKD_KEEP_GRAY); }

const hkd_verb hkd_verb_colorize = {
    .name = "colorize",
    .operands = "A.png",
    .summary = "colours for a gray picture (of a coloured one only the luma is used)",
    .least = 1,
    .most = 1,
    .option = {{"model", "M", NULL, "an HKD model"},
               {"seeds", "LIST", "0-3", "one result for each"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"steps", "N", "18", "noise levels, from the largest to the smallest (Algorithm 4 of the consistency models)"},
               {"out", "F", NULL, "one seed: the picture; several: a sheet; or DIR/, F.safetensors"}},
    .example = {"colorize --model M.safetensors gray.png --seeds 0-7 --out colours.png"},
    .run = run,
};
