#include "image_spectrum.h"

#include "exact.h"
#include "status.h"

#include <math.h>
#include <stdlib.h>

static int64_t top_shell(int64_t h, int64_t w) { return (h < w ? h : w) / 2; }

int64_t hkd_spectrum_shells(int64_t h, int64_t w) { return top_shell(h, w) + 2; }

/* cosines [n], sines [n] of 2 pi k / n */
static void circle(double *cosines, double *sines, int64_t n) {
    const double pi = 3.141592653589793;
    for (int64_t k = 0; k < n; k++) {
        cosines[k] = hkd_cos(2 * pi * (double)k / (double)n);
        sines[k] = hkd_sin(2 * pi * (double)k / (double)n);
    }
}

/* Transform a line of n values (re, im; stride apart) in place; line [2 n] is scratch. A plain sum: n is an image's side. */
static void transform(double *re, double *im, int64_t n, int64_t stride, const double *circle_n, double *line) {
    const double *cosines = circle_n, *sines = circle_n + n;
    for (int64_t k = 0; k < n; k++) {
        double a = 0, b = 0;
        for (int64_t i = 0; i < n; i++) {
            const double c = cosines[i * k % n], s = sines[i * k % n], x = re[i * stride], y = im[i * stride];
            a += c * x + s * y;
            b += c * y - s * x;
        }
        line[k] = a;
        line[n + k] = b;
    }
    for (int64_t k = 0; k < n; k++) {
        re[k * stride] = line[k];
        im[k * stride] = line[n + k];
    }
}

static int64_t shell_of(int64_t u, int64_t v, int64_t h, int64_t w) {
    const double fu = (double)(2 * u > h ? u - h : u), fv = (double)(2 * v > w ? v - w : v);
    const double k = floor(sqrt(fu * fu + fv * fv) + 0.5), beyond = (double)(top_shell(h, w) + 1);
    return (int64_t)(k < beyond ? k : beyond);
}

hkd_status hkd_image_spectrum(double *energy, int64_t *size, const double *x, int64_t planes, int64_t h, int64_t w) {
    if (planes < 1 || h < 1 || w < 1 || h > 4096 || w > 4096)
        return hkd_fail(HKD_USAGE, "spectrum of %lld images of %lldx%lld: expected 1 to 4096 pixels a side", (long long)planes,
                        (long long)h, (long long)w);
    const int64_t area = h * w, longer = h > w ? h : w, shells = hkd_spectrum_shells(h, w);
    double *re = malloc((size_t)(2 * area + 2 * h + 2 * w + 2 * longer) * sizeof *re);
    if (!re) return hkd_fail(HKD_RESOURCES, "spectrum of images of %lldx%lld: out of memory", (long long)h, (long long)w);
    double *im = re + area, *circle_h = im + area, *circle_w = circle_h + 2 * h, *line = circle_w + 2 * w;
    circle(circle_h, circle_h + h, h);
    circle(circle_w, circle_w + w, w);
    for (int64_t k = 0; k < shells; k++) energy[k] = 0, size[k] = 0;
    for (int64_t i = 0; i < area; i++) size[shell_of(i / w, i % w, h, w)]++;
    for (int64_t p = 0; p < planes; p++) {
        for (int64_t i = 0; i < area; i++) re[i] = x[p * area + i], im[i] = 0;
        for (int64_t i = 0; i < h; i++) transform(re + i * w, im + i * w, w, 1, circle_w, line);
        for (int64_t j = 0; j < w; j++) transform(re + j, im + j, h, w, circle_h, line);
        for (int64_t i = 0; i < area; i++)
            energy[shell_of(i / w, i % w, h, w)] += (re[i] * re[i] + im[i] * im[i]) / (double)area / (double)planes;
    }
    free(re);
    return HKD_OK;
}

void hkd_spectrum_bands(double share[3], const double *energy, int64_t shells) {
    double total = 0;
    share[0] = share[1] = share[2] = 0;
    for (int64_t k = 1; k < shells; k++) {
        const int64_t top = shells - 2;
        share[3 * k <= top ? 0 : 3 * k <= 2 * top ? 1 : 2] += energy[k];
        total += energy[k];
    }
    for (int b = 0; b < 3; b++) share[b] = total > 1e-20 * energy[0] ? share[b] / total : 0;
}

double hkd_spectrum_centroid(const double *energy, int64_t shells) {
    double total = 0, moment = 0;
    for (int64_t k = 1; k < shells; k++) {
        total += energy[k];
        moment += (double)k * energy[k];
    }
    return total > 1e-20 * energy[0] ? moment / total : 0;
}
