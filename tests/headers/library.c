/* A program of someone who installed the library: one image from each model named on the command line. */
#include <hkd.h>
#include <stdio.h>
#include <stdlib.h>

static int sample(const char *path, hkd_device *dev) {
    const uint64_t seed = 1;
    hkd_model *m;
    hkd_model_info info;
    if (hkd_model_load(&m, path, dev)) return 1;
    hkd_model_describe(&info, m);
    const size_t size = (size_t)info.channels * (size_t)info.resolution * (size_t)info.resolution;
    double *x = malloc(size * sizeof *x), sum = 0;
    const int bad = !x || hkd_sample(m, x, &seed, 1, 2);
    for (size_t i = 0; !bad && i < size; i++) sum += x[i];
    printf("%s: %d x %d x %d, mean %g\n", path, info.channels, info.resolution, info.resolution, sum / (double)size);
    free(x);
    hkd_model_free(m);
    return bad || !(sum == sum);
}

int main(int argc, char **argv) {
    hkd_device *dev;
    int bad = hkd_abi_version() != HKD_ABI || hkd_device_open(&dev, "cpu", NULL);
    for (int i = 1; i < argc && !bad; i++) bad = sample(argv[i], dev);
    if (bad) fprintf(stderr, "%s\n", hkd_last_error());
    else hkd_device_close(dev);
    return bad;
}
