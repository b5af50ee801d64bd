#include "model_file.h"
#include "program.h"
#include "scratch.h"
#include "small_model.h"
#include "tensor_list.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- pickled EDM networks, written by edm_pickle.py with Python's standard library ------------------------------------ */

static bool make(const char *path, const char *kind, int protocol) {
    char command[2048];
    snprintf(command, sizeof command, "python3 tests/edm_pickle.py %s %s %d", path, kind, protocol);
    return CHECK(!system(command), "%s failed", command);
}

/* What edm_pickle.py puts into element i of a tensor. */
static double expected(const char *name, int64_t i) {
    uint32_t h = 5381;
    for (const char *c = name; *c; c++) h = h * 33 + (unsigned char)*c;
    return (double)((1103515245 * (uint64_t)i + h) % 65536) / 65536 - 0.5;
}

/* Every tensor arrives bit for bit under its own name, and the file is a model that loads. */
static void network(const char *kind, int protocol, hkd_arch arch, int classes, hkd_precond precond, double sigma_min,
                    double sigma_max) {
    char pickle[1024], path[1024];
    hkd_device *dev;
    hkd_model *m = NULL;
    snprintf(pickle, sizeof pickle, "%s", scratch("net.pkl"));
    snprintf(path, sizeof path, "%s", scratch("net.safetensors"));
    if (!make(pickle, kind, protocol)) return;
    CHECK(program("convert %s %s", pickle, path) == 0, "%s: %s", kind, program_err());
    if (!CHECK(!hkd_device_open_ref(&dev, &(hkd_device_options){0}), "%s", hkd_last_error())) return;
    if (CHECK(!hkd_model_load(&m, path, dev), "%s", hkd_last_error())) {
        CHECK(m->config.arch == arch && m->config.label_dim == classes && m->config.precond == precond, "%s: another network",
              kind);
        CHECK(m->config.augment_dim == 9 && m->config.img_resolution == 16 && m->config.dropout == 0.13, "%s: configuration",
              kind);
        CHECK(m->config.sigma_min == sigma_min && m->config.sigma_max == sigma_max, "%s: levels %g to %g", kind,
              m->config.sigma_min, m->config.sigma_max);
        for (int i = 0; i < m->weights->count; i++) {
            const hkd_weight *w = &m->weights->item[i];
            const int64_t n = hkd_count(&w->value.shape);
            double *values = calloc((size_t)n + 1, sizeof *values);
            int64_t same = 0;
            dev->download(dev, values, HKD_F64, &w->value);
            while (same < n && values[same] == expected(w->name, same)) same++;
            CHECK(same == n, "%s: %s[%d] = %g, not %g", kind, w->name, (int)same, values[same], expected(w->name, same));
            free(values);
        }
    }
    hkd_model_free(m);
    hkd_device_close(dev);
}

/* Networks of the published sizes: their numbers of parameters (a table of frequencies is none), every name and shape in its
 * place. */
static void published_size(const char *kind, size_t tensors, int64_t parameters) {
    hkd_tensor_list list;
    int64_t total = 0;
    if (!make(scratch("full.pkl"), kind, 4)) return;
    if (!CHECK(!hkd_tensor_list_read(&list, scratch("full.pkl")), "%s: %s", kind, hkd_last_error())) return;
    for (size_t i = 0; i < list.count; i++)
        if (!strstr(list.item[i].name, "map_noise.freqs")) total += hkd_count(&list.item[i].shape);
    CHECK(list.is_edm && list.count == tensors && total == parameters, "%s: %d tensors, %lld parameters", kind, (int)list.count,
          (long long)total);
    hkd_tensor_list_free(&list);
}

static bool exists(const char *path) {
    struct stat st;
    return !stat(path, &st);
}

/* Files that are not what they say, and files that would run something in a reader that trusts them. */
static void refused(void) {
    char pickle[1024], path[1024];
    snprintf(pickle, sizeof pickle, "%s", scratch("bad.pkl"));
    snprintf(path, sizeof path, "%s", scratch("bad.safetensors"));
    if (make(pickle, "evil", 4)) program_refuses(3, "system', which files of weights do not need", "convert %s %s", pickle,
                                                 path);
    if (make(pickle, "missing", 4)) program_refuses(3, "map_layer1.weight' is missing", "convert %s %s", pickle, path);
    if (make(pickle, "shape", 4)) program_refuses(3, "map_layer1.weight' has another shape", "convert %s %s", pickle, path);
    if (make(pickle, "lies", 4)) program_refuses(3, "is missing", "convert %s %s", pickle, path);
    if (make(pickle, "backwards", 4)) program_refuses(3, "from 0 to below sigma_max", "convert %s %s", pickle, path);
    CHECK(!exists(path), "a refused file leaves something behind");
    CHECK(!exists("HKD_PICKLE_WAS_RUN") && !exists("HKD_SOURCE_WAS_RUN"), "the pickle was executed");
}

/* A network that was never trained is pointed out; a trained one is not. A TorchScript archive says what to take instead. */
static void pointed_out(void) {
    char pickle[1024], path[1024], script[1024], command[2048];
    snprintf(pickle, sizeof pickle, "%s", scratch("fresh.pkl"));
    snprintf(path, sizeof path, "%s", scratch("fresh.safetensors"));
    snprintf(script, sizeof script, "%s", scratch("script.pt"));
    if (make(pickle, "fresh", 4))
        CHECK(!program("convert %s %s", pickle, path) && strstr(program_err(), "ever trained?"), "%s", program_err());
    if (make(pickle, "ddpmpp", 4))
        CHECK(!program("convert %s %s", pickle, path) && !strstr(program_err(), "ever trained?"), "%s", program_err());
    snprintf(command, sizeof command, "python3 -c \"import zipfile; z = zipfile.ZipFile('%s', 'w'); "
                                      "z.writestr('net/data.pkl', b'x'); z.writestr('net/constants.pkl', b'x')\"", script);
    if (!CHECK(!system(command), "%s failed", command)) return;
    if (program("convert %s %s", script, path) && strstr(program_err(), "without libzip")) return;
    program_refuses(3, "a TorchScript program", "convert %s %s", script, path);
}

static void cut(void) {
    unsigned char *bytes;
    size_t count;
    hkd_tensor_list l;
    if (!make(scratch("cut.pkl"), "ddpmpp", 4)) return;
    if (!CHECK(!hkd_read_file(&bytes, &count, scratch("cut.pkl"), 1 << 24), "%s", hkd_last_error())) return;
    for (size_t n = 0; n < count; n += 499)
        CHECK(hkd_tensor_list_read_memory(&l, "cut", bytes, n) == HKD_BAD_FILE, "cut at %d it is accepted", (int)n);
    free(bytes);
}

/* ---- other formats ---------------------------------------------------------------------------------------------------- */

static void same_file(const char *a, const char *b) {
    unsigned char *one, *two;
    size_t n, m;
    if (!CHECK(!hkd_read_file(&one, &n, a, 1 << 24), "%s", hkd_last_error())) return;
    if (CHECK(!hkd_read_file(&two, &m, b, 1 << 24), "%s", hkd_last_error()))
        CHECK(n == m && !memcmp(one, two, n), "%s and %s differ", a, b), free(two);
    free(one);
}

static void write_text(const char *path, const char *text) {
    CHECK(!hkd_write_file(path, text, strlen(text)), "%s", hkd_last_error());
}

/* There and back through each format gives the same file; a map renames; a map of the wrong file is refused. */
static void formats(void) {
    static const double a[6] = {1, -2, 0.5, 1e-3, 7, -0.0}, b[3] = {1, 255, 0}, c[2] = {-9007199254740991.0, 12};
    const small_tensor t[] = {{"a", a, {2, {2, 3}}, HKD_FLOAT}, {"half.b", a, {1, {6}}, HKD_F16},
                              {"bytes", b, {1, {3}}, HKD_U8},
                              {"long", c, {1, {2}}, HKD_I64}, {"scalar", a, {0, {0}}, HKD_DOUBLE},
                                  {"none", a, {2, {0, 3}}, HKD_FLOAT}};
    char from[512], mid[512], back[512], map[512];
    snprintf(from, sizeof from, "%s", scratch("from.safetensors"));
    snprintf(back, sizeof back, "%s", scratch("back.safetensors"));
    snprintf(map, sizeof map, "%s", scratch("map.txt"));
    small_tensor_file(from, t, 6);
    static const char *const kinds[] = {"mid.npz", "mid.pth", "mid.safetensors"};
    for (int i = 0; i < 3; i++) {
        snprintf(mid, sizeof mid, "%s", scratch(kinds[i]));
        const int code = program("convert %s %s", from, mid);
        if (code && strstr(program_err(), "without libzip")) {
            test_skip(kinds[i], "built without libzip");
            continue;
        }
        CHECK(!code && !program("convert %s %s", mid, back), "%s: %s", kinds[i], program_err());
        same_file(from, back);
    }
    write_text(map, "# new names\r\na=first\n\nlong=model.long");
    CHECK(!program("convert %s %s --map %s", from, back, map), "%s", program_err());
    double *first = tensor_in_file(back, "first", NULL, NULL), *number = tensor_in_file(back, "model.long", NULL, NULL);
    CHECK(first && first[1] == -2 && number && number[0] == c[0], "renamed tensors have other values");
    free(first);
    free(number);
    write_text(map, "half.*=\nl*=model.l*\nscalar=\n");
    CHECK(!program("convert %s %s --map %s", from, back, map), "%s", program_err());
    number = tensor_in_file(back, "model.long", NULL, NULL);
    CHECK(number && number[1] == 12 && strstr(program_err(), "4 tensors"), "patterns: %s", program_err());
    free(number);
    write_text(map, "a=bytes\n");
    program_refuses(2, "two tensors get the name 'bytes'", "convert %s %s --map %s", from, back, map);
    write_text(map, "a=x*\n");
    program_refuses(3, "expected '*' at the end of both", "convert %s %s --map %s", from, back, map);
    write_text(map, "nobody=first\n");
    program_refuses(2, "no tensor 'nobody'", "convert %s %s --map %s", from, back, map);
    write_text(map, "a\n");
    program_refuses(3, "line 1: expected old=new", "convert %s %s --map %s", from, back, map);
    program_refuses(2, "expected a name that ends with", "convert %s %s.txt", from, back);
    program_refuses(2, "holds one tensor, not 6", "convert %s %s", from, scratch("six.npy"));
}

/* A backbone and LPIPS' weights as their packages name them become one file, whatever else the first holds; and the same from
 * a whole model's state dict, whose slices are numbered apart. */
static void two_files(void) {
    static const double w[4] = {1, 2, 3, 4};
    const small_tensor backbone[] = {{"features.0.weight", w, {1, {2}}, HKD_FLOAT},
                                     {"classifier.1.weight", w, {1, {4}}, HKD_FLOAT}};
    const small_tensor heads[] = {{"lin0.model.1.weight", w, {1, {3}}, HKD_FLOAT}};
    const small_tensor whole[] = {{"net.slice1.0.weight", w, {1, {2}}, HKD_FLOAT},
                                  {"lin0.model.1.weight", w, {1, {3}}, HKD_FLOAT},
                                  {"lins.0.model.1.weight", w, {1, {3}}, HKD_FLOAT},
                                  {"scaling_layer.shift", w, {1, {3}}, HKD_FLOAT}};
    char from[512], second[512], to[512], other[512];
    snprintf(from, sizeof from, "%s", scratch("backbone.safetensors"));
    snprintf(second, sizeof second, "%s", scratch("heads.safetensors"));
    snprintf(to, sizeof to, "%s", scratch("both.safetensors"));
    snprintf(other, sizeof other, "%s", scratch("whole.safetensors"));
    small_tensor_file(from, backbone, 2);
    small_tensor_file(second, heads, 1);
    CHECK(!program("convert %s %s %s --map lpips", from, second, to) && strstr(program_err(), "2 tensors, 5 elements"), "%s",
          program_err());
    free(tensor_in_file(to, "features.0.weight", NULL, NULL));
    free(tensor_in_file(to, "lin0.weight", NULL, NULL));
    small_tensor_file(from, whole, 4);
    CHECK(!program("convert %s %s --map lpips", from, other), "%s", program_err());
    same_file(to, other);
    program_refuses(2, "'lin0.model.1.weight' is in an earlier file", "convert %s %s %s", second, from, to);
}

/* A model keeps its metadata, so it stays a model. */
static void models(void) {
    const hkd_config config = small_config(true, 3);
    char from[512], to[512];
    snprintf(from, sizeof from, "%s", scratch("model.safetensors"));
    snprintf(to, sizeof to, "%s", scratch("model2.safetensors"));
    small_model_file(from, &config);
    CHECK(!program("convert %s %s", from, to), "%s", program_err());
    same_file(from, to);
}

void test_convert(void) {
    formats();
    two_files();
    models();
    if (system("python3 -c 1 >/dev/null 2>&1") || !exists("tests/edm_pickle.py")) {
        test_skip("pickled EDM networks", "no python3 here, or not run from the project's folder");
        return;
    }
    network("ddpmpp", 4, HKD_ARCH_DDPMPP, 0, HKD_PRECOND_EDM, 0.002, 80);
    network("ncsnpp", 5, HKD_ARCH_NCSNPP, 0, HKD_PRECOND_EDM, 0.002, 80);
    network("cond", 2, HKD_ARCH_NCSNPP, 10, HKD_PRECOND_EDM, 0.002, 80);
    network("vp", 3, HKD_ARCH_DDPMPP, 0, HKD_PRECOND_VP, 0.002, 80);
    network("ve", 4, HKD_ARCH_NCSNPP, 0, HKD_PRECOND_VE, 0.02, 80);
    network("iddpm", 4, HKD_ARCH_DDPMPP, 0, HKD_PRECOND_IDDPM, 0.0064, 80);
    network("narrow", 4, HKD_ARCH_DDPMPP, 0, HKD_PRECOND_EDM, 0.05, 20);
    published_size("cifar10", 417, 55733891);
    published_size("cond-vp", 419, 55735299);
    published_size("uncond-ve", 422, 56397827);
    published_size("cond-ve", 424, 56400643);
    published_size("ffhq", 541, 61805571);
    published_size("ffhq-ve", 548, 62761091);
    refused();
    pointed_out();
    cut();
}
