// adam - the one pass of adam and radam; each output may be its own input.

kernel void adam(global float *p_new, global float *m_new, global float *v_new, global const float *p, global const float *m,
                 global const float *v, global const float *g, const int rows, const int length, const float keep_m,
                 const float take_m, const float keep_v, const float take_v, const float step, const float root,
                 const float eps, const float l2, const float shrink) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec p0 = row_part(p, r.at, length, 0.0f), g0 = row_part(g, r.at, length, 0.0f);
    const vec g1 = l2 == 0.0f ? g0 : fma((vec)l2, p0, g0);
    const vec m1 = fma((vec)keep_m, row_part(m, r.at, length, 0.0f), take_m * g1);
    const vec v1 = fma((vec)keep_v, row_part(v, r.at, length, 0.0f), take_v * (g1 * g1));
    const vec move = step * (m1 / fma((vec)root, sqrt(v1), (vec)eps));
    vec_put(fma((vec)shrink, p0, -move), p_new, r.at, length, 0);
    vec_put(m1, m_new, r.at, length, 0);
    vec_put(v1, v_new, r.at, length, 0);
}
