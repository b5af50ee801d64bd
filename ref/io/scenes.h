/* scenes.h - the built-in data set: small lit scenes, drawn from their number alone.
 *
 * Image k is a pure function of (k, resolution) with the same bytes on every platform. Its class is k modulo 10 and names
 * what stands in the middle; light, sky, ground, colours, textures, place and camera vary freely.
 */
#ifndef HKD_SCENES_H
#define HKD_SCENES_H

#include <stdint.h>

enum { HKD_SCENE_CLASSES = 10 };
extern const char *const hkd_scene_class[HKD_SCENE_CLASSES];

/* Draw image `index` to `pixels` [resolution, resolution, 3]; returns its class. */
int hkd_draw_scene(unsigned char *pixels, int resolution, uint64_t index);

#endif
