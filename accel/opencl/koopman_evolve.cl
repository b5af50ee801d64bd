// koopman_evolve - one work-item turns a run of pairs of latents; exp, sin and cos are computed here, nothing is tabulated.

typedef struct {
    vec alpha, beta, gc, gs;
} koopman_turn;

// of pair k = row % pairs at positions `at` on; a [2, pairs, a_area]. A call would cost more than the long code in line.
inline void __attribute__((always_inline)) koopman_turn_of(koopman_turn *t, global const float *a, const float dt, const int k,
                                                          const int pairs, const int at, const int area, const int a_area) {
    global const float *alpha = a + k * a_area, *beta = alpha + pairs * a_area;
    t->alpha = a_area == area ? row_part(alpha, at, area, 0.0f) : (vec)alpha[0];
    t->beta = a_area == area ? row_part(beta, at, area, 0.0f) : (vec)beta[0];
    const vec g = exp(t->alpha * dt), theta = t->beta * dt;
    t->gc = g * cos(theta);
    t->gs = g * sin(theta);
}

// z, y [rows, 2, area] with rows = n * pairs; dt [n]
kernel void koopman_evolve(global float *y, global const float *z, global const float *a, global const float *dt,
                           const int rows, const int area, const int pairs, const int a_area) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    koopman_turn t;
    koopman_turn_of(&t, a, dt[r.row / pairs], r.row % pairs, pairs, r.at, area, a_area);
    const int start = 2 * r.row * area;
    const vec z0 = row_part(z + start, r.at, area, 0.0f), z1 = row_part(z + start + area, r.at, area, 0.0f);
    vec_put(fma(t.gc, z0, t.gs * z1), y + start, r.at, area, 0);
    vec_put(fma(t.gc, z1, -(t.gs * z0)), y + start + area, r.at, area, 0);
}

// dz, and per pair what it adds to the gradients: to_a [n, 2, pairs, area] for alpha and beta, to_dt [n, pairs, area]
kernel void koopman_evolve_grad(global float *dz, global float *to_a, global float *to_dt, global const float *dy,
                                global const float *z, global const float *a, global const float *dt, const int rows,
                                const int area, const int pairs, const int a_area, const int accumulate) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    const int n = r.row / pairs, start = 2 * r.row * area;
    koopman_turn t;
    koopman_turn_of(&t, a, dt[n], r.row % pairs, pairs, r.at, area, a_area);
    const vec dy0 = row_part(dy + start, r.at, area, 0.0f), dy1 = row_part(dy + start + area, r.at, area, 0.0f);
    if (dz) {
        vec_put(fma(t.gc, dy0, -(t.gs * dy1)), dz + start, r.at, area, accumulate);
        vec_put(fma(t.gs, dy0, t.gc * dy1), dz + start + area, r.at, area, accumulate);
    }
    if (to_a || to_dt) {
        const vec z0 = row_part(z + start, r.at, area, 0.0f), z1 = row_part(z + start + area, r.at, area, 0.0f);
        const vec y0 = fma(t.gc, z0, t.gs * z1), y1 = fma(t.gc, z1, -(t.gs * z0));
        const vec along = fma(y0, dy0, y1 * dy1), across = fma(y1, dy0, -(y0 * dy1));
        if (to_a) {
            global float *to = to_a + (r.row + n * pairs) * area;
            vec_put(dt[n] * along, to, r.at, area, 0);
            vec_put(dt[n] * across, to + pairs * area, r.at, area, 0);
        }
        if (to_dt) vec_put(fma(t.alpha, along, t.beta * across), to_dt + r.row * area, r.at, area, 0);
    }
}
