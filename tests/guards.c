#ifdef HKD_OPENCL
#include "guards.h"
#endif
#include "test.h"

#include <stdlib.h>

#ifdef HKD_OPENCL
enum { BAND = 4096 }; /* bytes, a multiple of what sub-buffers must be aligned to */

typedef struct band {
    struct band *next;
    hkd_buffer *buffer;
    cl_mem whole;
    size_t bytes;        /* of the buffer */
    uint32_t seed;
} band;

const char *guards_about = "";
static band *bands;
static int looked_at;
static uint32_t seeds;
static hkd_status (*plain_alloc)(hkd_device *, hkd_buffer **, size_t, hkd_role);
static void (*plain_release)(hkd_device *, hkd_buffer *);

static size_t whole_words(const band *g) { return (BAND + g->bytes + HKD_CL_SLACK + BAND) / sizeof(uint32_t); }

/* A NaN, as one float32 and as two float16. */
static uint32_t word(const band *g, size_t i) {
    const uint32_t h = ((uint32_t)i + g->seed) * 2654435761u; /* Knuth's multiplicative hash */
    return 0x7fc07c01u | (h >> 8 & 0x003f03feu);
}

static hkd_status guarded_alloc(hkd_device *dev, hkd_buffer **out, size_t bytes, hkd_role role) {
    hkd_cl *cl = (hkd_cl *)(void *)dev;
    const hkd_status status = plain_alloc(dev, out, bytes + 2 * BAND, role);
    if (status) return status;
    band *g = malloc(sizeof *g);
    *g = (band){bands, *out, (*out)->memory, bytes, ++seeds * 977};
    bands = g;
    uint32_t *content = malloc(whole_words(g) * sizeof *content);
    for (size_t i = 0; i < whole_words(g); i++) content[i] = word(g, i);
    const cl_buffer_region part = {BAND, bytes + HKD_CL_SLACK};
    cl_int code = clEnqueueWriteBuffer(cl->queue, g->whole, CL_TRUE, 0, whole_words(g) * sizeof *content, content, 0, NULL,
                                       NULL);
    free(content);
    if (!code) (*out)->memory = clCreateSubBuffer(g->whole, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &part, &code);
    (*out)->bytes = bytes;
    CHECK(!code, "no guarded buffer: OpenCL error %d", code);
    return HKD_OK;
}

/* Bytes first .. last of the whole hold what they held. */
static bool intact(const band *g, const unsigned char *content, size_t first, size_t last) {
    for (size_t i = first; i < last; i++) {
        const uint32_t w = word(g, i / sizeof w);
        if (content[i] != ((const unsigned char *)&w)[i % sizeof w]) return false;
    }
    return true;
}

static void look_at(hkd_cl *cl, const band *g) {
    const size_t size = whole_words(g) * sizeof(uint32_t);
    unsigned char *content = malloc(size);
    const cl_int code = clEnqueueReadBuffer(cl->queue, g->whole, CL_TRUE, 0, size, content, 0, NULL, NULL);
    CHECK(!code && intact(g, content, 0, BAND), "%s: a buffer of %zu bytes was written before its start", guards_about,
          g->bytes);
    CHECK(!code && intact(g, content, BAND + g->bytes, size), "%s: a buffer of %zu bytes was written behind its end",
          guards_about, g->bytes);
    free(content);
    looked_at++;
}

static void guarded_release(hkd_device *dev, hkd_buffer *b) {
    band **at = &bands;
    while (*at && (*at)->buffer != b) at = &(*at)->next;
    band *g = *at;
    if (b && g) {
        look_at((hkd_cl *)(void *)dev, g);
        clReleaseMemObject(b->memory);
        b->memory = g->whole;
        b->bytes += 2 * BAND;
        *at = g->next;
        free(g);
    }
    plain_release(dev, b);
}

void guards_on(hkd_device *dev) {
    plain_alloc = dev->alloc;
    plain_release = dev->release;
    dev->alloc = guarded_alloc;
    dev->release = guarded_release;
    looked_at = 0;
}

int guards_end(void) {
    CHECK(!bands, "%s: a buffer of %zu bytes was never released", guards_about, bands ? bands->bytes : 0);
    return looked_at;
}
#endif
