// common.cl - what every kernel sees: no fused multiply-add but where fma() stands, and the two profiles.
//
//   CPU  one work-item is a core with wide registers: it owns a whole row or tile, WIDTH floats at a time (LANES is 1)
//   GPU  LANES work-items share a row, neighbours read neighbouring floats
//
// Their numbers come from the table in device.c, as macros: WIDTH, LANES, and the tile of contract, PROFILE_M x PROFILE_V.
// A row reduction reads the same in both: each of LANES work-items walks over every LANES-th run of WIDTH floats, and
// row_sum or row_max joins them. The order of summation depends on the profile alone.
#pragma OPENCL FP_CONTRACT OFF

#define JOINED(a, b) a##b
#define JOIN(a, b) JOINED(a, b)
typedef JOIN(float, WIDTH) vec;
#define vec_load JOIN(vload, WIDTH)
#define vec_store JOIN(vstore, WIDTH)
#ifndef TILE_M // of contract; hkd tune tries others
#define TILE_M PROFILE_M
#define TILE_V PROFILE_V
#endif
#define TILE_N (TILE_V * WIDTH)

// vec_evens, vec_odds: every other of the elements of a, then of b. vec_twice: each of the first half of a, twice.
// vec_lanes: 0, 1, 2, ...
typedef JOIN(int, WIDTH) ints;
#if WIDTH == 4
inline ints vec_lanes(void) { return (ints)(0, 1, 2, 3); }
inline float vec_sum(const vec v) { return (v.s0 + v.s1) + (v.s2 + v.s3); }
inline float vec_max(const vec v) { return fmax(fmax(v.s0, v.s1), fmax(v.s2, v.s3)); }
inline vec vec_evens(const vec a, const vec b) { return (vec)(a.s0, a.s2, b.s0, b.s2); }
inline vec vec_odds(const vec a, const vec b) { return (vec)(a.s1, a.s3, b.s1, b.s3); }
inline vec vec_twice(const vec a) { return a.s0011; }
#else // element by element: what oclgrind knows of a float16 does not survive .lo and .hi
inline ints vec_lanes(void) { return (ints)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
inline float vec_sum(const vec v) {
    return (((v.s0 + v.s8) + (v.s4 + v.sc)) + ((v.s1 + v.s9) + (v.s5 + v.sd))) +
           (((v.s2 + v.sa) + (v.s6 + v.se)) + ((v.s3 + v.sb) + (v.s7 + v.sf)));
}
inline float max_of_4(const float a, const float b, const float c, const float d) { return fmax(fmax(a, b), fmax(c, d)); }
inline float vec_max(const vec v) {
    return max_of_4(max_of_4(v.s0, v.s1, v.s2, v.s3), max_of_4(v.s4, v.s5, v.s6, v.s7),
                    max_of_4(v.s8, v.s9, v.sa, v.sb), max_of_4(v.sc, v.sd, v.se, v.sf));
}
inline vec vec_evens(const vec a, const vec b) {
    return (vec)(a.s0, a.s2, a.s4, a.s6, a.s8, a.sa, a.sc, a.se,
                 b.s0, b.s2, b.s4, b.s6, b.s8, b.sa, b.sc, b.se);
}
inline vec vec_odds(const vec a, const vec b) {
    return (vec)(a.s1, a.s3, a.s5, a.s7, a.s9, a.sb, a.sd, a.sf,
                 b.s1, b.s3, b.s5, b.s7, b.s9, b.sb, b.sd, b.sf);
}
inline vec vec_twice(const vec a) { return a.s0011223344556677; }
#endif

// The same total in every work-item of the group. `shared` has room for LANES floats; all work-items must come here.
inline float row_sum(const vec part, local float *shared) {
    const float mine = vec_sum(part);
#if LANES > 1
    const int lane = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[lane] = mine;
    for (int half_way = LANES / 2; half_way > 0; half_way /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_way) shared[lane] += shared[lane + half_way];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return shared[0];
#else
    return mine;
#endif
}

inline float row_max(const vec part, local float *shared) {
    const float mine = vec_max(part);
#if LANES > 1
    const int lane = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    shared[lane] = mine;
    for (int half_way = LANES / 2; half_way > 0; half_way /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_way) shared[lane] = fmax(shared[lane], shared[lane + half_way]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return shared[0];
#else
    return mine;
#endif
}

// WIDTH floats from x[at] on, of which those at or beyond `end` count as `other`; and back, added to what is there or not.
inline vec row_part(global const float *x, const int at, const int end, const float other) {
    if (at + WIDTH <= end) return vec_load(0, x + at);
    float part[WIDTH];
    for (int i = 0; i < WIDTH; i++) part[i] = at + i < end ? x[at + i] : other;
    return vec_load(0, part);
}

inline void vec_put(const vec v, global float *x, const int at, const int end, const int accumulate) {
    if (at + WIDTH <= end) {
        vec_store(accumulate ? vec_load(0, x + at) + v : v, 0, x + at);
        return;
    }
    float part[WIDTH];
    vec_store(v, 0, part);
    for (int i = 0; i < WIDTH && at + i < end; i++) x[at + i] = accumulate ? x[at + i] + part[i] : part[i];
}

inline void put(const float v, global float *x, const int at, const int accumulate) { x[at] = accumulate ? x[at] + v : v; }

// The elements of this work-item when an array of rows is cut into runs of WIDTH; work-items with row >= rows have none.
typedef struct {
    int row, at;
} run;

inline run run_of(const int length) {
    const int runs = (length + WIDTH - 1) / WIDTH, id = get_global_id(0);
    run r;
    r.row = id / runs;
    r.at = id % runs * WIDTH;
    return r;
}

// The row of this work-item's group. A launch may be one of several and begin at a later row.
inline int group_row(void) { return (int)get_global_id(0) / LANES; }

// FOR_ROW(at, length) {...} visits the runs of WIDTH elements of a row that belong to this work-item; `at` is a run's first.
#define FOR_ROW(at, length) for (int at = (int)get_local_id(0) * WIDTH; at < (length); at += LANES * WIDTH)

kernel void fill(global float *to, const int rows, const int length, const float value) {
    const run r = run_of(length);
    if (r.row < rows) vec_put((vec)value, to, r.at, length, 0);
}

// sums[r] (+)= sum of row r
kernel void sum_rows(global float *sums, global const float *x, const int length, const int accumulate) {
    local float shared[LANES];
    const int r = group_row();
    x += r * length;
    vec part = 0.0f;
    FOR_ROW(at, length) part += row_part(x, at, length, 0.0f);
    const float sum = row_sum(part, shared);
    if (get_local_id(0) == 0) sums[r] = accumulate ? sums[r] + sum : sum;
}

// to[i] (+)= sum over n of x[n * count + i]: groups of `group`, the groups added in order
kernel void fold(global float *to, global const float *x, const int rows, const int count, const int n, const int group,
                 const int accumulate) {
    const run r = run_of(count);
    if (r.row >= rows) return;
    vec sum = accumulate ? row_part(to, r.at, count, 0.0f) : (vec)0.0f;
    for (int first = 0; first < n; first += group) {
        vec part = 0.0f;
        for (int k = first; k < min(first + group, n); k++) part += row_part(x + k * count, r.at, count, 0.0f);
        sum += part;
    }
    vec_put(sum, to, r.at, count, 0);
}
