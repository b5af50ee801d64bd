/* .npy: what NumPy wrote is read, what it could not have written is refused, what we write is read back. */
#include "npy.h"
#include "tensor_list.h"
#include "scratch.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hkd_status read_text(double **values, hkd_shape *shape, int version, const char *header, const void *data, size_t n) {
    unsigned char bytes[600] = "\x93NUMPY";
    const size_t length = strlen(header), fixed = version == 1 ? 10 : 12;
    bytes[6] = (unsigned char)version;
    bytes[8] = (unsigned char)length;
    memcpy(bytes + fixed, header, length);
    memcpy(bytes + fixed + length, data, n);
    hkd_file *file;
    if (hkd_file_from_memory(&file, "memory", bytes, fixed + length + n)) return HKD_RESOURCES;
    const hkd_status status = hkd_npy_read_file(values, shape, file);
    hkd_file_close(file);
    return status;
}

static const struct {
    const char *header;
    int version;
    size_t data;
    bool accept;
    const char *why;
} cases[] = {
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 1, 8, true, "as NumPy writes it"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 2, 8, true, "version 2"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 3, 8, false, "version 3"},
    {"{\"shape\":(1,2),\"descr\":\"<f4\",\"fortran_order\":False}", 1, 8, true, "other order, other quotes"},
    {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4)}", 1, 8, true, "bytes"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': ()}", 1, 8, true, "scalar"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3)}", 1, 0, true, "empty"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 1, 7, false, "data too short"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 1, 9, false, "data too long"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}", 1, 8, false, "4 GB from 12 bytes"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 1, 0, false, "2^64 elements wrap to 0"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296)}", 1, 0, false, "overflow behind a zero"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", 1, 0, false, "beyond 2^63"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", 1, 8, false, "negative"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1)}", 1, 8, false, "rank 5"},
    {"{'descr': '<f8', 'fortran_order': True, 'shape': (1,)}", 1, 8, true, "Fortran order"},
    {"{'descr': '<f8', 'fortran_order': 1, 'shape': (1,)}", 1, 8, false, "an order that is no truth value"},
    {"{'descr': '>f8', 'fortran_order': False, 'shape': (1,)}", 1, 8, false, "big-endian"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 1, 8, false, "pickled objects"},
    {"{'descr': [('a','<f8')], 'fortran_order': False, 'shape': (1,)}", 1, 8, false, "structures"},
    {"{'descr': '<f8', 'descr': '<f8', 'shape': (1,)}", 1, 8, false, "an entry twice, one missing"},
    {"{'descr': '<f8', 'fortran_order': False}", 1, 8, false, "no shape"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)", 1, 8, false, "unfinished"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} x", 1, 8, false, "something after the dictionary"},
    {"", 1, 0, false, "no header"},
};

static void verdicts(void) {
    static const unsigned char zeros[16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double *values = NULL;
        hkd_shape shape;
        const hkd_status status = read_text(&values, &shape, cases[i].version, cases[i].header, zeros, cases[i].data);
        CHECK(status == (cases[i].accept ? HKD_OK : HKD_BAD_FILE), "%s: status %d (%s)", cases[i].why, (int)status,
              hkd_last_error());
        free(values);
    }
}

/* Element (i, j, k) of a [2, 3, 2] array whose first extent runs fastest, read alone and as an entry of a list. */
static void fortran(void) {
    static const char header[] = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }\n";
    static const unsigned char data[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    unsigned char file[10 + sizeof header - 1 + 12] = "\x93NUMPY\x01";
    double *v = NULL, listed[12] = {0};
    hkd_shape s;
    hkd_tensor_list list = {0};
    file[8] = sizeof header - 1;
    memcpy(file + 10, header, sizeof header - 1);
    memcpy(file + 10 + sizeof header - 1, data, sizeof data);
    CHECK(!read_text(&v, &s, 1, header, data, 12), "%s", hkd_last_error());
    CHECK(!hkd_tensor_list_read_memory(&list, "list", file, sizeof file) && !hkd_listed_values(listed, HKD_F64, list.item),
          "%s", hkd_last_error());
    for (int i = 0; i < 12 && v; i++) {
        const int expected = i / 6 + 2 * (i / 2 % 3) + 6 * (i % 2);
        CHECK(v[i] == expected && listed[i] == expected, "element %d is %g and %g, expected %d", i, v[i], listed[i], expected);
    }
    free(v);
    hkd_tensor_list_free(&list);
}

/* Written by numpy 2.4: np.save of [[0.5, -1], [3, 65504]] as float16. */
static void numpy_file(void) {
    static const unsigned char data[8] = {0x00, 0x38, 0x00, 0xbc, 0x00, 0x42, 0xff, 0x7b};
    double *v = NULL;
    hkd_shape s;
    CHECK(!read_text(&v, &s, 1, "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }   \n", data, 8), "%s",
          hkd_last_error());
    CHECK(v && s.rank == 2 && v[0] == 0.5 && v[1] == -1 && v[2] == 3 && v[3] == 65504, "values of a NumPy file");
    free(v);
}

static void round_trip(void) {
    const char *path = scratch("a.npy");
    static const double values[6] = {0.1, -2, 1e300, 4, 5, 6};
    const hkd_shape shapes[] = {hkd_shape_of(2, (int64_t)2, (int64_t)3), hkd_shape_of(1, (int64_t)6), hkd_shape_of(0),
                                hkd_shape_of(4, (int64_t)1, (int64_t)0, (int64_t)2, (int64_t)3)};
    for (int i = 0; i < 4; i++) {
        double *v = NULL;
        hkd_shape s;
        unsigned char *bytes = NULL;
        size_t n = 0;
        CHECK(!hkd_npy_write(path, &shapes[i], HKD_DOUBLE, values, HKD_F64), "%s", hkd_last_error());
        CHECK(!hkd_npy_read(&v, &s, path) && hkd_same_shape(&s, &shapes[i]), "shape %d: %s", i, hkd_last_error());
        CHECK(v && !memcmp(v, values, (size_t)hkd_count(&s) * sizeof *v), "values %d", i);
        CHECK(!hkd_read_file(&bytes, &n, path, 1000) && (n - 8 * (size_t)hkd_count(&s)) % 64 == 0, "data not aligned to 64");
        for (size_t cut = 0; cut < n; cut++) {
            hkd_file *file;
            double *none = NULL;
            hkd_file_from_memory(&file, "cut", bytes, cut);
            CHECK(hkd_npy_read_file(&none, &s, file) == HKD_BAD_FILE && !none, "cut after %zu bytes", cut);
            hkd_file_close(file);
        }
        free(v);
        free(bytes);
    }
}

void test_npy(void) {
    verdicts();
    numpy_file();
    fortran();
    round_trip();
}
