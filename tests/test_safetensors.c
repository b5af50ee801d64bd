/* Verdicts on hostile and odd files, values and bytes against files of the official library. */
#include "safetensors.h"
#include "safetensors_official.h"
#include "scratch.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- verdicts --------------------------------------------------------------------------------------------------------- */

static hkd_status verdict(const void *bytes, size_t count) {
    hkd_file *file;
    hkd_safetensors *st = NULL;
    if (hkd_file_from_memory(&file, "memory", bytes, count)) return HKD_RESOURCES;
    const hkd_status status = hkd_safetensors_open_file(&st, file);
    hkd_safetensors_close(st);
    return status;
}

static hkd_status verdict_on(const char *header, size_t length, size_t data) {
    unsigned char *bytes = calloc(8 + length + data, 1);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    const hkd_status status = verdict(bytes, 8 + length + data);
    free(bytes);
    return status;
}

#define TENSOR(shape, offsets) "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define ONE(name) "\"" name "\":" TENSOR("[2]", "[0,8]")
#define TYPED(type, shape, offsets) "{\"x\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *header;
    size_t data;
    bool accept;
    const char *why;
} cases[] = {
    {"{}", 0, true, "no tensor at all"},
    {"", 0, false, "empty header"},
    {"{" ONE("x") "}", 8, true, "the plain case"},
    {" \t\r\n{" ONE("x") "} \n ", 8, true, "white space around the header"},
    {"\xef\xbb\xbf{}", 0, false, "byte order mark"},
    {"{}x", 0, false, "garbage after the header"},
    {"{}\f", 0, false, "form feed is no JSON white space"},
    {"{}{}", 0, false, "two objects"},
    {"[]", 0, false, "an array for a header"},
    {"{\"__metadata__\":null}", 0, true, "null metadata"},
    {"{\"__metadata__\":{}}", 0, true, "empty metadata"},
    {"{\"__metadata__\":{\"a\":\"b\"}," ONE("x") "}", 8, true, "metadata and a tensor"},
    {"{\"__metadata__\":{\"a\":1}}", 0, false, "number in metadata"},
    {"{\"__metadata__\":{\"a\":{}}}", 0, false, "nested metadata"},
    {"{\"__metadata__\":{\"a\":null}}", 0, false, "null in metadata"},
    {"{\"__metadata__\":[]}", 0, false, "metadata as an array"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, false, "metadata twice"},
    {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, false, "metadata key twice (official: accepted)"},
    {"{" ONE("x") "," ONE("x") "}", 8, false, "tensor twice (official: the last wins)"},
    {"{" ONE("a") "," ONE("\\u0061") "}", 8, false, "tensor twice after unescaping (official: the last wins)"},
    {"{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, false, "field twice"},
    {"{\"x\":[\"F32\",[2],[0,8]]}", 8, false, "array form (official: accepted)"},
    {"{\"x\":null}", 0, false, "null for a tensor"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":[{\"a\":-1.5}]}}", 8, true, "unknown field"},
    {"{\"x\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, false, "no dtype"},
    {"{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, false, "no shape"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, false, "no offsets"},
    {"{\"x\":" TENSOR("[-2]", "[0,8]") "}", 8, false, "negative extent"},
    {"{\"x\":" TENSOR("[2.0]", "[0,8]") "}", 8, false, "real extent"},
    {"{\"x\":" TENSOR("[2e0]", "[0,8]") "}", 8, false, "exponent in an extent"},
    {"{\"x\":" TENSOR("[02]", "[0,8]") "}", 8, false, "leading zero"},
    {"{\"x\":" TENSOR("[\"2\"]", "[0,8]") "}", 8, false, "extent as a string"},
    {"{\"x\":" TENSOR("[2]", "[-0,8]") "}", 8, false, "minus zero"},
    {"{\"x\":" TENSOR("[0,18446744073709551616]", "[0,0]") "}", 0, false, "beyond 2^64"},
    {"{\"x\":" TENSOR("2", "[0,8]") "}", 8, false, "shape as a number"},
    {"{\"x\":" TENSOR("[2]", "[0,8,8]") "}", 8, false, "three offsets"},
    {"{\"x\":" TENSOR("[2]", "[0]") "}", 8, false, "one offset"},
    {TYPED("F33", "[2]", "[0,8]"), 8, false, "unknown dtype"},
    {TYPED("f32", "[2]", "[0,8]"), 8, false, "dtypes are case-sensitive"},
    {TYPED("", "[2]", "[0,8]"), 8, false, "empty dtype"},
    {TYPED("BOOL", "[8]", "[0,8]"), 8, true, "BOOL"},
    {TYPED("F8_E4M3", "[8]", "[0,8]"), 8, true, "F8 is measured"},
    {TYPED("F4", "[16]", "[0,8]"), 8, true, "two F4 to a byte"},
    {TYPED("F4", "[3]", "[0,2]"), 2, false, "half a byte"},
    {TYPED("F6_E2M3", "[4]", "[0,3]"), 3, true, "four F6 to three bytes"},
    {TYPED("C64", "[1]", "[0,8]"), 8, true, "C64"},
    {"{\"x\":" TENSOR("[]", "[0,4]") "}", 4, true, "rank 0"},
    {"{\"x\":" TENSOR("[1,1,1,1,1,1,1,1,1,2]", "[0,8]") "}", 8, true, "rank 10"},
    {"{\"x\":" TENSOR("[0]", "[0,0]") "}", 0, true, "empty tensor"},
    {"{\"e\":" TENSOR("[0]", "[8,8]") "," ONE("x") ",\"f\":" TENSOR("[3,0]", "[8,8]") "}", 8, true, "empties share an offset"},
    {"{\"e\":" TENSOR("[0]", "[4,4]") "," ONE("x") "}", 8, false, "an empty tensor inside another"},
    {"{\"b\":" TENSOR("[1]", "[8,12]") "," ONE("a") "}", 12, true, "order of names is not order of data"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":" TENSOR("[1]", "[1,5]") "}", 5, true, "odd place"},
    {"{\"x\":" TENSOR("[2]", "[4,12]") "}", 12, false, "hole at the beginning"},
    {"{\"b\":" TENSOR("[1]", "[12,16]") "," ONE("a") "}", 16, false, "hole in the middle"},
    {"{\"b\":" TENSOR("[1]", "[4,8]") "," ONE("a") "}", 8, false, "overlap"},
    {"{\"b\":" TENSOR("[2]", "[0,8]") "," ONE("a") "}", 8, false, "the same bytes twice (memory bomb)"},
    {"{" ONE("x") "}", 9, false, "trailing byte"},
    {"{" ONE("x") "}", 7, false, "data too short"},
    {"{}", 4, false, "data without tensors"},
    {"{\"x\":" TENSOR("[2]", "[8,0]") "}", 8, false, "end before begin"},
    {"{\"x\":" TENSOR("[3]", "[0,8]") "}", 8, false, "shape does not fit the offsets"},
    {"{\"x\":" TENSOR("[4294967296,4294967296]", "[0,0]") "}", 0, false, "2^64 elements wrap to 0"},
    {"{\"x\":" TENSOR("[4294967296,4294967296,0]", "[0,0]") "}", 0, false, "overflow hidden by a zero at the end"},
    {"{\"x\":" TENSOR("[0,4294967296,4294967296]", "[0,0]") "}", 0, true, "no overflow behind a zero"},
    {"{\"x\":" TENSOR("[4294967296,0,4294967296]", "[0,0]") "}", 0, true, "a zero between"},
    {"{\"x\":" TENSOR("[4294967296,2147483648,0]", "[0,0]") "}", 0, true, "2^63 before a zero"},
    {"{\"x\":" TENSOR("[4611686018427387904]", "[0,0]") "}", 0, false, "2^62 elements of 4 bytes wrap to 0"},
    {"{\"\":" TENSOR("[2]", "[0,8]") "}", 8, true, "empty name"},
    {"{" ONE("\xc3\xa9\xe2\x82\xac") "}", 8, true, "UTF-8 in a name"},
    {"{" ONE("\\ud83d\\ude00") "}", 8, true, "surrogate pair"},
    {"{" ONE("\\ud800") "}", 8, false, "lone surrogate"},
    {"{" ONE("\xff") "}", 8, false, "no UTF-8"},
    {"{" ONE("a\\u0000b") "}", 8, false, "NUL in a name (official: accepted)"},
    {"{" ONE("\n") "}", 8, false, "raw control character"},
    {"{" ONE("x") ",}", 8, false, "trailing comma"},
    {"{" ONE("x"), 8, false, "unfinished"},
    {"{'x':1}", 0, false, "single quotes"},
};

/* Deep, long and large headers, up to where the official library stops: 127 levels, 100 000 000 bytes, names of any length. */
static void long_headers(void) {
    for (int more = 125; more <= 126; more++) { /* levels within the two of the header and the tensor */
        char deep[500] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":";
        const size_t n = strlen(deep);
        memset(deep + n, '[', (size_t)more);
        memset(deep + n + more, ']', (size_t)more);
        strcpy(deep + n + 2 * more, "}}");
        CHECK((verdict_on(deep, strlen(deep), 8) == HKD_OK) == (more == 125), "%d levels: %s", more + 2, hkd_last_error());
    }
    char longest[5100] = "{\"";
    memset(longest + 2, 'n', 5000);
    strcpy(longest + 5002, "\":" TENSOR("[2]", "[0,8]") "}");
    CHECK(verdict_on(longest, strlen(longest), 8) == HKD_OK, "a name of 5000 bytes: %s", hkd_last_error());
    const size_t most = 100000000;
    char *spaces = malloc(most + 1);
    if (!CHECK(spaces, "out of memory")) return;
    memset(spaces, ' ', most + 1);
    memcpy(spaces, "{" ONE("x") "}", strlen("{" ONE("x") "}"));
    CHECK(verdict_on(spaces, most, 8) == HKD_OK, "a header of 100 MB: %s", hkd_last_error());
    CHECK(verdict_on(spaces, most + 1, 8) == HKD_BAD_FILE, "a header of more than 100 MB");
    free(spaces);
}

static void verdicts(void) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hkd_status status = verdict_on(cases[i].header, strlen(cases[i].header), cases[i].data);
        CHECK(status == (cases[i].accept ? HKD_OK : HKD_BAD_FILE), "%s: status %d (%s)", cases[i].why, (int)status,
              hkd_last_error());
    }
    CHECK(verdict_on("{}\0", 3, 0) == HKD_BAD_FILE, "NUL after the header");
    CHECK(verdict_on("{}\0     ", 8, 0) == HKD_BAD_FILE, "padding with NUL");
    long_headers();
}

/* Lengths that lie: too short a file, a header beyond the end, 8 + length that wraps around, gigabytes. */
static void lengths(void) {
    static const unsigned char wraps[16] = {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    static const unsigned char huge[16] = {0, 0, 0, 0, 1, 0, 0, 0, '{', '}'};
    static const unsigned char beyond[10] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    for (size_t n = 0; n < 8; n++) CHECK(verdict(beyond, n) == HKD_BAD_FILE, "a file of %zu bytes", n);
    CHECK(verdict(wraps, sizeof wraps) == HKD_BAD_FILE, "8 + header length wraps around");
    CHECK(verdict(huge, sizeof huge) == HKD_BAD_FILE, "a header of 4 GiB");
    CHECK(verdict(beyond, sizeof beyond) == HKD_BAD_FILE, "a header one byte beyond the end");
    for (size_t n = 0; n < sizeof official_mixed; n++)
        CHECK(verdict(official_mixed, n) == HKD_BAD_FILE, "cut after %zu bytes", n);
}

/* ---- values and bytes ------------------------------------------------------------------------------------------------- */

#define SHAPE(...) hkd_shape_of(__VA_ARGS__)
#define TWO ((int64_t)2)

static const double b[] = {0, 1, 2}, a[] = {2.5}, weight[] = {1, -2, 65504, 6.103515625e-05}, labels[] = {-1, 1099511627776.0};
static const double image[] = {0, 255, 7}, mask[] = {1, 0}, shorts[] = {-32768, 32767}, tenth[] = {0.1};
static hkd_saved mixed[8], escapes[1];

static void describe(void) {
    const hkd_saved list[8] = {
        {.name = "b", .type = HKD_FLOAT, .shape = SHAPE(1, (int64_t)3), .as = HKD_F64, .data = b},
        {.name = "a", .type = HKD_DOUBLE, .shape = SHAPE(0), .as = HKD_F64, .data = a},
        {.name = "c.weight", .type = HKD_F16, .shape = SHAPE(2, TWO, TWO), .as = HKD_F64, .data = weight},
        {.name = "labels", .type = HKD_I64, .shape = SHAPE(1, TWO), .as = HKD_F64, .data = labels},
        {.name = "image", .type = HKD_U8, .shape = SHAPE(2, (int64_t)1, (int64_t)3), .as = HKD_F64, .data = image},
        {.name = "mask", .type = HKD_BOOL, .shape = SHAPE(1, TWO), .as = HKD_F64, .data = mask},
        {.name = "short", .type = HKD_I16, .shape = SHAPE(1, TWO), .as = HKD_F64, .data = shorts},
        {.name = "none", .type = HKD_FLOAT, .shape = SHAPE(2, (int64_t)0, (int64_t)3), .as = HKD_F64},
    };
    memcpy(mixed, list, sizeof mixed);
    escapes[0] = (hkd_saved){.name = "\xc3\xa9\"\\\n\x01\x7f/", .type = HKD_DOUBLE, .shape = SHAPE(1, (int64_t)1),
                             .as = HKD_F64, .data = tenth};
}

static void same_bytes(const char *what, const hkd_saved *tensor, size_t count, hkd_metadata metadata,
                       const unsigned char *expected, size_t length) {
    const char *path = scratch("saved.safetensors");
    unsigned char *bytes = NULL;
    size_t n = 0;
    CHECK(!hkd_safetensors_save(path, tensor, count, &metadata, 1), "%s: %s", what, hkd_last_error());
    CHECK(!hkd_read_file(&bytes, &n, path, 10000) && n == length && !memcmp(bytes, expected, n),
          "%s: not the bytes that Python writes:\n%.*s", what, n > 8 ? (int)n - 8 : 0, n > 8 ? (char *)bytes + 8 : "");
    free(bytes);
}

static void reading(hkd_dtype as) {
    hkd_file *file;
    hkd_safetensors *st = NULL;
    hkd_file_from_memory(&file, "official", official_mixed, sizeof official_mixed);
    if (!CHECK(!hkd_safetensors_open_file(&st, file), "%s", hkd_last_error())) return;
    CHECK(st->count == 8 && st->metadata_count == 1, "%zu tensors", st->count);
    CHECK(!strcmp(hkd_safetensors_metadata(st, "key"), "value") && !hkd_safetensors_metadata(st, "kei"), "metadata");
    CHECK(!hkd_safetensors_find(st, "B"), "found a tensor that is not there");
    for (int i = 0; i < 8; i++) {
        const hkd_safetensor *t = hkd_safetensors_find(st, mixed[i].name);
        hkd_shape shape;
        double values[4];
        if (!CHECK(t && t->type == mixed[i].type, "%s: missing or of another type", mixed[i].name)) continue;
        CHECK(!hkd_safetensors_shape(&shape, st, t) && hkd_same_shape(&shape, &mixed[i].shape), "%s: shape", t->name);
        CHECK(!hkd_safetensors_read(st, t, values, as), "%s", hkd_last_error());
        for (uint64_t k = 0; k < t->count; k++) {
            const double got = as == HKD_F64 ? values[k] : (double)((float *)values)[k];
            CHECK(got == ((const double *)mixed[i].data)[k], "%s[%d] is %g", t->name, (int)k, got);
        }
    }
    double last;
    const hkd_safetensor *t = hkd_safetensors_find(st, "b");
    CHECK(!hkd_safetensors_read_part(st, t, 2, 1, &last, HKD_F64) && last == 2, "a part of a tensor");
    CHECK(hkd_safetensors_read_part(st, t, 2, 2, &last, HKD_F64) == HKD_USAGE, "a part beyond the tensor");
    hkd_safetensors_close(st);
}

static void refused_names(void) {
    static const char *const bad[] = {"__metadata__", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80"};
    const char *path = scratch("refused.safetensors");
    hkd_saved t = mixed[0];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t.name = bad[i];
        CHECK(hkd_safetensors_save(path, &t, 1, NULL, 0) == HKD_USAGE, "wrote a tensor with bad name %zu", i);
    }
    const hkd_saved twice[2] = {mixed[0], mixed[0]};
    CHECK(hkd_safetensors_save(path, twice, 2, NULL, 0) == HKD_USAGE, "wrote the same name twice");
    CHECK(!hkd_exists(path), "a refused file exists");
}

static hkd_status fetch_failing(void *to, const hkd_saved *t) {
    (void)to;
    return hkd_fail(HKD_DEVICE, "%s: device lost", t->name);
}

/* A device that fails while its weights are being written must leave no file. */
static void failing_source(void) {
    hkd_saved t = mixed[0];
    t.data = NULL;
    t.fetch = fetch_failing;
    CHECK(hkd_safetensors_save(scratch("lost.safetensors"), &t, 1, NULL, 0) == HKD_DEVICE, "status of fetch lost");
    CHECK(!hkd_exists(scratch("lost.safetensors")), "half a file was left");
}

/* ---- conversions ------------------------------------------------------------------------------------------------------ */

static uint64_t encoded(double v, hkd_stored type) {
    unsigned char bytes[8] = {0};
    hkd_stored_encode(bytes, type, &v, HKD_F64, 1);
    uint64_t bits = 0;
    for (int i = 7; i >= 0; i--) bits = bits << 8 | bytes[i];
    return bits;
}

static void conversions(void) {
    static const struct {
        hkd_stored type;
        double value;
        uint64_t bits;
    } known[] = {
        {HKD_F16, 1, 0x3c00}, {HKD_F16, -2, 0xc000}, {HKD_F16, 65504, 0x7bff}, {HKD_F16, 65519.99, 0x7bff},
        {HKD_F16, 65520, 0x7c00}, {HKD_F16, 1e300, 0x7c00}, {HKD_F16, -0.0, 0x8000}, {HKD_F16, 5.960464477539063e-08, 1},
        {HKD_F16, 2.980232238769531e-08, 0}, {HKD_F16, 2.98023223876954e-08, 1}, {HKD_F16, 6.0975551605224609e-05, 0x3ff},
        {HKD_F16, 6.1005353927612305e-05, 0x400}, {HKD_F16, 1.00048828125, 0x3c00}, {HKD_F16, 1.00146484375, 0x3c02},
        {HKD_F16, 1.0004882812500002, 0x3c01}, {HKD_BF16, 1, 0x3f80}, {HKD_BF16, 3.3895313892515355e38, 0x7f7f},
        {HKD_BF16, 3.4e38, 0x7f80}, {HKD_BF16, 9.183549615799121e-41, 1}, {HKD_BF16, 1.00390625, 0x3f80},
        {HKD_FLOAT, 0.1, 0x3dcccccd}, {HKD_I8, -128, 0x80}, {HKD_I8, -200, 0x80}, {HKD_I8, 200, 0x7f}, {HKD_I8, -1, 0xff},
        {HKD_U8, -1, 0}, {HKD_U8, 256, 255}, {HKD_U8, 2.5, 2}, {HKD_BOOL, 7, 1}, {HKD_U64, 1e30, UINT64_MAX},
        {HKD_I64, 1e30, INT64_MAX}, {HKD_I64, -1e30, 0x8000000000000000}, {HKD_I64, -1, UINT64_MAX}, {HKD_I32, -2, 0xfffffffe},
        {HKD_I16, NAN, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint64_t bits = encoded(known[i].value, known[i].type);
        CHECK(bits == known[i].bits, "%.17g as %s is %llx, expected %llx", known[i].value, hkd_stored_name(known[i].type),
              (unsigned long long)bits, (unsigned long long)known[i].bits);
    }
    for (unsigned bits = 0; bits < 65536; bits++) { /* every 16-bit float survives the way through double */
        const hkd_stored both[] = {HKD_F16, HKD_BF16};
        for (int k = 0; k < 2; k++) {
            const unsigned char bytes[2] = {(unsigned char)bits, (unsigned char)(bits >> 8)};
            double v;
            hkd_stored_decode(&v, HKD_F64, bytes, both[k], 1);
            if (!isnan(v) && encoded(v, both[k]) != bits) CHECK(false, "%s %04x", hkd_stored_name(both[k]), bits);
        }
    }
}

void test_safetensors(void) {
    describe();
    verdicts();
    lengths();
    reading(HKD_F64);
    reading(HKD_F32);
    same_bytes("mixed types", mixed, 8, (hkd_metadata){"key", "value"}, official_mixed, sizeof official_mixed);
    same_bytes("escapes", escapes, 1, (hkd_metadata){"m\"", "\t\r\b\f\x1f/ \xe2\x82\xac"}, official_escapes,
               sizeof official_escapes);
    same_bytes("no tensor", NULL, 0, (hkd_metadata){"k", ""}, official_empty, sizeof official_empty);
    refused_names();
    failing_source();
    conversions();
}
