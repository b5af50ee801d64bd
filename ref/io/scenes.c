#include "scenes.h"
#include "raytrace.h"
#include "rng.h"

#include <math.h>

const char *const hkd_scene_class[HKD_SCENE_CLASSES] = {"ball",  "box",   "cone", "drum",  "pyramid",
                                                        "balls", "tower", "tree", "house", "snowman"};

/* ---- random choices --------------------------------------------------------------------------------------------------- */

/* Numbers are drawn one after another. C leaves the order of arguments open, so no expression here draws two. */

typedef struct {
    hkd_stream stream;
    uint64_t drawn;
} dice;

static double between(dice *d, double low, double high) {
    return low + (high - low) * hkd_random_uniform(&d->stream, d->drawn++);
}
static int below(dice *d, int n) { return (int)between(d, 0, n); }
static int chance(dice *d, double p) { return between(d, 0, 1) < p; }

/* Hue (in turns), saturation and value as displayed, squared to linear light. */
static hkd_vec colour(double hue, double saturation, double value) {
    double c[3];
    for (int i = 0; i < 3; i++) {
        const double h = hue + (3 - i) / 3.0, f = fabs(6 * (h - floor(h)) - 3) - 1;
        c[i] = value * (1 - saturation * (1 - (f < 0 ? 0 : f > 1 ? 1 : f)));
        c[i] *= c[i];
    }
    return (hkd_vec){c[0], c[1], c[2]};
}

/* A colour from three ranges. */
static hkd_vec some_colour(dice *d, double hue0, double hue1, double saturation0, double saturation1, double value0,
                           double value1) {
    const double hue = between(d, hue0, hue1), saturation = between(d, saturation0, saturation1);
    return colour(hue, saturation, between(d, value0, value1));
}

/* A direction in the plane, without sine or cosine: a point of the square's border, brought to the circle. */
static void direction(dice *d, double *cosine, double *sine) {
    const double x = between(d, -1, 1), y = chance(d, 0.5) ? 1 : -1, r = sqrt(x * x + y * y);
    const int turned = chance(d, 0.5);
    *cosine = (turned ? x : y) / r;
    *sine = (turned ? y : -x) / r;
}

static hkd_material material(dice *d, double hue) {
    static const hkd_pattern often[] = {HKD_PLAIN, HKD_PLAIN, HKD_CHECKS, HKD_STRIPES, HKD_STRIPES, HKD_SPECKLE, HKD_MARBLE};
    const double saturation = between(d, 0.55, 0.95), value = between(d, 0.65, 1);
    hkd_material m = {.pattern = often[below(d, 7)]};
    m.scale = between(d, 2, 4.5);
    m.gloss = between(d, 0, 0.9);
    m.colour[0] = colour(hue, saturation, value);
    m.colour[1] = chance(d, 0.5) ? colour(hue, 0.1, 0.95) : colour(hue + between(d, 0.3, 0.7), saturation, 0.8 * value);
    return m;
}

/* ---- surroundings ----------------------------------------------------------------------------------------------------- */

static void set_sun(dice *d, hkd_scene *s, double lowest, double highest, int in_view) {
    const double y = between(d, lowest, highest), side = between(d, -0.9, 0.9), flat = sqrt(1 - y * y);
    const double depth = sqrt(1 - side * side);
    s->sun = (hkd_vec){flat * side, y, in_view ? flat * depth : -flat * depth};
}

static void day(dice *d, hkd_scene *s) {
    const double hue = between(d, 0.53, 0.64);
    s->zenith = some_colour(d, hue, hue, 0.55, 0.85, 0.7, 0.95);
    s->horizon = colour(hue - 0.02, between(d, 0.05, 0.3), 1);
    set_sun(d, s, 0.35, 0.8, chance(d, 0.25));
    s->sunlight = (hkd_vec){1, 0.94, 0.82};
    s->clouds = chance(d, 0.5) ? between(d, 0.3, 1) : 0;
}

static void dusk(dice *d, hkd_scene *s) {
    s->zenith = some_colour(d, 0.58, 0.8, 0.6, 0.6, 0.35, 0.6);
    s->horizon = some_colour(d, 0.01, 0.11, 0.5, 0.8, 1, 1);
    set_sun(d, s, 0.12, 0.32, chance(d, 0.6));
    s->sunlight = (hkd_vec){1, 0.62, 0.32};
    s->disc = 0.992;
    s->clouds = chance(d, 0.4) ? between(d, 0.3, 0.8) : 0;
}

static void night(dice *d, hkd_scene *s) {
    const double hue = between(d, 0.58, 0.75);
    s->zenith = colour(hue, 0.8, between(d, 0.15, 0.3));
    s->horizon = colour(hue, 0.6, between(d, 0.35, 0.55));
    set_sun(d, s, 0.25, 0.55, chance(d, 0.3));
    s->sunlight = (hkd_vec){0.62, 0.7, 0.9};
    s->disc = 0.995;
    s->stars = between(d, 0.4, 1);
}

static void studio(dice *d, hkd_scene *s) {
    const double hue = between(d, 0, 1);
    s->zenith = some_colour(d, hue, hue, 0.2, 0.7, 0.4, 0.9);
    s->horizon = some_colour(d, hue - 0.1, hue + 0.1, 0.1, 0.4, 0.85, 1);
    set_sun(d, s, 0.5, 0.85, 0);
    s->sunlight = (hkd_vec){1, 0.97, 0.92};
}

static void set_ground(dice *d, hkd_scene *s, int indoors) {
    const double hue = between(d, 0, 1);
    hkd_material *g = &s->ground;
    *g = (hkd_material){.pattern = HKD_SPECKLE, .scale = between(d, 0.6, 1.6)};
    switch (indoors ? 3 + below(d, 3) : below(d, 6)) {
    case 0: /* grass */
        g->colour[0] = some_colour(d, 0.2, 0.36, 0.7, 0.7, 0.4, 0.65);
        g->colour[1] = some_colour(d, 0.16, 0.3, 0.6, 0.6, 0.6, 0.8);
        break;
    case 1: /* sand or snow */
        g->colour[0] = colour(0.1, chance(d, 0.3) ? 0.03 : 0.45, 0.9);
        g->colour[1] = colour(0.08, chance(d, 0.3) ? 0.02 : 0.5, 0.78);
        break;
    case 2: /* water */
        g->colour[0] = colour(between(d, 0.48, 0.6), 0.7, 0.4);
        g->colour[1] = colour(between(d, 0.48, 0.6), 0.6, 0.5);
        g->mirror = 0.35;
        break;
    case 3: /* tiles */
        g->pattern = HKD_CHECKS;
        g->scale = between(d, 0.7, 1.5);
        g->colour[0] = some_colour(d, hue, hue, 0.1, 0.6, 0.25, 0.6);
        g->colour[1] = colour(hue, between(d, 0, 0.2), 0.92);
        g->mirror = chance(d, 0.4) ? 0.2 : 0;
        break;
    case 4: /* boards */
        g->pattern = HKD_STRIPES;
        g->scale = between(d, 0.8, 2);
        g->colour[0] = some_colour(d, 0.04, 0.1, 0.55, 0.55, 0.5, 0.75);
        g->colour[1] = some_colour(d, 0.04, 0.1, 0.45, 0.45, 0.65, 0.85);
        break;
    default: /* one colour, polished or not */
        g->pattern = HKD_PLAIN;
        g->colour[0] = g->colour[1] = some_colour(d, hue, hue, 0.05, 0.5, 0.6, 0.95);
        g->mirror = chance(d, 0.5) ? between(d, 0.1, 0.4) : 0;
    }
}

static void set_surroundings(dice *d, hkd_scene *s) {
    static void (*const mood[])(dice *, hkd_scene *) = {day, day, dusk, night, studio};
    const int which = below(d, 5), indoors = which == 4;
    s->disc = 1;
    mood[which](d, s);
    set_ground(d, s, indoors);
    s->haze = between(d, 0.0005, 0.006);
    if (indoors || chance(d, 0.3)) return;
    s->hills[0] = between(d, 0.05, 0.2);
    s->hills[1] = chance(d, 0.6) ? s->hills[0] * between(d, 1.2, 2) : 0;
    s->hill_colour = some_colour(d, 0.2, 0.75, 0.2, 0.5, which == 3 ? 0.12 : 0.3, which == 3 ? 0.2 : 0.55);
}

static void set_camera(dice *d, hkd_scene *s) {
    const double away = between(d, 3.6, 5.2), side = between(d, -1, 1), height = between(d, 0.5, 2.4);
    const double across = between(d, -0.35, 0.35);
    s->eye = (hkd_vec){side, height, -away};
    s->target = (hkd_vec){across, between(d, 0.5, 0.95), 0};
    s->zoom = between(d, 0.52, 0.68) * away;
}

/* ---- what stands there ------------------------------------------------------------------------------------------------ */

typedef struct {
    dice *d;
    hkd_scene *scene;
    double x, z, size, cosine, sine; /* place, scale and turn of the whole thing */
    hkd_material first, second;
} builder;

static hkd_solid *put(builder *b, hkd_solid_kind kind, hkd_vec at, hkd_vec size, double top_x, double top_z,
                      const hkd_material *m) {
    hkd_solid *s = &b->scene->solid[b->scene->solids++];
    const double k = b->size;
    *s = (hkd_solid){.kind = kind, .cosine = b->cosine, .sine = b->sine, .material = *m};
    s->base.x = b->x + k * (b->cosine * at.x + b->sine * at.z);
    s->base.y = k * at.y;
    s->base.z = b->z + k * (b->cosine * at.z - b->sine * at.x);
    s->size = (hkd_vec){k * size.x, k * size.y, k * size.z};
    s->top = (hkd_vec){k * top_x, 0, k * top_z};
    return s;
}

static void ball(builder *b, double x, double y, double z, double r, const hkd_material *m) {
    put(b, HKD_SPHERE, (hkd_vec){x, y, z}, (hkd_vec){r, 2 * r, r}, 0, 0, m);
}
static void round_(builder *b, double y, double height, double radius, double top, const hkd_material *m) {
    put(b, HKD_ROUND, (hkd_vec){0, y, 0}, (hkd_vec){radius, height, radius}, top, top, m);
}
static void square(builder *b, double y, double height, double half, double half_z, double top, double top_z,
                   const hkd_material *m) {
    put(b, HKD_SQUARE, (hkd_vec){0, y, 0}, (hkd_vec){half, height, half_z}, top, top_z, m);
}

static void build_ball(builder *b) {
    if (chance(b->d, 0.25)) b->first.mirror = between(b->d, 0.4, 0.85);
    ball(b, 0, 0, 0, 0.8, &b->first);
}
static void build_box(builder *b) {
    const double half = between(b->d, 0.5, 0.75);
    square(b, 0, between(b->d, 0.8, 1.4), half, half, half, half, &b->first);
}
static void build_cone(builder *b) {
    const double radius = between(b->d, 0.65, 0.9);
    round_(b, 0, between(b->d, 1.3, 1.8), radius, 0, &b->first);
}
static void build_drum(builder *b) {
    const double radius = between(b->d, 0.45, 0.8);
    round_(b, 0, between(b->d, 0.9, 1.6), radius, radius, &b->first);
}
static void build_pyramid(builder *b) {
    const double half = between(b->d, 0.75, 1);
    square(b, 0, between(b->d, 1, 1.5), half, half, 0, 0, &b->first);
}
static void build_balls(builder *b) {
    hkd_material third = material(b->d, between(b->d, 0, 1));
    ball(b, -0.55, 0, 0.1, between(b->d, 0.38, 0.5), &b->first);
    ball(b, 0.5, 0, 0.25, between(b->d, 0.4, 0.55), &b->second);
    ball(b, 0.05, 0, -0.6, between(b->d, 0.28, 0.4), &third);
}
static void build_tower(builder *b) {
    const double r = between(b->d, 0.3, 0.42), h = between(b->d, 1, 1.3);
    round_(b, 0, h, 1.1 * r, r, &b->first);
    round_(b, h, 0.18, 1.25 * r, 1.25 * r, &b->first);
    round_(b, h + 0.18, between(b->d, 0.5, 0.8), 1.3 * r, 0, &b->second);
}
static void build_tree(builder *b) {
    hkd_material bark = {.colour = {colour(0.07, 0.6, 0.45), colour(0.06, 0.6, 0.3)}, .pattern = HKD_SPECKLE, .scale = 3};
    hkd_material leaves = {.pattern = HKD_SPECKLE, .scale = 2.5};
    const double hue = chance(b->d, 0.3) ? between(b->d, 0.0, 0.13) : between(b->d, 0.22, 0.4);
    leaves.colour[0] = some_colour(b->d, hue, hue, 0.8, 0.8, 0.35, 0.55);
    leaves.colour[1] = some_colour(b->d, hue - 0.03, hue - 0.03, 0.7, 0.7, 0.6, 0.85);
    round_(b, 0, 0.6, 0.16, 0.12, &bark);
    if (chance(b->d, 0.5)) {
        for (int i = 0; i < 3; i++) round_(b, 0.4 + 0.42 * i, 0.75, 0.7 - 0.16 * i, 0, &leaves);
    } else {
        ball(b, 0, 0.75, 0, 0.5, &leaves);
        ball(b, -0.38, 0.5, 0.1, 0.36, &leaves);
        ball(b, 0.36, 0.55, -0.1, 0.38, &leaves);
    }
}
static void build_house(builder *b) {
    hkd_material dark = {.colour = {colour(0.6, 0.4, 0.25), colour(0.6, 0.4, 0.25)}, .gloss = 0.6};
    const hkd_vec lamp = colour(0.12, 0.55, 1);
    const hkd_material lit = {.colour = {lamp, lamp}, .glow = 0.9};
    const double h = between(b->d, 0.65, 0.85), half = between(b->d, 0.65, 0.8);
    b->first.pattern = HKD_PLAIN;
    b->first.colour[0] = some_colour(b->d, 0, 1, 0.05, 0.5, 0.95, 0.95);
    square(b, 0, h, half, 0.55, half, 0.55, &b->first);
    square(b, h, between(b->d, 0.45, 0.65), half + 0.1, 0.68, half - 0.05, 0, &b->second);
    put(b, HKD_SQUARE, (hkd_vec){-0.15, 0, -0.56}, (hkd_vec){0.13, 0.45, 0.02}, 0.13, 0.02, &dark);
    put(b, HKD_SQUARE, (hkd_vec){0.3, 0.28, -0.56}, (hkd_vec){0.13, 0.25, 0.02}, 0.13, 0.02,
        b->scene->stars > 0 ? &lit : &dark);
}
static void build_snowman(builder *b) {
    const hkd_material snow = {.colour = {colour(0.6, 0.04, 0.97), colour(0.6, 0.04, 0.97)}, .gloss = 0.1};
    const hkd_material coal = {.colour = {colour(0, 0, 0.08), colour(0, 0, 0.08)}, .gloss = 0.5};
    const hkd_material carrot = {.colour = {colour(0.07, 0.9, 1), colour(0.07, 0.9, 1)}};
    ball(b, 0, 0, 0, 0.5, &snow);
    ball(b, 0, 0.78, 0, 0.37, &snow);
    ball(b, 0, 1.35, 0, 0.27, &snow);
    ball(b, -0.11, 1.63, -0.24, 0.05, &coal);
    ball(b, 0.11, 1.63, -0.24, 0.05, &coal);
    ball(b, 0, 1.54, -0.29, 0.06, &carrot);
    round_(b, 1.82, 0.05, 0.36, 0.36, &b->second);
    round_(b, 1.85, 0.3, 0.22, 0.22, &b->second);
}

int hkd_draw_scene(unsigned char *pixels, int resolution, uint64_t index) {
    static void (*const build[HKD_SCENE_CLASSES])(builder *) = {build_ball,    build_box,   build_cone,  build_drum,
                                                                build_pyramid, build_balls, build_tower, build_tree,
                                                                build_house,   build_snowman};
    dice d = {.stream = {.seed = index, .purpose = HKD_FOR_DATA}};
    hkd_scene scene = {.seed = hkd_random_word(&d.stream, d.drawn++)};
    const int class_ = (int)(index % HKD_SCENE_CLASSES);
    set_surroundings(&d, &scene);
    set_camera(&d, &scene);
    const double hue = between(&d, 0, 1);
    builder b = {.d = &d, .scene = &scene};
    b.x = between(&d, -0.35, 0.35);
    b.z = between(&d, -0.3, 0.5);
    b.size = between(&d, 0.8, 1.1);
    b.first = material(&d, hue);
    b.second = material(&d, hue + between(&d, 0.25, 0.75));
    direction(&d, &b.cosine, &b.sine);
    if ((class_ == 8 || class_ == 9) && b.cosine < 0.5) { /* doors and faces look at us, more or less */
        b.cosine = 0.9539392014169457;
        b.sine = b.sine < 0 ? -0.3 : 0.3;
    }
    build[class_](&b);
    hkd_render(pixels, resolution, resolution, resolution < 32 ? 4 : 3, &scene);
    return class_;
}
