/* check.c - judge a port of the operators with the recorded vectors. C99 and libm, no other code of this project.
 *
 *   cc -O2 check.c -o check -lm && ./check VECTORS RESULTS [--flush]       --flush: your port makes subnormal numbers zero
 *
 * VECTORS/index.tsv has one line per tensor, separated by tabs:
 *   case  role  dtype  shape  file  offset  hash  class  n  note (parameters; of results in class `network`: bound=NUMBER)
 * RESULTS/OP/CASE.safetensors is what your port computed from in.* and up.*: tensors out.* and grad.* in F32, F16 or F64.
 * A result is right when  |got - y| <= 2^-24 bound + ulp32(y)/2 + n 2^-149;  in class `exact` when got = y. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { /* a line of index.tsv */
    char *id, *role, *dtype, *shape, *file, *kind, *note;
    uint64_t offset, hash, count;
    double n;
} row;

typedef struct { /* a file; of a safetensors file also its JSON header, and the data behind it */
    unsigned char *bytes, *data;
    char *header;
    size_t size, data_size;
} file;

static file read_all(const char *dir, const char *name) {
    char path[1024];
    file r = {NULL, NULL, NULL, 0, 0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) return r;
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    r.bytes = size >= 0 && size < 1 << 30 ? calloc((size_t)size + 1, 1) : NULL;
    if (r.bytes) r.size = fread(r.bytes, 1, (size_t)size, f);
    fclose(f);
    uint64_t length = 0;
    for (int k = 7; k >= 0 && r.size >= 8; k--) length = length << 8 | r.bytes[k];
    if (r.size < 8 || length > r.size - 8 || !(r.header = calloc((size_t)length + 1, 1))) return r;
    memcpy(r.header, r.bytes + 8, (size_t)length);
    r.data = r.bytes + 8 + length, r.data_size = r.size - 8 - (size_t)length;
    return r;
}

static void drop(file *f) { free(f->bytes), free(f->header); }

static int width(const char *dtype) { return !strcmp(dtype, "F64") ? 8 : !strcmp(dtype, "F32") ? 4 : 2; }

/* Element i of a little-endian array of 8, 4 or 2 bytes each. */
static double element(const unsigned char *b, uint64_t i, int size) {
    uint64_t bits = 0;
    for (int k = size - 1; k >= 0; k--) bits = bits << 8 | b[i * (uint64_t)size + (uint64_t)k];
    const uint32_t low = (uint32_t)bits;
    const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    double d;
    float f;
    memcpy(&d, &bits, 8);
    memcpy(&f, &low, 4);
    if (size > 2) return size == 8 ? d : (double)f;
    if (exponent == 31) d = fraction ? NAN : INFINITY;
    else d = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits >> 15 ? -d : d;
}

/* The distance of numbers at y with `digits` binary digits, at least 2^lowest. */
static double ulp(double y, int digits, int lowest) {
    int e;
    frexp(y, &e);
    return ldexp(1, y == 0 || e - digits < lowest ? lowest : e - digits);
}

/* How much of the allowance does `got` use? More than 1 is wrong. */
static double share(double y, double bound, double got, const row *r, int half, int flush) {
    const double store = half ? ulp(y, 11, -24) : ulp(y, 24, -149) / 2, most = half ? 65504 : (double)FLT_MAX;
    const double allowed = ldexp(bound, -24) + store + r->n * ldexp(1, flush ? -126 : -149);
    if (isnan(y)) return isnan(got) ? 0 : INFINITY;
    if (got == y) return 0;
    if (isnan(got) || isinf(y) || (!strcmp(r->kind, "exact") && !half)) return INFINITY;
    if (isinf(got)) return (got > 0) == (y > 0) && fabs(y) + allowed > most ? 0 : INFINITY; /* overflow of the result's type */
    return fabs(got - y) / allowed;
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
    r.offset = strtoull(field(&line), NULL, 10);
    r.hash = strtoull(field(&line), NULL, 16);
    r.kind = field(&line);
    r.n = atof(field(&line));
    r.note = field(&line);
    for (char *at = r.shape; strcmp(r.shape, "scalar") != 0 && *at;) {
        const uint64_t extent = strtoull(at, &at, 10);
        r.count = extent && r.count > ((uint64_t)1 << 40) / extent ? (uint64_t)1 << 40 : r.count * extent; /* in no file */
        if (*at && *at++ != 'x') break;
    }
    return r;
}

/* The tensor of this row within its file; NULL when its bytes are not those that were recorded (FNV-1a). */
static const unsigned char *tensor(const row *r, const file *f) {
    const uint64_t bytes = r->count * (uint64_t)width(r->dtype);
    uint64_t h = 0xCBF29CE484222325u;
    if (r->offset > f->size || bytes > f->size - r->offset) return NULL;
    for (uint64_t i = 0; i < bytes; i++) h = (h ^ f->bytes[r->offset + i]) * 0x100000001B3u;
    return h == r->hash ? f->bytes + r->offset : NULL;
}

/* Do the JSON list at `list` and the shape "2x3x5" hold the same numbers? */
static int same_shape(const char *list, const char *shape) {
    if (!strcmp(shape, "scalar")) return list[1 + strspn(list + 1, " ")] == ']';
    for (const char *at = list + 1;; at++, shape++) {
        char *after, *end;
        if (strtoull(at, &after, 10) != strtoull(shape, &end, 10) || after == at) return 0;
        at = after + strspn(after, " "), shape = end;
        if (!*shape) return *at == ']';
        if (*at != ',' || *shape != 'x') return 0;
    }
}

/* The tensor of a port: *size bytes per element, 0 when the file lacks it. NULL: not as it must be. */
static const unsigned char *result(const file *f, const row *r, int *size) {
    char key[160];
    snprintf(key, sizeof key, "\"%.120s\":", r->role);
    char *at = f->header ? strstr(f->header, key) : NULL, *end = at ? strchr(at, '}') : NULL;
    *size = 0;
    if (!end) return NULL;
    *end = 0;
    char *type = strstr(at, "\"dtype\""), *shape = strstr(at, "\"shape\""), *offsets = strstr(at, "\"data_offsets\"");
    *size = !type ? 1 : strstr(type, "\"F32\"") ? 4 : strstr(type, "\"F16\"") ? 2 : strstr(type, "\"F64\"") ? 8 : 1;
    shape = shape ? strchr(shape, '[') : NULL, offsets = offsets ? strchr(offsets, '[') : NULL;
    int fits = *size > 1 && shape && offsets && same_shape(shape, r->shape);
    const uint64_t first = fits ? strtoull(offsets + 1, &offsets, 10) : 0, last = fits ? strtoull(offsets + 1, NULL, 10) : 0;
    fits = fits && first <= last && last <= f->data_size && last - first == r->count * (uint64_t)*size;
    *end = '}';
    return fits ? f->data + first : NULL;
}

/* Judge one result. `b`: its row of bounds, or NULL with one bound in the note. 0: right, 1: wrong, 2: no result. */
static int judge(const row *r, const row *b, const file *vector, const file *mine, int flush) {
    int size = 0;
    const unsigned char *y = tensor(r, vector), *bound = b ? tensor(b, vector) : NULL, *got = result(mine, r, &size);
    uint64_t wrong = 0, first = 0;
    double worst = 0;
    if (!y || (b && (!bound || b->count != r->count))) return printf("FAIL %s %s: the vector is damaged\n", r->id, r->role), 1;
    if (!size && (!mine->bytes || mine->header)) return 2;
    if (!got) return printf("FAIL %s %s: not F32, F16 or F64 of shape %s\n", r->id, r->role, r->shape), 1;
    for (uint64_t e = 0; e < r->count; e++) {
        const double allowed = b ? element(bound, e, width(b->dtype)) : atof(r->note + 6);
        const double s = share(element(y, e, width(r->dtype)), allowed, element(got, e, size), r, size == 2, flush);
        if (s > worst) worst = s;
        if (s > 1 && !wrong++) first = e;
    }
    if (wrong)
        printf("FAIL %s %s %s: %llu wrong, first at %llu: expected %.9g, got %.9g; worst %.3g times the allowance\n", r->id,
               r->role, r->shape, (unsigned long long)wrong, (unsigned long long)first, element(y, first, width(r->dtype)),
               element(got, first, size), worst);
    return wrong != 0;
}

int main(int argc, char **argv) {
    size_t lines = 0, first = 0, count[3] = {0, 0, 0};
    const int flush = argc == 4 && !strcmp(argv[3], "--flush");
    file index = {NULL, NULL, NULL, 0, 0}, vector = index, mine = index;
    if (argc == 3 || flush) index = read_all(argv[1], "index.tsv");
    row *rows = index.bytes ? calloc(index.size / 2 + 1, sizeof *rows) : NULL;
    if (!rows) return fprintf(stderr, "usage: check VECTORS RESULTS [--flush] (VECTORS/index.tsv must exist)\n"), 2;
    for (char *line = strtok((char *)index.bytes, "\n"); line; line = strtok(NULL, "\n")) rows[lines++] = parse(line);
    for (size_t i = 0; i < lines; i++) {
        if (i == 0 || strcmp(rows[i].file, rows[first].file) != 0) {
            if (i) drop(&vector), drop(&mine);
            first = i, vector = read_all(argv[1], rows[i].file), mine = read_all(argv[2], rows[i].file);
        }
        const row *r = &rows[i], *b = NULL;
        for (size_t k = first; k < lines && !strcmp(rows[k].file, r->file); k++)
            if (!strncmp(rows[k].role, "bound.", 6) && !strcmp(rows[k].role + 6, r->role)) b = &rows[k];
        if (b || (!strcmp(r->kind, "network") && !strncmp(r->note, "bound=", 6))) count[judge(r, b, &vector, &mine, flush)]++;
    }
    if (lines) drop(&vector), drop(&mine);
    drop(&index), free(rows);
    printf("%zu tensors passed, %zu failed, %zu without a result\n", count[0], count[1], count[2]);
    return count[1] || !count[0];
}
