// blas - CLBlast adds no bias: it adds to a result that holds it already. C[z][m][n] = bias[m], or bias[n].

kernel void blas_bias(global float *c, global const float *bias, const hkd_contract k) {
    const int id = get_global_id(0), n = id % k.n, m = id / k.n % k.m, z = id / (k.n * k.m);
    if (z >= k.z0 * k.z1) return;
    const int at = k.c + z % k.z0 * k.c_z0 + z / k.z0 * k.c_z1 + m * k.c_m + n * k.c_n0;
    const float b = bias[k.bias + (k.bias_by_n ? n : m)];
    c[at] = k.accumulate ? c[at] + b : b;
}
