#include "teacher.h"

#include "exact.h"

#include <math.h>

/* u . (x - mean) */
static double dot_from(const double *x, const double *mean, const double *u, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (x[i] - mean[i]) * u[i];
    return sum;
}

/* ---- one Gaussian ----
 * Along a direction of variance v the posterior mean shrinks by v / (v + sigma^2), and the flow scales by
 * sqrt((v + sigma_to^2) / (v + sigma_from^2)), because d/dsigma ln sqrt(v + sigma^2) = sigma / (v + sigma^2). */

/* out += share (mean + outside (x - mean) + sum over k of (along(k) - outside) c_k u_k),  c_k = u_k . (x - mean) */
typedef double gain(double variance, const double *level);

static void add_scaled(double *out, double share, const double *x, const hkd_gaussian *g, gain *f, const double *level,
                       int64_t size) {
    const double outside = f(g->rest, level);
    for (int64_t i = 0; i < size; i++) out[i] += share * (g->mean[i] + outside * (x[i] - g->mean[i]));
    for (int64_t k = 0; k < g->rank; k++) {
        const double *u = g->basis + k * size;
        const double along = share * (f(g->variance[k], level) - outside) * dot_from(x, g->mean, u, size);
        for (int64_t i = 0; i < size; i++) out[i] += along * u[i];
    }
}

static double shrink(double variance, const double *sigma) {
    return variance > 0 ? variance / (variance + sigma[0] * sigma[0]) : 0;
}

static double flow(double variance, const double *sigma) {
    return sqrt((variance + sigma[0] * sigma[0]) / (variance + sigma[1] * sigma[1]));
}

hkd_status hkd_denoise_gaussian(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    for (int64_t i = 0; i < n * size; i++) d[i] = 0;
    for (int64_t k = 0; k < n; k++) add_scaled(d + k * size, 1, x + k * size, self, shrink, &sigma, size);
    return HKD_OK;
}

void hkd_gaussian_flow(double *to, const double *x, double sigma_to, double sigma_from, const hkd_gaussian *g, int64_t n,
                       int64_t size) {
    const double sigma[2] = {sigma_to, sigma_from};
    for (int64_t i = 0; i < n * size; i++) to[i] = 0;
    for (int64_t k = 0; k < n; k++) add_scaled(to + k * size, 1, x + k * size, g, flow, sigma, size);
}

/* ---- weighted averages ----
 * d = sum of exp(l_k) y_k / sum of exp(l_k) in one pass over k: `most` is the largest l so far, and what was summed is scaled
 * down when a larger one comes. */
typedef struct {
    double most, total;
} average;

/* Makes room for a term with logarithm l in a sum over d; returns its weight relative to `most`. */
static double enter(average *a, double l, double *d, int64_t size) {
    if (l > a->most) {
        const double scale = hkd_exp(a->most - l);
        for (int64_t i = 0; i < size; i++) d[i] *= scale;
        a->total *= scale;
        a->most = l;
    }
    const double weight = hkd_exp(l - a->most);
    a->total += weight;
    return weight;
}

static void finish(const average *a, double *d, int64_t size) {
    for (int64_t i = 0; i < size; i++) d[i] /= a->total;
}

/* ---- a mixture of Gaussians ---- */

/* ln(weight N(x; mean, covariance + sigma^2)) up to a constant common to all components. */
static double log_share(const double *x, const hkd_gaussian *g, double weight, double sigma, int64_t size) {
    const double s2 = sigma * sigma;
    double inside = 0, l = hkd_log(weight), outside = 0;
    for (int64_t i = 0; i < size; i++) outside += (x[i] - g->mean[i]) * (x[i] - g->mean[i]);
    for (int64_t k = 0; k < g->rank; k++) {
        const double c = dot_from(x, g->mean, g->basis + k * size, size), v = g->variance[k] + s2;
        inside += c * c;
        l -= (hkd_log(v) + c * c / v) / 2;
    }
    const double rest = g->rest + s2;
    return l - ((double)(size - g->rank) * hkd_log(rest) + fmax(outside - inside, 0) / rest) / 2;
}

hkd_status hkd_denoise_mixture(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    const hkd_mixture *m = self;
    for (int64_t i = 0; i < n * size; i++) d[i] = 0;
    for (int64_t j = 0; j < n; j++) {
        average a = {-HUGE_VAL, 0};
        for (int64_t k = 0; k < m->count; k++) {
            const hkd_gaussian *g = &m->component[k];
            const double l = log_share(x + j * size, g, m->weight[k], sigma, size);
            add_scaled(d + j * size, enter(&a, l, d + j * size, size), x + j * size, g, shrink, &sigma, size);
        }
        finish(&a, d + j * size, size);
    }
    return HKD_OK;
}

/* ---- a cloud of points ---- */

hkd_status hkd_denoise_points(void *self, double *d, const double *x, double sigma, int64_t n, int64_t size) {
    const hkd_point_cloud *cloud = self;
    for (int64_t i = 0; i < n * size; i++) d[i] = 0;
    for (int64_t j = 0; j < n; j++) {
        average a = {-HUGE_VAL, 0};
        double *mean = d + j * size;
        for (int64_t k = 0; k < cloud->count; k++) {
            const float *point = cloud->points + k * size;
            double distance = 0; /* squared */
            for (int64_t i = 0; i < size; i++) {
                const double difference = x[j * size + i] - (double)point[i];
                distance += difference * difference;
            }
            const double weight = enter(&a, -distance / (2 * sigma * sigma), mean, size);
            for (int64_t i = 0; i < size && weight > 0; i++) mean[i] += weight * (double)point[i];
        }
        finish(&a, mean, size);
    }
    return HKD_OK;
}
