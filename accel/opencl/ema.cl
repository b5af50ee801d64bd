// ema - e moves towards p by `move`, or p back towards e: whichever factor is smaller (see ref/op/ema.c).

kernel void ema(global float *e_new, global const float *e, global const float *p, const int rows, const int length,
                const int from_p, const float move) {
    const run r = run_of(length);
    if (r.row >= rows) return;
    const vec start = row_part(from_p ? p : e, r.at, length, 0.0f), end = row_part(from_p ? e : p, r.at, length, 0.0f);
    vec_put(fma((vec)move, end - start, start), e_new, r.at, length, 0);
}
