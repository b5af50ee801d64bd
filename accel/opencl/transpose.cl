// transpose - to [batch, columns, rows] = from [batch, rows, columns], a block of WIDTH x WIDTH per work-item.

kernel void transpose(global float *to, global const float *from, const int count, const int rows, const int columns) {
    const int high = (rows + WIDTH - 1) / WIDTH, wide = (columns + WIDTH - 1) / WIDTH, id = get_global_id(0);
    if (id >= count) return;
    const int row = id / wide % high * WIDTH, column = id % wide * WIDTH, start = id / (wide * high) * rows * columns;
    float block[WIDTH][WIDTH];
    #pragma unroll
    for (int i = 0; i < WIDTH; i++)
        vec_store(row_part(from + start + min(row + i, rows - 1) * columns, column, columns, 0.0f), 0, block[i]);
    #pragma unroll
    for (int j = 0; j < WIDTH; j++) {
        if (column + j >= columns) continue;
        float turned[WIDTH];
        #pragma unroll
        for (int i = 0; i < WIDTH; i++) turned[i] = block[i][j];
        vec_put(vec_load(0, turned), to + start + (column + j) * rows, row, rows, 0);
    }
}
