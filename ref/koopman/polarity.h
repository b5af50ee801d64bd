/* polarity.h - what bands of modes do to pictures, and which end of the ranks carries the fine detail: measured, not named.
 *
 * A band's mark is what its removal does to the radial spectrum of pictures. Removing fine detail takes energy from high
 * spatial frequencies, so the centroid of the spectrum moves DOWN; removing the coarse part moves it up. So of the lowest and
 * the highest third of ranks, the one whose removal leaves the lower centroid is "high". (A removal may also add noise, and
 * move the centroid up at both ends: what counts is the difference between the two.)
 *
 * The measurement is one of the model alone: always the same HKD_POLARITY_IMAGES pictures, of seeds that nobody else uses. The
 * difference of the two centroids, picture by picture, has a 95 % confidence interval; where it holds 0 the model does not
 * say, and high is by convention the end of the largest alpha (a direction of small variance shrinks most: spec of D.2).
 */
#ifndef HKD_POLARITY_H
#define HKD_POLARITY_H

#include "model_bands.h"
#include "model_inputs.h"

typedef struct {
    double from, to;          /* in: the ranks of the band */
    double *power_without;    /* in, NULL: not wanted. [shells] out: radial power of the pictures without it (image_spectrum) */
    double *power_change;     /* ... of what its removal changes */
    double *centroid;         /* in, NULL: not wanted. [n] out: of each picture without it */
    double without, change;   /* out: mean centroid without it, in cycles per picture; root mean square of the change */
    double share[3];          /* out: the change's energy in low, middle and high spatial frequencies */
} hkd_band_mark;

/* whole: the mean centroid of the pictures as they are; power_whole [shells] may be NULL. Leaves b's mask at the last band. */
hkd_status hkd_model_band_marks(hkd_band_mark *mark, int64_t count, double *whole, double *power_whole, hkd_model *m,
                                const hkd_model_input *in, const hkd_model_levels *levels, hkd_model_bands *b,
                                const hkd_ticker *ticker);

enum { HKD_POLARITY_IMAGES = 64 };
typedef enum { HKD_POLARITY_UNDECIDED, HKD_POLARITY_ASCENDING, HKD_POLARITY_DESCENDING } hkd_polarity_verdict;

typedef struct {
    double whole;                   /* centroid of the pictures as they are */
    hkd_band_mark third[3];         /* of ranks: lowest, middle, highest */
    double difference, half;        /* centroid without the lowest - without the highest third; +- half is the interval */
    hkd_polarity_verdict verdict;   /* ASCENDING: high ranks are the fine detail */
    bool ascending;                 /* what is meant by high: the verdict, or the convention where there is none */
    int64_t n;
} hkd_polarity;
hkd_status hkd_model_polarity(hkd_polarity *out, hkd_model *m, const hkd_model_levels *levels, hkd_model_bands *b,
                              const hkd_ticker *ticker);

/* "high ranks are fine detail (...)": one sentence with the numbers, for people. */
void hkd_polarity_text(char *out, size_t size, const hkd_polarity *p);

/* The convention: the end of the largest alpha, as the rule ranks. */
bool hkd_polarity_convention(const hkd_band_rule *rule);

typedef enum { HKD_BAND_LOW, HKD_BAND_MIDDLE, HKD_BAND_HIGH } hkd_band_name;
/* The ranks [from, to) of a third by its meaning. */
void hkd_band_interval(double *from, double *to, hkd_band_name name, bool ascending);

#endif
