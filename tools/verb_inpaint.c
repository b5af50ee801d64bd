/* hkd inpaint - fill a hole in a picture, or the detail between the pixels of a small one. */
#include "restoration.h"
#include "status.h"

static hkd_status run(const hkd_args *a) {
    if (hkd_given(a, "superres") && hkd_given(a, "mask")) return hkd_fail(HKD_USAGE, "--mask or --superres, not both");
    return hkd_run_restoration(a, hkd_given(a, "superres") ? HKD_KEEP_MEANS : HKD_KEEP_PIXELS);
}

const hkd_verb hkd_verb_inpaint = {
    .name = "inpaint",
    .operands = "A.png",
    .summary = "fill a hole in a picture, or with --superres the detail of a small one",
    .least = 1,
    .most = 1,
    .option = {{"model", "M", NULL, "an HKD model"},
               {"mask", "MASK", "center", "what is to be filled: white in a picture, or center (the middle half); the rest "
                                          "comes back "
                                          "unchanged"},
               {"superres", "P", NULL, "instead: keep the mean of each P x P patch of A.png, which may be P times smaller"},
               {"seeds", "LIST", "0-3", "one result for each"},
               {"class", "K", NULL, "class of all images; not given: drawn from the seed"},
               {"steps", "N", "18", "noise levels, from the largest to the smallest (Algorithm 4 of the consistency models)"},
               {"out", "F", NULL, "one seed: the picture; several: a sheet; or DIR/, F.safetensors"}},
    .example = {"inpaint --model M.safetensors photo.png --mask hole.png --out filled.png",
                "inpaint --model M.safetensors small.png --superres 4 --seeds 0 --out large.png"},
    .run = run,
};
