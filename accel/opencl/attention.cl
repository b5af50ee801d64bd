// attention - the softmax between the matrix products of attention.c. Logits stand transposed, l [heads, j, i], so a run of
// WIDTH queries i is one vector and each work-item walks down its columns without waiting for others.

// l becomes w, the softmax over j of scale * l
kernel void attention_softmax(global float *l, const int rows, const int area, const float scale) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    const int i = r.at;
    l += r.row * area * area;
    vec largest = scale * row_part(l, i, area, 0.0f), total = 0.0f;
    for (int j = 1; j < area; j++) largest = fmax(largest, scale * row_part(l + j * area, i, area, 0.0f));
    for (int j = 0; j < area; j++) {
        const vec e = exp(scale * row_part(l + j * area, i, area, 0.0f) - largest);
        total += e;
        vec_put(e, l + j * area, i, area, 0);
    }
    for (int j = 0; j < area; j++) vec_put(row_part(l + j * area, i, area, 0.0f) / total, l + j * area, i, area, 0);
}

// dw becomes scale * w (dw - D), D[i] = sum over j of w dw
kernel void attention_softmax_grad(global float *dw, global const float *w, const int rows, const int area, const float scale) {
    const run r = run_of(area);
    if (r.row >= rows) return;
    const int i = r.at, head = r.row * area * area;
    dw += head;
    w += head;
    vec d = 0.0f;
    for (int j = 0; j < area; j++) d = fma(row_part(w + j * area, i, area, 0.0f), row_part(dw + j * area, i, area, 0.0f), d);
    for (int j = 0; j < area; j++) {
        const vec dl = row_part(w + j * area, i, area, 0.0f) * (row_part(dw + j * area, i, area, 0.0f) - d);
        vec_put(scale * dl, dw + j * area, i, area, 0);
    }
}
