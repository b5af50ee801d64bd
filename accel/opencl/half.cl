// half - float16 is a way to store: it is read as float32 and rounded to nearest when written. Needs no cl_khr_fp16.
// The half array is the part of a tensor that begins at `first`.

kernel void half_widen(global float *to, global const half *from, const int first, const int count) {
    const int i = get_global_id(0);
    if (i < count) to[i] = vload_half(first + i, from);
}

kernel void half_store(global half *to, global const float *from, const int first, const int count) {
    const int i = get_global_id(0);
    if (i < count) vstore_half_rte(from[i], first + i, to);
}

kernel void half_fill(global half *to, const int count, const float value) {
    const int i = get_global_id(0);
    if (i < count) vstore_half_rte(value, i, to);
}
