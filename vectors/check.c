/* check.c - judge a port of the operators with the recorded vectors. C99 and libm, no other code of this project.
 *
 *   cc -O2 check.c -o check -lm && ./check VECTORS RESULTS
 *
 * VECTORS/index.tsv has one line per tensor, separated by tabs:
 *   case  role  dtype  shape  file  offset  hash  class  n  parameters
 * RESULTS/OP/CASE.safetensors is what your port computed from in.* and up.*: float32 tensors named out.* and grad.*.
 * A result is right when  |got - y| <= 2^-24 bound + ulp32(y)/2 + n 2^-149;  in class `exact` when got = y. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { /* a line of index.tsv */
    char *id, *role, *dtype, *shape, *file, *kind;
    long offset, count;
    uint64_t hash;
    double n;
} row;

static unsigned char *read_all(const char *dir, const char *name, size_t *size) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, f) != *size) *size = 0;
    if (bytes) bytes[*size] = 0;
    fclose(f);
    return bytes;
}

/* Element i of a little-endian array of F32 or F64. */
static double element(const unsigned char *b, long i, int wide) {
    const int size = wide ? 8 : 4;
    uint64_t bits = 0;
    for (int k = size - 1; k >= 0; k--) bits = bits << 8 | b[i * size + k];
    const uint32_t low = (uint32_t)bits;
    double d;
    float f;
    memcpy(&d, &bits, 8);
    memcpy(&f, &low, 4);
    return wide ? d : (double)f;
}

static double allowance(double y, double bound, double n) {
    int e;
    frexp(y, &e);
    const double ulp = ldexp(1, y == 0 || e - 24 < -149 ? -149 : e - 24);
    return ldexp(bound, -24) + ulp / 2 + n * ldexp(1, -149);
}

/* How much of the allowance does `got` use? More than 1 is wrong. */
static double share(double y, double bound, double got, const row *r) {
    if (isnan(y)) return isnan(got) ? 0 : INFINITY;
    if (got == y) return 0;
    if (isnan(got) || isinf(got) || isinf(y) || !strcmp(r->kind, "exact")) return INFINITY;
    return fabs(got - y) / allowance(y, bound, r->n);
}

static char *field(char **line) {
    char *start = *line, *end = strchr(start, '\t');
    if (end) *end = 0;
    *line = end ? end + 1 : start + strlen(start);
    return start;
}

static row parse(char *line) {
    row r = {.count = 1};
    r.id = field(&line), r.role = field(&line), r.dtype = field(&line), r.shape = field(&line), r.file = field(&line);
    r.offset = atol(field(&line));
    r.hash = strtoull(field(&line), NULL, 16);
    r.kind = field(&line);
    r.n = atof(field(&line));
    for (char *at = r.shape; strcmp(r.shape, "scalar") != 0 && *at; at += *at == 'x') r.count *= strtol(at, &at, 10);
    return r;
}

/* The tensor of this row within its file; NULL when its bytes are not those that were recorded (FNV-1a). */
static const unsigned char *tensor(const row *r, const unsigned char *file, size_t size) {
    const size_t bytes = (size_t)r->count * (strcmp(r->dtype, "F64") ? 4 : 8);
    uint64_t h = 0xCBF29CE484222325u;
    if (!file || (size_t)r->offset + bytes > size) return NULL;
    for (size_t i = 0; i < bytes; i++) h = (h ^ file[(size_t)r->offset + i]) * 0x100000001B3u;
    return h == r->hash ? file + r->offset : NULL;
}

/* The float32 tensor `role` of a safetensors file: 8 bytes length, a JSON header, the data. NULL: none. */
static const unsigned char *result(const unsigned char *file, size_t size, const row *r) {
    char key[80];
    snprintf(key, sizeof key, "\"%s\":", r->role);
    char *at = file && size > 8 ? strstr((const char *)file + 8, key) : NULL, *offsets = at ? strstr(at, "data_offsets") : NULL;
    if (!offsets || !strstr(at, "\"F32\"") || !(offsets = strchr(offsets, '['))) return NULL;
    const size_t begin = strtoul(offsets + 1, &offsets, 10), end = strtoul(offsets + 1, NULL, 10);
    uint64_t length = 0;
    for (int k = 7; k >= 0; k--) length = length << 8 | file[k];
    return end - begin == (size_t)r->count * 4 && 8 + length + end <= size ? file + 8 + length + begin : NULL;
}

int main(int argc, char **argv) {
    size_t size, lines = 0, passed = 0, failed = 0, missing = 0;
    char *index = argc == 3 ? (char *)read_all(argv[1], "index.tsv", &size) : NULL;
    row *rows = index ? calloc(size / 16 + 1, sizeof *rows) : NULL;
    if (!rows) return fprintf(stderr, "usage: check VECTORS RESULTS (VECTORS/index.tsv must exist)\n"), 2;
    for (char *line = strtok(index, "\n"); line; line = strtok(NULL, "\n")) rows[lines++] = parse(line);
    for (size_t i = 0; i < lines; i++) {
        const row *r = &rows[i], *b = NULL;
        char bound_role[80];
        if (strncmp(r->role, "out.", 4) != 0 && strncmp(r->role, "grad.", 5) != 0) continue;
        snprintf(bound_role, sizeof bound_role, "bound.%s", r->role);
        for (size_t k = 0; k < lines; k++)
            if (!strcmp(rows[k].file, r->file) && !strcmp(rows[k].role, bound_role)) b = &rows[k];
        size_t vector_size = 0, result_size = 0;
        unsigned char *vector = read_all(argv[1], r->file, &vector_size), *mine = read_all(argv[2], r->file, &result_size);
        const unsigned char *y = tensor(r, vector, vector_size), *bound = b ? tensor(b, vector, vector_size) : NULL;
        const unsigned char *got = result(mine, result_size, r);
        double worst = 0;
        long wrong = 0, first = -1;
        for (long e = 0; y && bound && got && e < r->count; e++) {
            const double s = share(element(y, e, 1), element(bound, e, 0), element(got, e, 0), r);
            if (s > worst) worst = s;
            if (s > 1 && !wrong++) first = e;
        }
        if (!y || !bound) printf("FAIL %s %s: the vector is damaged\n", r->id, r->role), failed++;
        else if (!mine) missing++;
        else if (!got) printf("FAIL %s %s: no float32 result of this shape\n", r->id, r->role), failed++;
        else if (wrong)
            printf("FAIL %s %s %s: %ld wrong, first at %ld: expected %.9g, got %.9g; worst %.3g times the allowance\n", r->id,
                   r->role,
                   r->shape, wrong, first, element(y, first, 1), element(got, first, 0), worst), failed++;
        else passed++;
        free(vector), free(mine);
    }
    printf("%zu tensors passed, %zu failed, %zu without a result\n", passed, failed, missing);
    return failed || !passed;
}
