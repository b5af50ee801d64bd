/* How exact is the reference itself? The reference is compiled once more with every double a long double, operators, networks,
 * training step and sampler; it runs the recorded vectors and composites, and what was recorded must lie within 1/1000 of each
 * allowance of that. The elementary functions are the system's, so exact.c is judged as well. Usage: hkd_accuracy VECTORS */
#include "exact.h"
#include "networks.h"
#include "op.h"

double hkd_exp(double x) { return exp(x); }
double hkd_log(double x) { return log(x); }
double hkd_sin(double x) { return sin(x); }
double hkd_cos(double x) { return cos(x); }
double hkd_erf(double x) { return erf(x); }
double hkd_erfc(double x) { return erfc(x); }
double hkd_pow(double x, double y) { return pow(x, y); }

typedef struct { /* a line of index.tsv */
    char id[96], role[64], dtype[8], shape[64], file[128], hash[24], kind[16], params[512];
    long offset, n;
} row;

enum { MOST = 64 }; /* tensors of one case */

/* A half-precision number of the format's definition. */
static double half(uint16_t bits) {
    const int e = bits >> 10 & 31, m = bits & 1023;
    const double size = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024.0 + m, e - 25) : ldexp((double)m, -24);
    return bits >> 15 ? -size : size;
}

static hkd_shape shape_of(const char *text) {
    hkd_shape s = {0, {0, 0, 0, 0}};
    for (char *end; strcmp(text, "scalar") != 0 && *text; text = *end ? end + 1 : end) s.dim[s.rank++] = strtol(text, &end, 10);
    return s;
}

/* The numbers of a tensor; its shape in *s. Little-endian machines only. */
static double *read_tensor(const char *dir, const row *r, hkd_shape *s) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, r->file);
    *s = shape_of(r->shape);
    const size_t n = (size_t)hkd_count(s), size = r->dtype[1] == '6' ? 8 : r->dtype[1] == '3' ? 4 : 2;
    double *x = calloc(n + 1, sizeof *x);
    unsigned char *bytes = calloc(n + 1, size);
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, r->offset, SEEK_SET) || fread(bytes, size, n, f) != n) exit(3);
    fclose(f);
#undef double
    for (size_t i = 0; i < n; i++) {
        double d;
        float s4;
        uint16_t h;
        if (size == 8) memcpy(&d, bytes + 8 * i, 8), x[i] = (long double)d;
        else if (size == 4) memcpy(&s4, bytes + 4 * i, 4), x[i] = (long double)s4;
        else memcpy(&h, bytes + 2 * i, 2), x[i] = half(h);
    }
#define double long double
    free(bytes);
    return x;
}

static int find_name(const hkd_op *op, const char *name, bool output) {
    for (int i = 0; output ? op->out[i] != NULL : op->in[i] != NULL; i++)
        if (!strcmp(output ? op->out[i] : hkd_op_input_name(op, i), name)) return i;
    return -1;
}

static double allowance(double y, double bound, double n) {
    int e;
    frexp(y, &e);
    return ldexp(bound, -24) + ldexp(1.0, y == 0 || e - 24 < -149 ? -149 : e - 24) / 2 + n * ldexp(1.0, -149);
}

/* Worst share of the allowance of one result. */
static double worst_share(const double *recorded, const double *bound, const double *better, int64_t count, const row *r) {
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        if (recorded[i] == better[i] || (isnan(recorded[i]) && isnan(better[i]))) continue;
        if (!isfinite(recorded[i]) || !isfinite(better[i])) return INFINITY;
        worst = fmax(worst, fabs(recorded[i] - better[i]) / allowance(recorded[i], bound[i], (double)r->n));
    }
    return worst;
}

/* One case: rows[0..count). Returns its worst share. */
static double check(const char *dir, const row *rows, int count, const hkd_op *op) {
    hkd_shape in_shape[HKD_MAX_IN], out_shape[HKD_MAX_OUT], s;
    double p[HKD_MAX_PARAM], *data[MOST], worst = 0;
    hkd_ref_call c = {.p = p, .in_shape = in_shape, .out_shape = out_shape, .kappa = HKD_KAPPA_RANDOM};
    for (int i = 0; i < HKD_MAX_IN; i++) in_shape[i] = HKD_ABSENT;
    for (int i = 0; i < hkd_op_params(op); i++) {
        char key[48];
        snprintf(key, sizeof key, "%s=", op->param[i].name);
        const char *at = strstr(rows->params, key);
        p[i] = at ? strtold(at + strlen(key), NULL) : op->param[i].value;
    }
    for (int i = 0; i < count; i++) data[i] = read_tensor(dir, &rows[i], &s);
    for (int i = 0; i < count; i++) {
        const char *name = strchr(rows[i].role, '.') + 1;
        const bool output = !strncmp(rows[i].role, "out.", 4) || !strncmp(rows[i].role, "up.", 3);
        const int at = strncmp(rows[i].role, "bound.", 6) ? find_name(op, name, output) : -1;
        if (at < 0) continue;
        s = shape_of(rows[i].shape);
        if (rows[i].role[0] == 'i') c.in[at] = data[i], in_shape[at] = s;
        if (rows[i].role[0] == 'u') c.up[at] = data[i];
        if (rows[i].role[0] == 'o') c.out[at] = calloc((size_t)hkd_count(&s) + 1, sizeof(double)), out_shape[at] = s;
        if (rows[i].role[0] == 'g') c.grad[at] = calloc((size_t)hkd_count(&s) + 1, sizeof(double));
    }
    op->forward(&c);
    if (op->backward) op->backward(&c);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++) {
            if (strncmp(rows[k].role, "bound.", 6) != 0 || strcmp(rows[k].role + 6, rows[i].role) != 0) continue;
            const char *name = strchr(rows[i].role, '.') + 1;
            const bool output = rows[i].role[0] == 'o';
            const double *better = output ? c.out[find_name(op, name, true)] : c.grad[find_name(op, name, false)];
            s = shape_of(rows[i].shape);
            worst = fmax(worst, worst_share(data[i], data[k], better, hkd_count(&s), &rows[i]));
        }
    for (int i = 0; i < count; i++) free(data[i]);
    for (int i = 0; i < HKD_MAX_OUT; i++) free(c.out[i]);
    for (int i = 0; i < HKD_MAX_IN; i++) free(c.grad[i]);
    return worst;
}

/* ---- composites ---- */

static struct { /* index.tsv */
    const char *dir;
    row *rows;
    int count;
} list;

/* Of tools/fill.c: here the recorded numbers themselves, named by their stream "networks/NAME/TENSOR", and not made anew. */
hkd_status hkd_fill(double *x, int64_t count, const char *how, const char *stream) {
    hkd_shape s;
    (void)how;
    for (int i = 0; i < list.count; i++) {
        const row *r = &list.rows[i];
        const size_t n = strlen(r->id);
        if (strncmp(r->id, stream, n) != 0 || stream[n] != '/' || strcmp(stream + n + 1, r->role) != 0) continue;
        double *values = read_tensor(list.dir, r, &s);
        const bool fits = hkd_count(&s) == count;
        if (fits) memcpy(x, values, (size_t)count * sizeof *x);
        free(values);
        return fits ? HKD_OK : HKD_BAD_FILE;
    }
    return HKD_BAD_FILE;
}

/* A composite, whose results have one bound for all elements: the note of the index. Infinite when a result is missing. */
static double check_composite(const char *dir, const row *rows, int count) {
    hkd_recording r = {.count = 0};
    hkd_device *dev = NULL;
    double worst = 0;
    int index = 0;
    while (hkd_network_name(index) && strcmp(hkd_network_name(index), rows[0].id + strlen("networks/")) != 0) index++;
    hkd_status status = hkd_network_name(index) ? HKD_OK : HKD_BAD_FILE;
    if (!status) status = hkd_device_open_ref(&dev, &(hkd_device_options){.threads = 1});
    if (!status) status = hkd_network_run(&r, index, dev);
    for (int i = 0; !status && i < count; i++) {
        hkd_shape s;
        const hkd_recorded *t = hkd_recording_find(&r, rows[i].role);
        if (strncmp(rows[i].params, "bound=", 6) != 0) continue;
        double *recorded = read_tensor(dir, &rows[i], &s), *bound = calloc((size_t)hkd_count(&s) + 1, sizeof *bound);
        for (int64_t k = 0; k < hkd_count(&s); k++) bound[k] = strtold(rows[i].params + 6, NULL);
        worst = fmax(worst, t && hkd_same_shape(&t->shape, &s)
                                ? worst_share(recorded, bound, t->value, hkd_count(&s), &rows[i]) : INFINITY);
        free(recorded), free(bound);
    }
    hkd_recording_free(&r);
    if (dev) hkd_device_close(dev);
    return status ? INFINITY : worst;
}

/* ---- all ---- */

static bool next_row(row *r, FILE *index) {
    char line[2048];
    *r = (row){.id = ""};
    if (!fgets(line, sizeof line, index)) return false;
    return sscanf(line, "%95s %63s %7s %63s %127s %ld %23s %15s %ld %511[^\n]", r->id, r->role, r->dtype, r->shape, r->file,
                  &r->offset, r->hash, r->kind, &r->n, r->params) >= 9;
}

static bool read_index(const char *dir) {
    char path[512];
    row r;
    snprintf(path, sizeof path, "%s/index.tsv", dir);
    FILE *index = fopen(path, "r");
    list.dir = dir;
    while (index && next_row(&r, index)) {
        list.rows = realloc(list.rows, ((size_t)list.count + 1) * sizeof r);
        list.rows[list.count++] = r;
    }
    return index && !fclose(index);
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "vectors";
    if (!read_index(dir) || LDBL_MANT_DIG < 64) return printf("SKIP accuracy: no index, or no long double\n"), 77;
    double worst[2] = {0, 0}; /* of cases, of composites */
    char where[2][96] = {"", ""};
    int count[2] = {0, 0}, bad = 0;
    for (int i = 0, n; i < list.count; i += n) {
        const row *rows = &list.rows[i];
        const int kind = !strcmp(rows->kind, "network");
        for (n = 1; i + n < list.count && !strcmp(rows[n].id, rows->id);) n++;
        char op[64];
        snprintf(op, sizeof op, "%.*s", (int)strcspn(rows->id, "/"), rows->id);
        const double share = kind ? check_composite(dir, rows, n) : check(dir, rows, n, hkd_find_op(op));
        if (!(share <= 1e-3)) printf("FAIL %s: the reference is off by %.2Lg of the allowance\n", rows->id, share), bad++;
        if (!(share <= worst[kind])) worst[kind] = share, snprintf(where[kind], sizeof where[kind], "%s", rows->id);
        count[kind]++;
    }
    printf("the reference uses at most %.2Lg of an allowance (%s), in composites %.2Lg (%s)\n", worst[0], where[0], worst[1],
           where[1]);
    printf("accuracy: %d cases passed, %d failed\n", count[0] + count[1] - bad, bad);
    free(list.rows);
    return bad || count[0] < 600 || count[1] < 14;
}
