/* exact.h - elementary functions made of + - x / sqrt alone, so that every platform gives the same bits.
 * Each works in double-double inside and rounds once. Before that rounding it errs by less than 2^-90 of the value (found:
 * 2^-96, over 3600 points against 500-digit arithmetic), so the result is the correctly rounded one unless the true value
 * lies within 2^-37 ulp of the middle between two doubles; of pow's exact middles (like 3^34 to 53 bits) it may take either
 * side. NaN, infinities, overflow and underflow follow C99 Annex F. Needs FLT_EVAL_METHOD 0: no x87, no fused operations. */
#ifndef HKD_EXACT_H
#define HKD_EXACT_H

double hkd_exp(double x);
double hkd_log(double x);      /* natural logarithm */
double hkd_sin(double x);      /* any finite angle, in radians */
double hkd_cos(double x);
double hkd_erf(double x);
double hkd_erfc(double x);     /* 1 - erf(x), without cancellation */
double hkd_pow(double x, double y); /* x > 0 */

#endif
