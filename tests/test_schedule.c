#include "schedule.h"
#include "test.h"

#include "hkd_ref.h"

#include <math.h>

static bool near(double a, double b, double relative) { return fabs(a - b) <= relative * fabs(b); }

/* Values of EDM's own sampler, nine digits: a swapped end, a wrong exponent or a grid of N - 1 levels fails. */
static void karras(void) {
    static const double known[] = {80,         57.5859847,  40.7855738,  28.3745846,  19.352453,    12.9100824,
                                   8.40093531, 5.31519452,  3.25682152,  1.92333984,  1.08817064,   0.585348123,
                                   0.296442284, 0.139516469, 0.0599473112, 0.0229345184, 0.00752801996, 0.002};
    const hkd_schedule s = hkd_schedule_default(HKD_SCHEDULE_EDM);
    double sigma[19], tail[12];
    CHECK(hkd_schedule_grid(sigma, 18, &s) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < 18; i++) CHECK(near(sigma[i], known[i], 5e-9), "sigma[%d] = %.10g, not %.10g", i, sigma[i], known[i]);
    CHECK(sigma[0] == 80 && sigma[17] == 0.002 && sigma[18] == 0, "the ends of the grid are not exact");
    CHECK(near(hkd_karras_sigma(0.25, 0.002, 80, 7), 17.5278320, 5e-9), "sigma(1/4)");
    CHECK(near(hkd_karras_sigma(0.5, 0.002, 80, 7), 2.5152190, 5e-8), "sigma(1/2)");
    CHECK(near(hkd_karras_sigma(0.75, 0.002, 80, 7), 0.1697528, 5e-7), "sigma(3/4)");
    const hkd_schedule later = {HKD_SCHEDULE_EDM, 0.002, sigma[7], 7}; /* restarting at a level walks the same levels */
    CHECK(hkd_schedule_grid(tail, 11, &later) == HKD_OK, "%s", hkd_last_error());
    for (int i = 0; i < 12; i++) CHECK(fabs(tail[i] - sigma[7 + i]) <= 1e-13 * sigma[7 + i], "tail level %d", i);
}

/* VP and VE: their ranges and midpoints in closed form; VP's betas come back from its range. */
static void vp_ve(void) {
    const hkd_schedule vp = hkd_schedule_default(HKD_SCHEDULE_VP), ve = hkd_schedule_default(HKD_SCHEDULE_VE);
    double sigma[6];
    CHECK(near(vp.sigma_min, 0.010486, 5e-5), "VP sigma_min %g", vp.sigma_min);
    CHECK(near(vp.sigma_max, 152.167, 5e-6), "VP sigma_max %g", vp.sigma_max);
    CHECK(near(hkd_vp_sigma(1e-5, &hkd_vp_default), 0.0010005, 5e-5), "sigma_VP(1e-5)");
    for (double t = 1e-5; t <= 1; t *= 3)
        CHECK(near(hkd_vp_time(hkd_vp_sigma(t, &hkd_vp_default), &hkd_vp_default), t, 1e-13), "VP time %g", t);
    const hkd_vp again = hkd_vp_of_range(vp.sigma_min, vp.sigma_max, 1e-3);
    CHECK(near(again.beta_d, 19.9, 1e-12) && near(again.beta_min, 0.1, 1e-11), "VP betas %g, %g", again.beta_d, again.beta_min);
    CHECK(hkd_schedule_grid(sigma, 5, &vp) == HKD_OK, "%s", hkd_last_error());
    const double middle = (1 + 1e-3) / 2; /* of t, not of sigma */
    CHECK(near(sigma[2], sqrt(exp(19.9 / 2 * middle * middle + 0.1 * middle) - 1), 1e-12), "VP middle level %g", sigma[2]);
    CHECK(near(sigma[0], vp.sigma_max, 1e-12) && near(sigma[4], vp.sigma_min, 1e-11) && sigma[5] == 0, "VP ends");
    CHECK(hkd_schedule_grid(sigma, 5, &ve) == HKD_OK, "%s", hkd_last_error());
    CHECK(near(sigma[2], sqrt(0.02 * 100), 1e-14), "VE middle level %g is no geometric mean", sigma[2]);
    CHECK(near(sigma[0], 100, 1e-15) && near(sigma[4], 0.02, 1e-13) && sigma[5] == 0, "VE ends");
}

/* iDDPM: published ends; levels obey the recursion in the other direction, and a grid takes them from the table. */
static void iddpm(void) {
    double u[HKD_IDDPM_STEPS + 1], sigma[1001];
    hkd_ref_iddpm_levels(u);
    CHECK(near(u[0], 20291.17, 5e-6) && near(u[999], 0.0064254, 5e-5) && u[1000] == 0, "ends %g, %g", u[0], u[999]);
    for (int j = 1; j <= HKD_IDDPM_STEPS; j += 37) {
        const double quarter = acos(0), a = sin(quarter * (j - 1) / 1008), b = sin(quarter * j / 1008);
        const double ratio = fmax(a * a / (b * b), 0.001);
        const double above = (u[j - 1] * u[j - 1] + 1) * ratio, below = u[j] * u[j] + 1;
        CHECK(fabs(above - below) < 1e-9 * below, "level %d", j);
    }
    const hkd_schedule s = hkd_schedule_default(HKD_SCHEDULE_IDDPM);
    CHECK(hkd_schedule_grid(sigma, 20, &s) == HKD_OK, "%s", hkd_last_error());
    int found = 0;
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < HKD_IDDPM_STEPS; j++) found += sigma[i] == u[j];
    CHECK(found == 20 && sigma[0] <= 81 && sigma[19] == u[999], "%d of 20 levels are in the table", found);
    for (int i = 0; i < 20; i++) CHECK(sigma[i] > sigma[i + 1], "level %d does not decrease", i);
    CHECK(hkd_schedule_grid(sigma, 0, &s) == HKD_USAGE, "a grid of no steps accepted");
    const hkd_schedule upside_down = {HKD_SCHEDULE_EDM, 80, 0.002, 7};
    CHECK(hkd_schedule_grid(sigma, 4, &upside_down) == HKD_USAGE, "sigma_min > sigma_max accepted");
    const hkd_schedule edm = hkd_schedule_default(HKD_SCHEDULE_EDM);
    CHECK(hkd_schedule_grid(sigma, 1, &edm) == HKD_OK && sigma[0] == 80 && sigma[1] == 0, "a grid of one step");
}

void test_schedule(void) {
    karras();
    vp_ve();
    iddpm();
}
