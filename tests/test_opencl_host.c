/* What the OpenCL device does around its kernels: what it says when something fails, what it remembers between runs. */
#ifdef HKD_OPENCL
#include "opencl.h"
#include "os.h"
#include "scratch.h"
#include "status.h"
#endif
#include "test.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HKD_OPENCL
static void says(const char *what, const char *first, const char *second) {
    CHECK(strstr(hkd_last_error(), first) && strstr(hkd_last_error(), second), "%s: '%s' or '%s' is not in: %s", what, first,
          second, hkd_last_error());
}

/* Every code is told by its number, also those without a name. */
static void codes(void) {
    static const struct {
        cl_int code;
        const char *text;
    } known[] = {{-5, "CL_OUT_OF_RESOURCES (-5)"}, {-36, "(-36)"}, {-1001, "(-1001)"}, {-77777, "(-77777)"}};
    char text[HKD_CL_TEXT];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK(strstr(hkd_cl_error(text, known[i].code), known[i].text), "code %d is called %s", known[i].code, text);
}

/* Memory that lacks is a matter of resources whenever the driver notices, with the numbers and the remedy. */
static void memory(hkd_cl *cl) {
    static const cl_int lack[] = {-4, -5, -6};
    char in_use[32];
    hkd_buffer *b;
    snprintf(in_use, sizeof in_use, "%zu bytes are in use", cl->used);
    for (int i = 0; i < 3; i++) {
        CHECK(hkd_cl_failed(cl, "kernel ", "silu", lack[i]) == HKD_RESOURCES, "code %d is no lack of memory", lack[i]);
        says("late lack of memory", "kernel silu", "--batch");
        says("late lack of memory", in_use, cl->machine.name);
    }
    CHECK(hkd_cl_failed(cl, "kernel ", "silu", -54) == HKD_DEVICE, "a wrong work-group is no lack of memory");
    says("another failure", "kernel silu", "CL_INVALID_WORK_GROUP_SIZE (-54)");
    CHECK(cl->base.alloc(&cl->base, &b, (size_t)1 << 40, HKD_ACTIVATION) == HKD_RESOURCES && !b, "2^40 bytes were allocated");
    says("too large", "1099511627776 bytes asked for", "available of");
}

static void no_device(void) {
    char node[512];
    const char *folder = scratch("dev");
    CHECK(hkd_cl_no_device("", folder) == HKD_DEVICE, "no device is no failure");
    says("nothing", "install", "pocl-opencl-icd");
    hkd_cl_no_device("Clover", folder);
    says("empty platform", "Clover", "driver");
    hkd_cl_no_device("Portable Computing Language", folder);
    says("PoCL that cannot write", "POCL_CACHE_DIR", "cache");
    CHECK(!hkd_cl_forbidden_node(node, sizeof node, folder), "%s does not exist", node);
    CHECK(!hkd_make_directory(scratch("dev/dri")), "%s", hkd_last_error());
    CHECK(!hkd_write_file(scratch("dev/dri/renderD130"), "", 0) && !chmod(scratch("dev/dri/renderD130"), 0), "no file made");
    chmod(scratch(""), 0755), chmod(folder, 0755), chmod(scratch("dev/dri"), 0755); /* all may look inside */
    const bool root = geteuid() == 0;
    if (root && seteuid(65534)) {
        test_skip("opencl_host", "root may open everything");
        return;
    }
    const hkd_status status = hkd_cl_no_device("", folder);
    if (root && seteuid(0)) abort();
    CHECK(status == HKD_DEVICE, "no device is no failure");
    says("forbidden", "renderD130 may not be opened", "groups render and video");
}

/* A failed build names the driver, the first error and the file with the whole log. */
static void build_failure(hkd_cl *cl) {
    static const char whole[] = "note\nall.cl:7: error: no such thing\n  here\n";
    char log[1024];
    CHECK(hkd_cl_build_failed(cl, whole, -11) == HKD_DEVICE, "a failure is none");
    says("log", "all.cl:7: error: no such thing", cl->machine.driver);
    const char *at = strstr(hkd_last_error(), "the whole log: ");
    snprintf(log, sizeof log, "%s", at ? at + 15 : "");
    unsigned char *bytes = NULL;
    size_t size = 0;
    const bool read = !hkd_read_file(&bytes, &size, log, 1 << 20);
    CHECK(read && size == strlen(whole) && !memcmp(bytes, whole, size), "'%s' does not hold the log", log);
    free(bytes);
    hkd_cl_build_failed(cl, "", -11);
    says("empty log", "left no log", "(-11)");
    snprintf(cl->options, sizeof cl->options, "-cl-std=CL1.2"); /* without the profile's numbers nothing compiles */
    hkd_cl_forget_program(cl);
    CHECK(hkd_cl_build(cl, false) == HKD_DEVICE, "a program without its numbers was built");
    says("the driver's own log", "do not build", "error");
    says("the driver's own log", "WIDTH", "the whole log: ");
}

/* A device that passed is not checked again; one that was forced did not pass. */
static void self_check_cache(void) {
    hkd_device *dev;
    char remark[256];
    setenv("XDG_CACHE_HOME", scratch("forced"), 1);
    CHECK(!hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = true}), "%s", hkd_last_error());
    CHECK(!hkd_cl_was_checked((hkd_cl *)(void *)dev), "a forced device counts as checked");
    hkd_cl_remark(remark, sizeof remark, dev);
    CHECK(strstr(remark, "--force"), "nothing is said of --force: %s", remark);
    hkd_device_close(dev);
    CHECK(!hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = false}), "%s", hkd_last_error());
    hkd_cl *cl = (hkd_cl *)(void *)dev;
    CHECK(hkd_cl_was_checked(cl), "a device that passed is not remembered");
    hkd_cl_remark(remark, sizeof remark, dev);
    CHECK(!strstr(remark, "--force"), "%s", remark);
    cl->machine.driver[0] ^= 1;
    CHECK(!hkd_cl_was_checked(cl), "another driver counts as checked");
    hkd_device_close(dev);
}

/* Change a byte in the middle of every program in the cache; how many. */
static int damage(const char *folder) {
    char **names;
    size_t count = 0, size;
    int damaged = 0;
    if (hkd_list_directory(&names, &count, folder)) return 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char *bytes;
        char *path = hkd_path_join(folder, names[i]);
        if (strstr(names[i], ".program") && !hkd_read_file(&bytes, &size, path, (size_t)1 << 28)) {
            bytes[size / 2] ^= 1;
            damaged += !hkd_write_file(path, bytes, size);
            free(bytes);
        }
        free(path);
    }
    hkd_names_free(names, count);
    return damaged;
}

/* The way of GPUs: a program comes back from the cache; a damaged one is built anew, and what it computes is right. */
static void binary_cache(hkd_cl *cl) {
    cl->keeps_binaries = true;
    for (int round = 0; round < 3; round++) {
        hkd_cl_forget_program(cl);
        CHECK(!hkd_cl_build(cl, true), "%s", hkd_last_error());
        CHECK(cl->from_cache == (round == 1), "round %d: %s", round, cl->from_cache ? "from the cache" : "from source");
        if (round == 1) CHECK(!hkd_cl_self_check(&cl->base), "the program of the cache: %s", hkd_last_error());
        if (round == 1) CHECK(damage(scratch("cache/hkd")) == 1, "no program in the cache");
    }
    cl->keeps_binaries = false;
}

/* A number that is no index is looked for in the names. */
static void choice(const hkd_cl *cl) {
    hkd_device *dev;
    const char *digits = cl->machine.name;
    char which[16] = "";
    while (*digits && !(isdigit((unsigned char)digits[0]) && isdigit((unsigned char)digits[1]) && digits[0] != '0')) digits++;
    for (size_t i = 0; isdigit((unsigned char)digits[i]) && i < 8; i++) which[i] = digits[i], which[i + 1] = 0;
    if (*which && CHECK(!hkd_device_open_opencl(&dev, which, &(hkd_device_options){.force = true}), "%s", hkd_last_error()))
        hkd_device_close(dev);
    CHECK(hkd_device_open_opencl(&dev, "98765", &(hkd_device_options){.force = true}) == HKD_DEVICE && !dev, "no such device");
    says("no such device", "no device '98765'", "hkd devices");
}

void test_opencl_host(void) {
    const char *before = getenv("XDG_CACHE_HOME");
    char kept[512];
    hkd_device *dev;
    snprintf(kept, sizeof kept, "%s", before ? before : "");
    setenv("POCL_CACHE_DIR", "build/pocl", 0);
    setenv("XDG_CACHE_HOME", scratch("cache"), 1);
    codes();
    no_device();
    if (hkd_device_open_opencl(&dev, NULL, &(hkd_device_options){.force = true})) {
        test_skip("opencl_host", "no OpenCL device on this machine");
    } else {
        hkd_cl *cl = (hkd_cl *)(void *)dev;
        memory(cl);
        choice(cl);
        binary_cache(cl);
        build_failure(cl);
        hkd_device_close(dev);
        self_check_cache();
    }
    if (before) setenv("XDG_CACHE_HOME", kept, 1);
    else unsetenv("XDG_CACHE_HOME");
}
#else
void test_opencl_host(void) { test_skip("opencl_host", "built without OpenCL"); }
#endif
