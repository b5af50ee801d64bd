// contract - a register tile of TILE_M x TILE_N outputs per work-item, see contract.h. Neighbouring work-items take
// neighbouring columns: on a GPU they read B side by side and all the same A.

// Work-groups come in the order of their axes. A core passes all of A over the columns of B that its caches hold, so rows come
// first there; the lanes of a GPU take neighbouring columns.
#if LANES == 1
enum { AXIS_M, AXIS_Z, AXIS_N };
#else
enum { AXIS_N, AXIS_M, AXIS_Z };
#endif

// How the columns of one vector lie in C: -1 where a column does not exist.
typedef struct {
    int at[WIDTH];
} contract_places;

inline contract_places contract_places_of(const int n, const hkd_contract k) {
    contract_places places;
    int column = n % k.n0, row = n / k.n0 % k.n1, image = n / (k.n0 * k.n1);
    #pragma unroll
    for (int i = 0; i < WIDTH; i++) {
        const int exists = n + i < k.n && column < k.n0_used && row < k.n1_used;
        places.at[i] = exists ? column * k.c_n0 + row * k.c_n1 + image * k.c_n2 : -1;
        column++;
        if (column == k.n0) column = 0, row++;
        if (row == k.n1) row = 0, image++;
    }
    return places;
}

// Where the vector that begins at column n lies, along rows and images with these steps. k.b_n1 is not 0.
inline int contract_row_place(const int n, const int step_1, const int step_2, const hkd_contract k) {
    return n % k.n0 + n / k.n0 % k.n1 * step_1 + n / (k.n0 * k.n1) * step_2;
}

// The vector of B whose columns begin at n. Columns that do not exist are read too, and dropped when C is written; under a
// simulator that objects to reading what nobody wrote they are not (-DKEPT_LANES).
inline vec contract_load(global const float *b, const int n, const hkd_contract k) {
#ifdef KEPT_LANES
    const contract_places places = contract_places_of(n, k);
    float lane[WIDTH];
    for (int i = 0; i < WIDTH; i++) lane[i] = places.at[i] >= 0 ? b[i] : 0.0f;
    return vec_load(0, lane);
#else
    return vec_load(0, b);
#endif
}

// sum += one term of every output.
inline void __attribute__((always_inline))
contract_term(vec sum[TILE_M][TILE_V], global const float *a, global const float *b, const int a_row[TILE_M],
              const int b_place[TILE_V], const int n, const hkd_contract k) {
    vec x[TILE_V];
    #pragma unroll
    for (int v = 0; v < TILE_V; v++) x[v] = contract_load(b + b_place[v], n + v * WIDTH, k);
    #pragma unroll
    for (int i = 0; i < TILE_M; i++) {
        const vec w = a[a_row[i]];
        #pragma unroll
        for (int v = 0; v < TILE_V; v++) sum[i][v] = fma(w, x[v], sum[i][v]);
    }
}

// The terms of a 3x3 kernel, or (step -1) of its data gradient, for r0 in [first, last): straight code for a row of taps.
inline void __attribute__((always_inline))
contract_three(vec sum[TILE_M][TILE_V], global const float *a, global const float *b, const int a_row[TILE_M],
               const int b_place[TILE_V], const int n, const int first, const int last, const int step, const hkd_contract k) {
    for (int r0 = first; r0 < last; r0++)
        for (int r1 = 0; r1 < 3; r1++) {
            global const float *a_at = a + r0 * k.a_r0 + r1 * k.a_r1, *b_at = b + r0 * k.b_r0 + r1 * k.b_r1;
            #pragma unroll
            for (int r2 = 0; r2 < 3; r2++) contract_term(sum, a_at + r2 * step, b_at + r2, a_row, b_place, n, k);
        }
}

kernel void __attribute__((reqd_work_group_size(LANES, 1, 1)))
contract(global float *c, global const float *a, global const float *b, global const float *bias, global const float *more,
         const hkd_contract k) {
    const int n = k.first_n + (int)get_global_id(AXIS_N) * TILE_N, m = k.first_m + (int)get_group_id(AXIS_M) * TILE_M;
    const int z = (int)get_group_id(AXIS_Z) + k.first_z, z0 = z % k.z0, z1 = z / k.z0;
    if (n >= k.last_n) return;

    int a_row[TILE_M]; // rows beyond the last repeat it and are not stored
    #pragma unroll
    for (int i = 0; i < TILE_M; i++) a_row[i] = min(m + i, k.m - 1) * k.a_m;
    a += k.a + z0 * k.a_z0 + z1 * k.a_z1;
    b += k.b + z0 * k.b_z0 + z1 * k.b_z1;
    const int c_start = k.c + z0 * k.c_z0 + z1 * k.c_z1 + m * k.c_m;
    c += c_start;
    int b_place[TILE_V];
    #pragma unroll
    for (int v = 0; v < TILE_V; v++) {
        const int column = n + v * WIDTH; // rows hold whole vectors, so one beyond the last may stand in its place
        b_place[v] = k.b_n1 ? contract_row_place(min(column, k.n - WIDTH), k.b_n1, k.b_n2, k) : column;
    }
    const int step = k.group > 0 ? k.group : max(k.r0, 1);
    for (int first = k.first_r0; first < max(k.last_r0, 1); first += step) {
        vec sum[TILE_M][TILE_V];
        #pragma unroll
        for (int i = 0; i < TILE_M; i++)
            #pragma unroll
            for (int v = 0; v < TILE_V; v++) sum[i][v] = 0.0f;
        const int last = min(first + step, k.last_r0), three = k.r1 == 3 && k.r2 == 3 && k.b_r2 == 1;
        if (three && k.a_r2 == 1) contract_three(sum, a, b, a_row, b_place, n, first, last, 1, k);
        else if (three && k.a_r2 == -1) contract_three(sum, a, b, a_row, b_place, n, first, last, -1, k);
        else
            for (int r0 = first; r0 < last; r0++)
                for (int r1 = 0; r1 < k.r1; r1++) {
                    global const float *a_at = a + r0 * k.a_r0 + r1 * k.a_r1, *b_at = b + r0 * k.b_r0 + r1 * k.b_r1;
                    for (int r2 = 0; r2 < k.r2; r2++, a_at += k.a_r2, b_at += k.b_r2)
                        contract_term(sum, a_at, b_at, a_row, b_place, n, k);
                }
        const int add = k.accumulate || first > 0;
        const int dense = k.n0 == k.n && k.c_n0 == 1; // the columns lie side by side
        #pragma unroll
        for (int v = 0; v < TILE_V; v++) {
            const int column = n + v * WIDTH;
            const vec by_n = bias && k.bias_by_n ? row_part(bias, k.bias + column, k.bias + k.n, 0.0f) : (vec)0.0f;
            contract_places places;
            int first = column, end = k.n; // of what is written at once
            if (k.b_n1) first = contract_row_place(min(column, k.n - WIDTH), k.c_n1, k.c_n2, k), end = first + WIDTH;
            else if (!dense) places = contract_places_of(column, k);
            #pragma unroll
            for (int i = 0; i < TILE_M; i++) {
                if (m + i >= k.m || column >= k.n) continue;
                vec y = sum[i][v] + (bias && !k.bias_by_n ? (vec)bias[k.bias + m + i] : by_n);
                if (dense || k.b_n1) {
                    if (k.more == CONTRACT_SHIFT) y += more[(column / (k.n0 * k.n1) + z1) * k.more_image + k.bias + m + i];
                    if (k.more == CONTRACT_RESIDUAL) y = k.scale * (y + row_part(more + c_start + i * k.c_m, first, end, 0.0f));
                    vec_put(y, c + i * k.c_m, first, end, add);
                } else {
                    float lane[WIDTH];
                    vec_store(y, 0, lane);
                    #pragma unroll
                    for (int j = 0; j < WIDTH; j++)
                        if (places.at[j] >= 0) put(lane[j], c + i * k.c_m, places.at[j], add);
                }
            }
        }
    }
}
