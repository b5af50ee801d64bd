// haar2d - one work-item takes one quad of pixels to its four bands or back: the same symmetric matrix.

kernel void haar2d(global float *to, global const float *from, const int count, const int h, const int w, const int from_bands,
                   const int accumulate) {
    const int quad = get_global_id(0);
    if (quad >= count) return;
    const int j = quad % w, i = quad / w % h, plane = quad / (w * h);
    const int band = (plane * 4 * h + i) * w + j, pixel = (plane * 2 * h + 2 * i) * 2 * w + 2 * j;
    const int step = from_bands ? h * w : 1, next = from_bands ? 2 * h * w : 2 * w; // from value 0 to value 1, and to value 2
    const int at = from_bands ? band : pixel;
    const float v0 = from[at], v1 = from[at + step], v2 = from[at + next], v3 = from[at + next + step];
    const int to_step = from_bands ? 1 : h * w, to_next = from_bands ? 2 * w : 2 * h * w, place = from_bands ? pixel : band;
    put(0.5f * ((v0 + v1) + (v2 + v3)), to, place, accumulate);
    put(0.5f * ((v0 - v1) + (v2 - v3)), to, place + to_step, accumulate);
    put(0.5f * ((v0 + v1) - (v2 + v3)), to, place + to_next, accumulate);
    put(0.5f * ((v0 - v1) - (v2 - v3)), to, place + to_next + to_step, accumulate);
}
