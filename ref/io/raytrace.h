/* raytrace.h - a very small ray tracer for the built-in data set: three kinds of solids on a textured plane under a sky.
 *
 * Made of + - x / sqrt and floor alone, so that a scene has the same bytes on every platform.
 */
#ifndef HKD_RAYTRACE_H
#define HKD_RAYTRACE_H

#include <stdint.h>

typedef struct {
    double x, y, z; /* y is up; also red, green, blue in linear light */
} hkd_vec;

typedef enum { HKD_PLAIN, HKD_CHECKS, HKD_STRIPES, HKD_SPECKLE, HKD_MARBLE } hkd_pattern;

typedef struct {
    hkd_vec colour[2];
    hkd_pattern pattern;
    double scale;    /* pattern periods per unit length */
    double gloss;    /* strength of the highlight */
    double mirror;   /* part of the light that is reflected, 0 to 1 */
    double glow;     /* light of its own */
} hkd_material;

/* Solids stand on their base point and are turned about the vertical by (cosine, sine).
 *   SPHERE   radius size.y / 2, base below its centre
 *   ROUND    frustum of a cone: radius size.x below, top.x above, height size.y (equal radii: a cylinder; top 0: a cone)
 *   SQUARE   frustum of a box: half widths size.x, size.z below, top.x, top.z above, height size.y (pyramid, roof, box) */
typedef enum { HKD_SPHERE, HKD_ROUND, HKD_SQUARE } hkd_solid_kind;
typedef struct {
    hkd_solid_kind kind;
    hkd_vec base, size, top;
    double cosine, sine;
    hkd_material material;
} hkd_solid;

enum { HKD_MAX_SOLIDS = 16 };

typedef struct {
    int solids;
    hkd_solid solid[HKD_MAX_SOLIDS];
    hkd_material ground;
    hkd_vec zenith, horizon;       /* sky */
    hkd_vec sun, sunlight;         /* unit vector towards it; its colour */
    double disc;                   /* cosine of the visible disc's radius; 1: none */
    double stars, clouds;          /* 0: none, 1: many */
    double hills[2];               /* heights of two ranges at the horizon; 0: none */
    hkd_vec hill_colour;
    double haze;                   /* how fast the ground fades into the horizon */
    hkd_vec eye, target;           /* camera */
    double zoom;
    uint32_t seed;                 /* of textures */
} hkd_scene;

/* Render to `pixels` [height, width, 3] in bytes, samples x samples rays per pixel. */
void hkd_render(unsigned char *pixels, int width, int height, int samples, const hkd_scene *scene);

#endif
