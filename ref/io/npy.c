#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 10000 };

static const struct {
    const char *descr;
    hkd_stored type;
} types[] = {
    {"<f4", HKD_FLOAT}, {"<f8", HKD_DOUBLE}, {"<f2", HKD_F16}, {"|u1", HKD_U8}, {"|i1", HKD_I8}, {"|b1", HKD_BOOL},
    {"<i2", HKD_I16}, {"<u2", HKD_U16}, {"<i4", HKD_I32}, {"<u4", HKD_U32}, {"<i8", HKD_I64}, {"<u8", HKD_U64},
};
enum { TYPES = sizeof types / sizeof *types };

/* ---- the header: a Python dictionary of three entries ----------------------------------------------------------------- */

typedef struct {
    const char *at, *end, *file;
    hkd_stored type;
    hkd_shape shape;
    bool fortran;
    int seen; /* bits: descr, fortran_order, shape */
} parser;

static hkd_status bad(const parser *p, const char *expected) {
    return hkd_fail(HKD_BAD_FILE, "%s: .npy header: expected %s", p->file, expected);
}

static bool take(parser *p, const char *word) {
    while (p->at < p->end && *p->at && strchr(" \t\r\n", *p->at)) p->at++;
    const size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n)) return false;
    p->at += n;
    return true;
}

static bool take_string(parser *p, char out[16]) {
    const char quote = take(p, "'") ? '\'' : take(p, "\"") ? '"' : 0;
    size_t n = 0;
    while (quote && p->at < p->end && *p->at != quote && n < 15) out[n++] = *p->at++;
    out[n] = 0;
    return quote && p->at < p->end && *p->at++ == quote;
}

static hkd_status parse_shape(parser *p) {
    if (!take(p, "(")) return bad(p, "a tuple for 'shape'");
    while (!take(p, ")")) {
        int64_t v = 0;
        take(p, "");
        const char *digits = p->at;
        for (; p->at < p->end && *p->at >= '0' && *p->at <= '9' && v < INT64_MAX / 10 - 1; p->at++) v = 10 * v + (*p->at - '0');
        if (p->at == digits) return bad(p, "whole numbers in 'shape'");
        if (p->shape.rank == HKD_MAX_RANK)
            return hkd_fail(HKD_BAD_FILE, "%s: more than %d extents are not supported", p->file, HKD_MAX_RANK);
        p->shape.dim[p->shape.rank++] = v;
        if (take(p, ",")) continue;
        if (!take(p, ")")) return bad(p, "',' or ')' in 'shape'");
        break;
    }
    return hkd_shape_valid(&p->shape) ? HKD_OK : hkd_fail(HKD_BAD_FILE, "%s: shape overflows", p->file);
}

static hkd_status parse_type(parser *p) {
    char descr[16];
    if (!take_string(p, descr)) return bad(p, "a string for 'descr'");
    int i = 0;
    while (i < TYPES && strcmp(types[i].descr, descr)) i++;
    if (i == TYPES) return hkd_fail(HKD_BAD_FILE, "%s: .npy type '%s' is not supported", p->file, descr);
    p->type = types[i].type;
    return HKD_OK;
}

static hkd_status parse_entry(parser *p) {
    char key[16];
    if (!take_string(p, key) || !take(p, ":")) return bad(p, "'descr', 'fortran_order' and 'shape'");
    const int field = !strcmp(key, "descr") ? 1 : !strcmp(key, "fortran_order") ? 2 : !strcmp(key, "shape") ? 4 : 0;
    if (!field || p->seen & field) return bad(p, "'descr', 'fortran_order' and 'shape', once each");
    p->seen |= field;
    if (field == 1) return parse_type(p);
    if (field == 4) return parse_shape(p);
    p->fortran = take(p, "True");
    return p->fortran || take(p, "False") ? HKD_OK : bad(p, "True or False for 'fortran_order'");
}

static hkd_status parse(parser *p) {
    if (!take(p, "{")) return bad(p, "a dictionary");
    while (!take(p, "}")) {
        const hkd_status status = parse_entry(p);
        if (status) return status;
        if (!take(p, ",") && (p->at >= p->end || *p->at != '}')) return bad(p, "',' or '}'");
    }
    take(p, "");
    if (p->seen != 7) return bad(p, "'descr', 'fortran_order' and 'shape'");
    return p->at == p->end ? HKD_OK : bad(p, "nothing after the dictionary");
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

static hkd_status check_size(const parser *p, const hkd_file *file, uint64_t offset) {
    const uint64_t found = hkd_file_size(file) - offset, expected =
        (uint64_t)hkd_count(&p->shape) * (hkd_stored_bits(p->type) / 8);
    if (found == expected) return HKD_OK;
    return hkd_fail(HKD_BAD_FILE, "%s: %llu bytes of data, expected %llu", p->file, (unsigned long long)found,
                    (unsigned long long)expected);
}

static hkd_status read_values(double **values, hkd_stored type, size_t count, hkd_file *file, uint64_t offset) {
    const size_t each = hkd_stored_bits(type) / 8;
    if (!(*values = malloc(count * sizeof **values + 1)))
        return hkd_fail(HKD_RESOURCES, "%s: out of memory", hkd_file_name(file));
    unsigned char chunk[1 << 14];
    for (size_t done = 0; done < count;) {
        const size_t room = sizeof chunk / each, n = count - done < room ? count - done : room;
        const hkd_status status = hkd_file_read(file, offset + done * each, chunk, n * each);
        if (status) {
            free(*values);
            *values = NULL;
            return status;
        }
        hkd_stored_decode(*values + done, HKD_F64, chunk, type, n);
        done += n;
    }
    return HKD_OK;
}

/* Columns first, as Fortran stores arrays, into rows first. */
static hkd_status reorder(double **values, const hkd_shape *shape, const char *file) {
    const int64_t count = hkd_count(shape);
    double *rows = malloc((size_t)count * sizeof *rows + 1);
    if (!rows) return hkd_fail(HKD_RESOURCES, "%s: out of memory", file);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0, rest = i, stride = count;
        for (int k = shape->rank; k-- > 0; rest /= shape->dim[k]) at += rest % shape->dim[k] * (stride /= shape->dim[k]);
        rows[i] = (*values)[at];
    }
    free(*values);
    *values = rows;
    return HKD_OK;
}

hkd_status hkd_npy_header(hkd_stored *type, hkd_shape *shape, bool *fortran, uint64_t *data_offset, hkd_file *file) {
    const char *name = hkd_file_name(file);
    unsigned char start[12] = {0};
    hkd_status status = hkd_file_read(file, 0, start, 10);
    if (status) return status;
    if (memcmp(start, "\x93NUMPY", 6)) return hkd_fail(HKD_BAD_FILE, "%s: no .npy file", name);
    if (start[6] != 1 && start[6] != 2)
        return hkd_fail(HKD_BAD_FILE, "%s: .npy version %d is not supported, expected 1 or 2", name, start[6]);
    const size_t fixed = start[6] == 1 ? 10 : 12;
    if ((status = hkd_file_read(file, 0, start, fixed))) return status;
    const size_t n = start[8] | (size_t)start[9] << 8 | (size_t)start[10] << 16 | (size_t)start[11] << 24;
    if (n > MAX_HEADER)
        return hkd_fail(HKD_BAD_FILE, "%s: .npy header of %llu bytes, expected at most %d", name, (unsigned long long)n,
                        MAX_HEADER);
    char text[MAX_HEADER];
    if ((status = hkd_file_read(file, fixed, text, n))) return status;
    parser p = {.at = text, .end = text + n, .file = name};
    status = parse(&p);
    *type = p.type;
    *shape = p.shape;
    *fortran = p.fortran;
    *data_offset = fixed + n;
    return status ? status : check_size(&p, file, *data_offset);
}

hkd_status hkd_npy_read_file(double **values, hkd_shape *shape, hkd_file *file) {
    hkd_stored type;
    hkd_shape found;
    uint64_t offset;
    bool fortran;
    *values = NULL;
    *shape = (hkd_shape){0};
    hkd_status status = hkd_npy_header(&type, &found, &fortran, &offset, file);
    if (!status) status = read_values(values, type, (size_t)hkd_count(&found), file, offset);
    if (!status && fortran) status = reorder(values, &found, hkd_file_name(file));
    if (!status) *shape = found;
    return status;
}

hkd_status hkd_npy_read(double **values, hkd_shape *shape, const char *path) {
    hkd_file *file;
    *values = NULL;
    hkd_status status = hkd_file_open(&file, path);
    if (status) return status;
    status = hkd_npy_read_file(values, shape, file);
    hkd_file_close(file);
    return status;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

size_t hkd_npy_make_header(char out[HKD_NPY_HEADER], const hkd_shape *shape, hkd_stored type) {
    int i = 0;
    while (i < TYPES && types[i].type != type) i++;
    if (i == TYPES || !hkd_shape_valid(shape)) return 0;
    int n = snprintf(out, HKD_NPY_HEADER, "\x93NUMPY\x01%c%c%c{'descr': '%s', 'fortran_order': False, 'shape': (", 0, 0, 0,
                     types[i].descr);
    for (int k = 0; k < shape->rank; k++)
        n += snprintf(out + n, (size_t)(HKD_NPY_HEADER - n), "%s%lld", k ? ", " : "", (long long)shape->dim[k]);
    n += snprintf(out + n, (size_t)(HKD_NPY_HEADER - n), "%s), }", shape->rank == 1 ? "," : "");
    while ((n + 1) % 64) out[n++] = ' ';
    out[n++] = '\n';
    out[8] = (char)((n - 10) & 255);
    out[9] = (char)((n - 10) >> 8);
    return (size_t)n;
}

hkd_status hkd_npy_write(const char *path, const hkd_shape *shape, hkd_stored type, const void *values, hkd_dtype as) {
    char header[HKD_NPY_HEADER];
    const size_t header_size = hkd_npy_make_header(header, shape, type);
    if (!header_size) return hkd_fail(HKD_USAGE, "%s: shape or type cannot be written as .npy", path);
    unsigned char chunk[1 << 14];
    hkd_writer *writer;
    hkd_status status = hkd_writer_open(&writer, path);
    if (status) return status;
    status = hkd_writer_put(writer, header, header_size);
    const size_t count = (size_t)hkd_count(shape), each = hkd_stored_bits(type) / 8;
    const size_t host = as == HKD_F64 ? sizeof(double) : sizeof(float);
    for (size_t done = 0; done < count && !status;) {
        const size_t room = sizeof chunk / each, n = count - done < room ? count - done : room;
        hkd_stored_encode(chunk, type, (const char *)values + done * host, as, n);
        status = hkd_writer_put(writer, chunk, n * each);
        done += n;
    }
    if (!status) return hkd_writer_commit(writer);
    hkd_writer_abandon(writer);
    return status;
}
