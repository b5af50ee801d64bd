/* Matrix products by CLBlast. It is an option at build time, never chosen on a CPU (there it is slow and takes 7 to 16 seconds
 * to start), and on a GPU only for shapes where hkd tune found it right and faster. */
#include "tune.h"

#include "status.h"

#include <stdio.h>

#ifdef HKD_CLBLAST
#include <clblast_c.h>

/* A [m, k] and C [m, n] of one z, as BLAS sees them; B [k, n] always lies along n. */
typedef struct {
    bool turned_a, by_columns; /* A lies along m; C lies along m */
    int64_t lda, ldc, a_z, b_z, c_z, z;
} layout;

static bool layout_of(layout *out, const hkd_contract *k) {
    const bool row = k->a_r0 == 1 && k->a_m >= k->r0, column = k->a_m == 1 && k->a_r0 >= k->m;
    const bool c_row = k->c_n0 == 1 && k->c_m >= k->n, c_column = k->c_m == 1 && k->c_n0 >= k->m;
    const bool batch = k->z1 > 1;
    *out = (layout){!row, !c_row, row ? k->a_m : k->a_r0, c_row ? k->c_m : k->c_n0, batch ? k->a_z1 : k->a_z0,
                    batch ? k->b_z1 : k->b_z0, batch ? k->c_z1 : k->c_z0, (int64_t)k->z0 * k->z1};
    return (row || column) && (c_row || c_column);
}

bool hkd_cl_blas_fits(const hkd_cl *cl, const hkd_contract *k) {
    layout l;
    (void)cl;
    const bool product = k->r1 == 1 && k->r2 == 1 && (!k->group || k->group >= k->r0) && k->b_r0 >= k->n;
    const bool dense = k->n0 == k->n && k->n0_used == k->n && k->n1 == 1 && k->n1_used == 1;
    const bool some = !k->b_n1 && !k->more && k->m > 0 && k->n > 0 && k->r0 > 0 && k->z0 > 0 && k->z1 > 0;
    const bool one_step = k->z0 == 1 || k->z1 == 1;
    return product && dense && some && one_step && layout_of(&l, k) && l.a_z >= 0 && l.b_z >= 0 && l.c_z >= 0;
}

static hkd_status failed(CLBlastStatusCode code) {
    return hkd_fail(code == CLBlastTempBufferAllocFailure ? HKD_RESOURCES : HKD_DEVICE,
                    "opencl: CLBlast failed: code %d; hkd tune anew, or --no-tune", (int)code);
}

/* Columns first .. first + count of every z. */
static hkd_status product(hkd_cl *cl, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b, const hkd_contract *k,
                          int64_t first, int64_t count, bool add) {
    layout l;
    layout_of(&l, k);
    const CLBlastLayout order = l.by_columns ? CLBlastLayoutColMajor : CLBlastLayoutRowMajor;
    const CLBlastTranspose a_way = l.turned_a == l.by_columns ? CLBlastTransposeNo : CLBlastTransposeYes;
    const CLBlastTranspose b_way = l.by_columns ? CLBlastTransposeYes : CLBlastTransposeNo;
    const size_t a_at = (size_t)k->a, b_at = (size_t)(k->b + first), c_at = (size_t)(k->c + first * k->c_n0);
    const float beta = add ? 1 : 0;
    const CLBlastStatusCode code =
        l.z == 1 ? CLBlastSgemm(order, a_way, b_way, (size_t)k->m, (size_t)count, (size_t)k->r0, 1, a->memory, a_at,
                                (size_t)l.lda, b->memory, b_at, (size_t)k->b_r0, beta, c->memory, c_at, (size_t)l.ldc,
                                &cl->queue, NULL)
                 : CLBlastSgemmStridedBatched(order, a_way, b_way, (size_t)k->m, (size_t)count, (size_t)k->r0, 1, a->memory,
                                              a_at, (size_t)l.lda, (size_t)l.a_z, b->memory, b_at, (size_t)k->b_r0,
                                              (size_t)l.b_z, beta, c->memory, c_at, (size_t)l.ldc, (size_t)l.c_z, (size_t)l.z,
                                              &cl->queue, NULL);
    return code ? failed(code) : HKD_OK;
}

hkd_status hkd_cl_blas(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                       const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *k) {
    const int64_t outputs = (int64_t)k->z0 * k->z1 * k->m * k->n;
    const double fit = cl->most_work / ((double)k->z0 * k->z1 * k->m * k->r0);
    const int64_t step = fit < 64 ? 64 : fit < k->n ? (int64_t)fit : k->n;
    hkd_status status = HKD_OK;
    (void)way, (void)more; /* it does not fit where there is more */
    if (bias)
        status = hkd_cl_items(cl, "blas_bias", outputs, hkd_cl_memory(c), hkd_cl_memory(bias),
                              {.size = sizeof *k, .structure = k});
    for (int64_t n = 0; !status && n < k->n; n += step)
        status = product(cl, c, a, b, k, n, k->n - n < step ? k->n - n : step, bias || k->accumulate);
    return status;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
const char *hkd_cl_blas_name(void) {
    return "CLBlast " TEXT(CLBLAST_VERSION_MAJOR) "." TEXT(CLBLAST_VERSION_MINOR) "." TEXT(CLBLAST_VERSION_PATCH);
}

/* It keeps programs by context, and the next context may have the address of the last. */
void hkd_cl_blas_close(void) { CLBlastClearCache(); }

#else

bool hkd_cl_blas_fits(const hkd_cl *cl, const hkd_contract *shape) { return (void)cl, (void)shape, false; }

hkd_status hkd_cl_blas(hkd_cl *cl, const hkd_cl_way *way, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b,
                       const hkd_buffer *bias, const hkd_buffer *more, const hkd_contract *k) {
    (void)cl, (void)way, (void)c, (void)a, (void)b, (void)bias, (void)more, (void)k;
    return hkd_fail(HKD_DEVICE, "opencl: built without CLBlast");
}

const char *hkd_cl_blas_name(void) { return "no CLBlast"; }
void hkd_cl_blas_close(void) {}

#endif
