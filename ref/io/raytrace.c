#include "raytrace.h"

#include <math.h>
#include <stdbool.h>

/* ---- vectors ---------------------------------------------------------------------------------------------------------- */

static hkd_vec vec(double x, double y, double z) { return (hkd_vec){x, y, z}; }
static hkd_vec add(hkd_vec a, hkd_vec b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
static hkd_vec sub(hkd_vec a, hkd_vec b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
static hkd_vec mul(hkd_vec a, double s) { return vec(a.x * s, a.y * s, a.z * s); }
static hkd_vec tint(hkd_vec a, hkd_vec b) { return vec(a.x * b.x, a.y * b.y, a.z * b.z); }
static double dot(hkd_vec a, hkd_vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static hkd_vec unit(hkd_vec a) { return mul(a, 1 / sqrt(dot(a, a))); }
static hkd_vec mix(hkd_vec a, hkd_vec b, double t) { return add(mul(a, 1 - t), mul(b, t)); }
static hkd_vec cross(hkd_vec a, hkd_vec b) { return vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
static double clamp(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }
static double smooth(double t) { return t * t * (3 - 2 * t); }
static double step(double from, double to, double v) { return smooth(clamp((v - from) / (to - from))); }

static double power(double v, int n) {
    double p = 1;
    for (; n; n /= 2, v *= v)
        if (n % 2) p *= v;
    return p;
}

/* ---- textures --------------------------------------------------------------------------------------------------------- */

/* A number in [0, 1) for a point of the integer lattice. */
static double lattice(int32_t x, int32_t y, uint32_t seed) {
    uint64_t h = (uint64_t)(uint32_t)x * 0x9E3779B97F4A7C15u ^ (uint64_t)(uint32_t)y * 0xC2B2AE3D27D4EB4Fu;
    h ^= (uint64_t)seed << 17;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return (double)(h >> 32) / 4294967296.0;
}

static int32_t cell(double v) { return (int32_t)floor(v < -1e9 ? -1e9 : v > 1e9 ? 1e9 : v); }

/* Value noise: smooth between lattice points. */
static double noise(double x, double y, uint32_t seed) {
    const int32_t i = cell(x), j = cell(y);
    const double u = smooth(x - floor(x)), v = smooth(y - floor(y));
    const double below = lattice(i, j, seed) * (1 - u) + lattice(i + 1, j, seed) * u;
    const double above = lattice(i, j + 1, seed) * (1 - u) + lattice(i + 1, j + 1, seed) * u;
    return below * (1 - v) + above * v;
}

static double fractal(double x, double y, uint32_t seed) {
    return (4 * noise(x, y, seed) + 2 * noise(2 * x, 2 * y, seed + 1) + noise(4 * x, 4 * y, seed + 2)) / 7;
}

/* Surface coordinates (u, v) to colour. */
static hkd_vec paint(const hkd_material *m, double u, double v, uint32_t seed) {
    u *= m->scale;
    v *= m->scale;
    double t = 0;
    switch (m->pattern) {
    case HKD_PLAIN: break;
    case HKD_CHECKS: t = (cell(u) + cell(v)) & 1; break;
    case HKD_STRIPES: t = cell(v) & 1; break;
    case HKD_SPECKLE: t = step(0.25, 0.75, fractal(4 * u, 4 * v, seed)); break;
    case HKD_MARBLE: t = fabs(2 * fractal(u, v, seed) - 1) * 3; break;
    }
    return mix(m->colour[0], m->colour[1], clamp(t));
}

/* ---- solids ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    double t;       /* distance */
    hkd_vec normal;
    double u, v;    /* surface coordinates */
} hit;

static bool closer(hit *h, double t, hkd_vec normal) {
    if (!(t > 1e-6) || t >= h->t) return false;
    h->t = t;
    h->normal = normal;
    return true;
}

static bool hit_sphere(hit *h, hkd_vec o, hkd_vec d, double r) {
    const hkd_vec c = sub(o, vec(0, r, 0));
    const double b = dot(c, d), q = b * b - dot(c, c) + r * r;
    if (q <= 0) return false;
    const double t = -b - sqrt(q);
    return closer(h, t, mul(add(c, mul(d, t)), 1 / r));
}

/* x^2 + z^2 = (r + k y)^2 between two discs. */
static bool hit_round(hit *h, hkd_vec o, hkd_vec d, const hkd_solid *s) {
    const double height = s->size.y, r = s->size.x, k = (s->top.x - r) / height, at = r + k * o.y;
    const double a = d.x * d.x + d.z * d.z - k * k * d.y * d.y, b = o.x * d.x + o.z * d.z - k * d.y * at;
    const double q = b * b - a * (o.x * o.x + o.z * o.z - at * at);
    bool found = false;
    for (int sign = -1; q > 0 && sign <= 1; sign += 2) {
        const double t = (-b + sign * sqrt(q)) / a, y = o.y + t * d.y;
        const hkd_vec p = add(o, mul(d, t));
        if (y >= 0 && y <= height && r + k * y > 0) found |= closer(h, t, unit(vec(p.x, -k * (r + k * y), p.z)));
    }
    for (int end = 0; end < 2; end++) {
        const double t = ((end ? height : 0) - o.y) / d.y, radius = end ? s->top.x : r;
        const hkd_vec p = add(o, mul(d, t));
        if (p.x * p.x + p.z * p.z <= radius * radius) found |= closer(h, t, vec(0, end ? 1 : -1, 0));
    }
    return found;
}

/* Six half-spaces n . p <= e: the ray is inside from its last entry to its first exit. */
static bool hit_square(hit *h, hkd_vec o, hkd_vec d, const hkd_solid *s) {
    const double height = s->size.y;
    const hkd_vec nx = unit(vec(height, s->size.x - s->top.x, 0)), nz = unit(vec(0, s->size.z - s->top.z, height));
    const hkd_vec normal[6] = {vec(0, -1, 0), vec(0, 1, 0), nx, vec(-nx.x, nx.y, 0), nz, vec(0, nz.y, -nz.z)};
    const double edge[6] = {0, height, nx.x * s->size.x, nx.x * s->size.x, nz.z * s->size.z, nz.z * s->size.z};
    double enter = -1e30, leave = 1e30;
    int side = 0;
    for (int i = 0; i < 6; i++) {
        const double along = dot(normal[i], d), away = edge[i] - dot(normal[i], o), t = away / along;
        if (along == 0 && away < 0) return false;
        if (along < 0 && t > enter) {
            enter = t;
            side = i;
        }
        if (along > 0 && t < leave) leave = t;
    }
    return enter < leave && closer(h, enter, normal[side]);
}

static bool hit_solid(hit *h, hkd_vec from, hkd_vec dir, const hkd_solid *s) {
    const double c = s->cosine, n = s->sine;
    const hkd_vec p = sub(from, s->base);
    const hkd_vec o = vec(c * p.x - n * p.z, p.y, n * p.x + c * p.z);
    const hkd_vec d = vec(c * dir.x - n * dir.z, dir.y, n * dir.x + c * dir.z);
    const bool found = s->kind == HKD_SPHERE ? hit_sphere(h, o, d, s->size.y / 2)
                     : s->kind == HKD_ROUND  ? hit_round(h, o, d, s)
                                             : hit_square(h, o, d, s);
    if (!found) return false;
    const hkd_vec q = add(o, mul(d, h->t)), m = h->normal; /* project along the normal's largest part */
    h->u = fabs(m.x) > fabs(m.z) ? q.z : q.x;
    h->v = fabs(m.y) > 0.9 && s->kind != HKD_SPHERE ? (fabs(m.x) > fabs(m.z) ? q.x : q.z) : q.y;
    h->normal = vec(c * m.x + n * m.z, m.y, c * m.z - n * m.x);
    return true;
}

static const hkd_solid *nearest(hit *h, const hkd_scene *scene, hkd_vec from, hkd_vec dir) {
    const hkd_solid *found = 0;
    h->t = 1e30;
    for (int i = 0; i < scene->solids; i++)
        if (hit_solid(h, from, dir, &scene->solid[i])) found = &scene->solid[i];
    return found;
}

/* ---- light ------------------------------------------------------------------------------------------------------------ */

static hkd_vec clouds(const hkd_scene *s, hkd_vec d, hkd_vec c) {
    if (s->clouds <= 0 || d.y <= 0.02) return c;
    const double thickness = fractal(0.7 * d.x / d.y, 1.4 * d.z / d.y, s->seed);
    const double cover = step(0.75 - 0.4 * s->clouds, 1 - 0.4 * s->clouds, thickness) * step(0.02, 0.2, d.y);
    return mix(c, add(mul(s->horizon, 0.5), mul(s->sunlight, 0.35)), cover);
}

static hkd_vec stars(const hkd_scene *s, hkd_vec d, hkd_vec c) {
    if (s->stars <= 0 || d.y <= 0) return c;
    const double x = 40 * d.x / (1 + d.y), z = 40 * d.z / (1 + d.y), u = x - floor(x) - 0.5, v = z - floor(z) - 0.5;
    if (lattice(cell(x), cell(z), s->seed) < 1 - 0.15 * s->stars) return c;
    const double size = 0.02 + 0.1 * lattice(cell(z), cell(x), s->seed + 1), brightness = size / (size + 20 * (u * u + v * v));
    return add(c, mul(vec(0.9, 0.9, 1), step(0, 0.1, d.y) * (1.2 * brightness * brightness)));
}

/* Two ranges, the far one first and paler. */
static hkd_vec hills(const hkd_scene *s, hkd_vec d, hkd_vec c) {
    const double side = d.x / (fabs(d.z) + 0.2);
    for (int i = 1; i >= 0; i--) {
        if (s->hills[i] <= 0) continue;
        const double top = s->hills[i] * (0.3 + fractal((3 + i) * side, 7.3 * i, s->seed + 9));
        const hkd_vec colour = mix(s->hill_colour, s->horizon, 0.25 + 0.35 * i);
        c = mix(c, colour, 1 - step(top - 0.012, top + 0.012, d.y));
    }
    return c;
}

static hkd_vec sky(const hkd_scene *s, hkd_vec d) {
    const double up = clamp(d.y), facing = clamp(dot(d, s->sun));
    hkd_vec c = mix(s->horizon, s->zenith, clamp(up * (3 - 2 * up)));
    c = stars(s, d, clouds(s, d, c));
    const double disc = s->disc < 1 ? 2 * step(s->disc - 0.004, s->disc, facing) : 0;
    return hills(s, d, add(c, mul(s->sunlight, 0.25 * power(facing, 24) + disc)));
}

static bool in_shadow(const hkd_scene *s, hkd_vec p, hkd_vec light) {
    hit h;
    return nearest(&h, s, p, light) != 0;
}

/* How much of the sky a point of the ground sees: less, the nearer a solid's foot is. */
static double openness(const hkd_scene *s, hkd_vec p) {
    double open = 1;
    for (int i = 0; i < s->solids; i++) {
        const hkd_solid *o = &s->solid[i];
        if (o->base.y > 0.3) continue;
        const double dx = p.x - o->base.x, dz = p.z - o->base.z, r = o->kind == HKD_SPHERE ? o->size.y / 2 : o->size.x;
        open *= 1 - 0.75 * clamp(1.25 * r * r / (dx * dx + dz * dz + 0.25 * r * r) - 0.35);
    }
    return open;
}

/* Sky light from above, some light back from the ground, the sun with a highlight. */
static hkd_vec shade(const hkd_scene *s, const hkd_material *m, hkd_vec albedo, hkd_vec p, hkd_vec n, hkd_vec dir,
                     hkd_vec light, double open) {
    const hkd_vec dome = mix(s->horizon, s->zenith, 0.5), bounce = mul(tint(s->ground.colour[0], s->sunlight), 0.3);
    hkd_vec c = tint(albedo, mul(mix(bounce, dome, 0.5 + 0.5 * n.y), 0.62 * open));
    c = add(c, mul(albedo, m->glow));
    const double facing = dot(n, light);
    if (facing <= 0 || in_shadow(s, add(p, mul(n, 1e-4)), light)) return c;
    const hkd_vec half = unit(sub(light, dir));
    c = add(c, mul(tint(albedo, s->sunlight), 0.9 * facing));
    return add(c, mul(s->sunlight, m->gloss * power(clamp(dot(n, half)), 40)));
}

static hkd_vec trace(const hkd_scene *s, hkd_vec from, hkd_vec dir, hkd_vec light, int depth) {
    hit h;
    const hkd_solid *solid = nearest(&h, s, from, dir);
    const double ground = dir.y < 0 ? -from.y / dir.y : 1e30;
    if (!solid && ground >= 1e30) return sky(s, dir);
    const bool is_ground = ground < h.t;
    const hkd_material *m = is_ground ? &s->ground : &solid->material;
    const double t = is_ground ? ground : h.t;
    const hkd_vec p = add(from, mul(dir, t)), n = is_ground ? vec(0, 1, 0) : h.normal;
    const double far = is_ground ? 1 - 1 / (1 + s->haze * t * t) : 0;
    const hkd_vec albedo = is_ground ? paint(m, p.x, p.z, s->seed + 3) : paint(m, h.u, h.v, s->seed + 5);
    hkd_vec c = shade(s, m, albedo, p, n, dir, light, is_ground ? openness(s, p) : 1);
    if (m->mirror > 0 && depth > 0) {
        const double facing = clamp(-dot(n, dir)), part = m->mirror + (1 - m->mirror) * 0.6 * power(1 - facing, 5);
        const hkd_vec back = trace(s, add(p, mul(n, 1e-4)), sub(dir, mul(n, 2 * dot(n, dir))), light, depth - 1);
        c = mix(c, back, part);
    }
    return mix(c, sky(s, vec(dir.x, 0, dir.z)), far);
}

/* ---- camera ----------------------------------------------------------------------------------------------------------- */

/* Light of display bytes: gamma 2, so that a square root is all it takes. */
static unsigned char to_byte(double light) { return (unsigned char)(255 * sqrt(clamp(light)) + 0.5); }

void hkd_render(unsigned char *pixels, int width, int height, int samples, const hkd_scene *s) {
    const hkd_vec ahead = unit(sub(s->target, s->eye)), right = unit(cross(vec(0, 1, 0), ahead)), up = cross(ahead, right);
    const double step_size = 2 / (s->zoom * height * samples);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            hkd_vec sum = {0, 0, 0};
            for (int k = 0; k < samples * samples; k++) {
                const double px = x * samples + k % samples + 0.5 - 0.5 * width * samples;
                const double py = y * samples + k / samples + 0.5 - 0.5 * height * samples;
                const hkd_vec dir = unit(add(ahead, add(mul(right, px * step_size), mul(up, -py * step_size))));
                const double jx = lattice(k, 1, s->seed) - 0.5, jz = lattice(k, 2, s->seed) - 0.5; /* a sun with an extent */
                const hkd_vec c = trace(s, s->eye, dir, unit(add(s->sun, vec(0.12 * jx, 0, 0.12 * jz))), 2);
                sum = add(sum, vec(clamp(c.x), clamp(c.y), clamp(c.z)));
            }
            unsigned char *to = pixels + 3 * (y * width + x);
            const double weight = 1.0 / (samples * samples);
            to[0] = to_byte(sum.x * weight);
            to[1] = to_byte(sum.y * weight);
            to[2] = to_byte(sum.z * weight);
        }
}
