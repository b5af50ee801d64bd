/* What programs rely on when a disk fills up, a file is half there, or a name is odd. */
#include "os.h"
#include "scratch.h"
#include "sha256.h"
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void hashes(void) {
    static const struct {
        const char *repeated, *hex; /* FIPS 180-4 examples */
        int times;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 1},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", 1},
        {"aaaaaaaaaa", "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", 100000},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        hkd_sha256 hash;
        char hex[65];
        hkd_sha256_init(&hash);
        for (int k = 0; k < known[i].times; k++) hkd_sha256_add(&hash, known[i].repeated, strlen(known[i].repeated));
        hkd_sha256_hex(hex, &hash);
        CHECK(!strcmp(hex, known[i].hex), "SHA-256 of %d x '%s' is %s", known[i].times, known[i].repeated, hex);
    }
}

static size_t entries(const char *dir) {
    char **names;
    size_t n = 0;
    CHECK(!hkd_list_directory(&names, &n, dir), "%s", hkd_last_error());
    hkd_names_free(names, n);
    return n;
}

static bool holds(const char *path, const char *expected) {
    unsigned char *bytes;
    size_t n;
    const bool same = !hkd_read_file(&bytes, &n, path, 1000) && n == strlen(expected) && !memcmp(bytes, expected, n);
    free(bytes);
    return same;
}

/* A disk that fills up in the middle: the old file stays, the new one leaves nothing, the status is "resources". */
static void full_disk(void) {
    const char *dir = scratch("full"), *path = scratch("full/file");
    CHECK(!hkd_make_directory(dir) && !hkd_write_file(path, "old", 3), "%s", hkd_last_error());
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    static const char big[5000];
    const hkd_status status = hkd_write_file(path, big, sizeof big);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK(status == HKD_RESOURCES, "a file that does not fit: status %d, expected %d", (int)status, HKD_RESOURCES);
    CHECK(holds(path, "old"), "the old file is gone after a failed write");
    CHECK(entries(dir) == 1, "a failed write left %zu entries, expected 1", entries(dir));
}

static void writing(void) {
    const char *path = scratch("deep/er/file");
    CHECK(!hkd_make_directory(scratch("deep/er")) && !hkd_make_directory(scratch("deep/er/")), "%s", hkd_last_error());
    CHECK(!hkd_write_file(path, "one", 3) && holds(path, "one"), "first write: %s", hkd_last_error());
    CHECK(!hkd_write_file(path, "three", 5) && holds(path, "three"), "overwriting: %s", hkd_last_error());
    hkd_writer *writer;
    CHECK(!hkd_writer_open(&writer, path) && !hkd_writer_put(writer, "x", 1), "%s", hkd_last_error());
    CHECK(holds(path, "three"), "readers see a file before it is complete");
    hkd_writer_abandon(writer);
    CHECK(entries(scratch("deep/er")) == 1, "an abandoned write left its temporary file");
    CHECK(!hkd_write_file("/dev/null", "x", 1) && hkd_exists("/dev/null"), "/dev/null was replaced");
    CHECK(hkd_write_file(scratch("missing/file"), "x", 1) == HKD_USAGE, "wrote into a missing directory");
    CHECK(hkd_make_directory(path) == HKD_USAGE, "made a directory over a file");
}

static void reading(void) {
    unsigned char *bytes, c[4];
    size_t n;
    hkd_file *file;
    const char *path = scratch("abc");
    hkd_write_file(path, "abc", 3);
    CHECK(hkd_read_file(&bytes, &n, path, 2) == HKD_BAD_FILE && !bytes, "read a file beyond the limit");
    CHECK(hkd_read_file(&bytes, &n, scratch("none"), 9) == HKD_BAD_FILE, "read a missing file");
    CHECK(hkd_read_file(&bytes, &n, scratch(""), 9) == HKD_BAD_FILE, "read a directory");
    for (int memory = 0; memory < 2; memory++) {
        CHECK(!(memory ? hkd_file_from_memory(&file, "abc", "abc", 3) : hkd_file_open(&file, path)), "%s", hkd_last_error());
        CHECK(!hkd_file_read(file, 1, c, 2) && !memcmp(c, "bc", 2), "read at an offset");
        CHECK(!hkd_file_read(file, 3, c, 0), "nothing at the end is legal");
        CHECK(hkd_file_read(file, 2, c, 2) == HKD_BAD_FILE, "read beyond the end");
        CHECK(hkd_file_read(file, UINT64_MAX, c, 1) == HKD_BAD_FILE, "offset + count wrapped around");
        hkd_file_close(file);
    }
    hkd_fail(HKD_BAD_FILE, "a\nb\x1b[31m");
    CHECK(!strcmp(hkd_last_error(), "a?b?[31m"), "a file's name can write control characters to the terminal");
}

static void listing(void) {
    char **names;
    size_t n;
    hkd_make_directory(scratch("list"));
    hkd_write_file(scratch("list/b"), "", 0);
    hkd_write_file(scratch("list/B"), "", 0);
    hkd_write_file(scratch("list/a"), "", 0);
    CHECK(!hkd_list_directory(&names, &n, scratch("list")) && n == 3, "%s", hkd_last_error());
    CHECK(n == 3 && !strcmp(names[0], "B") && !strcmp(names[2], "b"), "names are not in byte order");
    hkd_names_free(names, n);
    CHECK(hkd_list_directory(&names, &n, scratch("nowhere")) == HKD_BAD_FILE, "listed a missing directory");
}

static volatile int seen = 1;
static void wait_a_little(void) {
    for (const double until = hkd_seconds() + 0.1; hkd_seconds() < until;) {}
}
static hkd_status write_seen(void *path) {
    char digit = '0';
    wait_a_little();
    digit = (char)(digit + seen);
    return hkd_write_file(path, &digit, 1);
}
static hkd_status fail(void *reason) { return hkd_fail(HKD_RESOURCES, "%s", (const char *)reason); }
static hkd_status be_killed(void *context) {
    (void)context;
    return raise(9) ? HKD_OK : HKD_DEVICE;
}

/* A copy that sees what came after it, loses its reason, or whose death counts as success. */
static void beside(void) {
    char path[512];
    hkd_beside *b;
    snprintf(path, sizeof path, "%s", scratch("seen"));
    CHECK(!hkd_beside_begin(&b, write_seen, path) && b && !hkd_beside_ended(b), "the caller waited: %s", hkd_last_error());
    seen = 2;
    for (int i = 0; i < 100 && !hkd_beside_ended(b); i++) wait_a_little();
    CHECK(hkd_beside_ended(b) && !hkd_beside_end(b) && holds(path, "1"), "the copy saw a later value: %s", hkd_last_error());
    CHECK(!hkd_beside_begin(&b, fail, "disk full"), "%s", hkd_last_error());
    hkd_fail(HKD_USAGE, "another");
    CHECK(hkd_beside_end(b) == HKD_RESOURCES && !strcmp(hkd_last_error(), "disk full"), "reason: %s", hkd_last_error());
    CHECK(!hkd_beside_begin(&b, be_killed, NULL), "%s", hkd_last_error());
    CHECK(hkd_beside_end(b) == HKD_RESOURCES && strstr(hkd_last_error(), "killed"), "killed: %s", hkd_last_error());
    CHECK(!hkd_beside_end(NULL), "nothing to wait for");
}

void test_os(void) {
    beside();
    hashes();
    writing();
    full_disk();
    reading();
    listing();
    const double start = hkd_seconds();
    CHECK(hkd_seconds() >= start && hkd_cores() > 0 && hkd_peak_memory() > 100000, "clock, cores or memory make no sense");
}
