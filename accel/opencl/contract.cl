// contract - a register tile of TILE_M x TILE_N outputs per work-item, see contract.h. Neighbouring work-items take
// neighbouring columns: on a GPU they read B side by side and all the same A.

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

// The arrays from this work-item's z on, and where the vectors of its columns begin in B.
typedef struct {
    global float *c;
    global const float *a, *b, *bias, *extra;
    int place[TILE_V];
} contract_arrays;

// One vector of a row of sums, the outputs from column `column` on, and what `then` does to them: where the columns lie side by
// side, all of them or those of a vector (from `first` to `end`), or anywhere.
inline void contract_store_dense(const vec y, global float *c, global const float *extra, const int column, const int first,
                                 const int end, const int add, const hkd_contract k) {
    vec z = y;
    if (k.then == CONTRACT_CHANNEL && !k.bias_by_n) z += extra[column / (k.n0 * k.n1) * k.then_image];
    if (k.then == CONTRACT_RESIDUAL) z = (z + row_part(extra, first, end, 0.0f)) * k.scale;
    vec_put(z, c, first, end, add);
}

inline void contract_store_apart(const vec y, global float *c, global const float *extra, const int column,
                                 const contract_places *places, const int add, const hkd_contract k) {
    float lane[WIDTH];
    vec_store(y, 0, lane);
    #pragma unroll
    for (int j = 0; j < WIDTH; j++) {
        if (places->at[j] < 0) continue;
        float z = lane[j];
        if (k.then == CONTRACT_CHANNEL && !k.bias_by_n) z += extra[(column + j) / (k.n0 * k.n1) * k.then_image];
        if (k.then == CONTRACT_RESIDUAL) z = (z + extra[places->at[j]]) * k.scale;
        put(z, c, places->at[j], add);
    }
}

// sum += the terms of r0 in [first, last). r1, r2 and the steps along r2 are those of k, or constants that equal them, for which
// the loop over r2 becomes straight code with addresses known beforehand.
inline void contract_sum(vec sum[TILE_M][TILE_V], const contract_arrays *at, const int a_row[TILE_M], const int n,
                         const int first, const int last, const int r1, const int r2, const int a_r2, const int b_r2,
                         const hkd_contract k) {
    for (int r0 = first; r0 < last; r0++)
        for (int i1 = 0; i1 < r1; i1++) {
            global const float *a = at->a + r0 * k.a_r0 + i1 * k.a_r1, *b = at->b + r0 * k.b_r0 + i1 * k.b_r1;
            #pragma unroll 3
            for (int i2 = 0; i2 < r2; i2++) {
                vec x[TILE_V];
                #pragma unroll
                for (int v = 0; v < TILE_V; v++) x[v] = contract_load(b + at->place[v], n + v * WIDTH, k);
                #pragma unroll
                for (int i = 0; i < TILE_M; i++) {
                    const vec w = a[a_row[i]];
                    #pragma unroll
                    for (int v = 0; v < TILE_V; v++) sum[i][v] = fma(w, x[v], sum[i][v]);
                }
                a += a_r2;
                b += b_r2;
            }
        }
}

// The tile whose first output is row m, column n.
inline void contract_tile(const contract_arrays *at, const int m, const int n, const hkd_contract k) {
    int a_row[TILE_M]; // rows beyond the last repeat it and are not stored
    #pragma unroll
    for (int i = 0; i < TILE_M; i++) a_row[i] = min(m + i, k.m - 1) * k.a_m;
    const int step = k.group > 0 ? k.group : max(k.r0, 1);
    for (int first = k.first_r0; first < max(k.last_r0, 1); first += step) {
        vec sum[TILE_M][TILE_V];
        #pragma unroll
        for (int i = 0; i < TILE_M; i++)
            #pragma unroll
            for (int v = 0; v < TILE_V; v++) sum[i][v] = 0.0f;
        const int last = min(first + step, k.last_r0);
        const int three = k.r1 == 3 && k.r2 == 3 && k.b_r2 == 1; // a 3x3 convolution, or its data gradient
        if (three && k.a_r2 == 1) contract_sum(sum, at, a_row, n, first, last, 3, 3, 1, 1, k);
        else if (three && k.a_r2 == -1) contract_sum(sum, at, a_row, n, first, last, 3, 3, -1, 1, k);
        else contract_sum(sum, at, a_row, n, first, last, k.r1, k.r2, k.a_r2, k.b_r2, k);
        const int add = k.accumulate || first > 0, residual = k.then == CONTRACT_RESIDUAL;
        const int dense = k.n0 == k.n && k.c_n0 == 1; // the columns lie side by side
        #pragma unroll
        for (int v = 0; v < TILE_V; v++) {
            const int column = n + v * WIDTH;
            vec by_n = at->bias && k.bias_by_n ? row_part(at->bias, column, k.n, 0.0f) : (vec)0.0f;
            if (k.then == CONTRACT_CHANNEL && k.bias_by_n) by_n += row_part(at->extra, column, k.n, 0.0f);
            contract_places places;
            int begin = column, end = k.n; // of what is written at once
            if (k.b_n1) begin = contract_row_place(min(column, k.n - WIDTH), k.c_n1, k.c_n2, k), end = begin + WIDTH;
            else if (!dense) places = contract_places_of(column, k);
            #pragma unroll
            for (int i = 0; i < TILE_M; i++) {
                if (m + i >= k.m || column >= k.n) continue;
                const vec y = sum[i][v] + (at->bias && !k.bias_by_n ? (vec)at->bias[m + i] : by_n);
                global float *c = at->c + (m + i) * k.c_m;
                global const float *extra = at->extra + (residual ? (m + i) * k.c_m : m + i);
                if (dense || k.b_n1) contract_store_dense(y, c, extra, column, begin, end, add, k);
                else contract_store_apart(y, c, extra, column, &places, add, k);
            }
        }
    }
}

// A work-item takes columns n .. n + TILE_N - 1 of one z, and of the tiles below each other as many as there are fewer groups:
// on a CPU mostly all, so that what is prepared here, and the part of B in the nearest cache, serves them all.
kernel void __attribute__((reqd_work_group_size(LANES, 1, 1)))
contract(global float *c, global const float *a, global const float *b, global const float *bias, global const float *extra,
         const hkd_contract k) {
    const int n = k.first_n + (int)get_global_id(0) * TILE_N, down = (int)get_num_groups(1) * TILE_M;
    const int z = (int)get_group_id(2) + k.first_z, z0 = z % k.z0, z1 = z / k.z0;
    if (n >= k.last_n) return;
    const int corner = k.c + z0 * k.c_z0 + z1 * k.c_z1;
    contract_arrays at;
    at.c = c + corner;
    at.a = a + k.a + z0 * k.a_z0 + z1 * k.a_z1;
    at.b = b + k.b + z0 * k.b_z0 + z1 * k.b_z1;
    at.bias = bias ? bias + k.bias : bias;
    at.extra = k.then == CONTRACT_RESIDUAL ? extra + corner : k.then ? extra + z1 * k.then_image + k.bias : extra;
    #pragma unroll
    for (int v = 0; v < TILE_V; v++) {
        const int column = n + v * WIDTH; // rows hold whole vectors, so one beyond the last may stand in its place
        at.place[v] = k.b_n1 ? contract_row_place(min(column, k.n - WIDTH), k.b_n1, k.b_n2, k) : column;
    }
    for (int m = k.first_m + (int)get_group_id(1) * TILE_M; m < k.last_m; m += down) contract_tile(&at, m, n, k);
}
