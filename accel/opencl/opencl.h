/* opencl.h - the OpenCL device: the operators as kernels in float32, for GPUs first and CPUs too.
 *
 * Layout: every tensor is dense row-major, images [N, C, H, W], one cl_mem per tensor. Each buffer is longer than its tensor
 * by HKD_CL_SLACK bytes, so that a vector load may run over the end of a row; what it finds there is never used.
 *
 * Kernels stand in NAME.cl, are concatenated behind common.cl and built as one program. Two profiles come from one source
 * (common.cl): CPU and GPU differ in the vector width and in how many work-items share a row. Nothing in a kernel depends on
 * timing, so two runs on a device give the same bits; weight gradients add canonical groups of HKD_CL_GROUP images in order.
 *
 * Commands are queued in order and not waited for: only download and sync wait.
 */
#ifndef HKD_OPENCL_H
#define HKD_OPENCL_H

#include "contract.h"
#include "machines.h"

enum { HKD_CL_SLACK = 256, HKD_CL_GROUP = 4, HKD_CL_SCRATCH = 4, HKD_CL_WIDE = HKD_WORKSPACES - HKD_CL_SCRATCH,
       HKD_CL_WAYS = 6 };

struct hkd_buffer {
    cl_mem memory;
    size_t bytes;       /* without the slack */
    hkd_role role;
};

/* ---- the device ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    cl_kernel kernel;
    size_t group;                              /* largest work-group of this kernel on this device */
} hkd_cl_kernel;

typedef struct {
    hkd_device base;
    hkd_cl_machine machine;
    char options[160];                         /* of the compiler */
    int width, tile_m, tile_n, lanes;          /* as in common.cl: floats of a vector, outputs per work-item of contract,
                                                * work-items per row */
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    bool unproved;                             /* used without its self-check */
    bool keeps_binaries;                       /* compiled programs go to the cache */
    cl_program tiles[HKD_CL_WAYS];             /* contract with another tile; made when one is first used */
    bool from_cache;                           /* a driver may misread its own binary: such a program is checked every time */
    hkd_cl_kernel kernels[256];
    int kernel_count;
    double most_work;                          /* multiply-adds of one launch of contract, and elements that another kernel */
    int64_t most_visits;                       /* reads in one: long launches make a display driver reset its GPU */
    int unflushed;                             /* launches since the driver was last told to begin */
    size_t used;                               /* bytes allocated */
    hkd_buffer *scratch[HKD_CL_SCRATCH];       /* each grows to the largest call */
    bool half;                                 /* activations are stored as float16, half.h */
    hkd_buffer *wide[HKD_CL_WIDE];             /* their float32 twins during a call; each grows to the largest */
    size_t most_wide;                          /* bytes of twins of one call: what half storage saves must not go into them */
    bool clblast;                              /* for all that it can do */
    struct hkd_cl_choice *choices;             /* of hkd tune, tune.h */
    int choice_count;
    struct hkd_cl_shapes *seen;                /* not NULL: nothing is launched, contractions are noted down */
    hkd_tensor frequencies;                    /* of positional_embedding, and the parameters they belong to */
    double frequencies_of[3];
} hkd_cl;

/* How OpenCL runs one row. `scratch` says how many bytes of each scratch buffer the call needs; they are there when the
 * call starts. */
typedef struct hkd_cl_op {
    const hkd_op *op;
    void (*scratch)(const hkd_cl *cl, const hkd_call *call, bool backward, size_t bytes[HKD_CL_SCRATCH]); /* NULL: none */
    hkd_status (*forward)(hkd_cl *cl, const hkd_call *call);
    hkd_status (*backward)(hkd_cl *cl, const hkd_call *call); /* NULL: not differentiable */
} hkd_cl_op;
extern const hkd_cl_op *const hkd_cl_table[];

/* Build the program with cl->options, or take it from the cache; the log of a failed build is in the message. */
hkd_status hkd_cl_build(hkd_cl *cl, bool use_cache);
/* Release the program and its kernels. */
void hkd_cl_forget_program(hkd_cl *cl);

/* GEMM, convolution, group norm, attention and the Koopman operator on small shapes against the reference; HKD_DEVICE and the
 * operator's name when one is wrong. */
hkd_status hkd_cl_self_check(hkd_device *dev);
/* cache.c: did this device, driver and program pass before, the compiled program, the choices of hkd tune. */
bool hkd_cl_was_checked(const hkd_cl *cl);
void hkd_cl_remember_check(const hkd_cl *cl);
bool hkd_cl_recall(const hkd_cl *cl, const char *what, unsigned char **bytes, size_t *size); /* to be freed; false: none */
void hkd_cl_remember(const hkd_cl *cl, const char *what, const void *bytes, size_t size);    /* what: "program", "tune" */
bool hkd_cl_keep_log(char *path, size_t size, const hkd_cl *cl, const char *log); /* of the compiler; says where */

/* messages.c. "CL_OUT_OF_RESOURCES (-5)", written to `text` */
enum { HKD_CL_TEXT = 80 };
const char *hkd_cl_error(char text[HKD_CL_TEXT], cl_int code);
/* HKD_RESOURCES: a buffer of so many bytes was refused. */
hkd_status hkd_cl_out_of_memory(const hkd_cl *cl, size_t bytes, cl_int code);
/* `what``name` failed: HKD_RESOURCES where the code means that memory lacks, else HKD_DEVICE. */
hkd_status hkd_cl_failed(const hkd_cl *cl, const char *what, const char *name, cl_int code);
hkd_status hkd_cl_build_failed(const hkd_cl *cl, const char *log, cl_int code);
/* HKD_DEVICE and why there is none. `folder` is /dev. */
hkd_status hkd_cl_no_device(const char *empty_platforms, const char *folder);
/* Does a GPU's device file exist that this user may not open? Its path. */
bool hkd_cl_forbidden_node(char *path, size_t size, const char *folder);

/* ---- launching a kernel ---------------------------------------------------------------------------------------------- */

/* One kernel argument. */
typedef struct {
    size_t size;
    union {
        cl_mem memory;
        cl_int whole;
        cl_uint word;
        cl_float real;
    } value;
    const void *structure;                     /* not NULL: this instead of value */
} hkd_cl_arg;

static inline hkd_cl_arg hkd_cl_memory(const hkd_buffer *b) {
    return (hkd_cl_arg){.size = sizeof(cl_mem), .value.memory = b ? b->memory : NULL};
}
static inline hkd_cl_arg hkd_cl_tensor(const hkd_tensor *t) { return hkd_cl_memory(t->buffer); }
static inline hkd_cl_arg hkd_cl_int(int64_t v) { return (hkd_cl_arg){.size = sizeof(cl_int), .value.whole = (cl_int)v}; }
static inline hkd_cl_arg hkd_cl_word(uint32_t v) { return (hkd_cl_arg){.size = sizeof(cl_uint), .value.word = v}; }
static inline hkd_cl_arg hkd_cl_real(double v) { return (hkd_cl_arg){.size = sizeof(cl_float), .value.real = (cl_float)v}; }

/* Queue `kernel` over x * y * z groups of work-items of the given local size along x. */
hkd_status hkd_cl_launch(hkd_cl *cl, const char *kernel, const size_t groups[3], size_t local, const hkd_cl_arg *args,
                         int count);
/* The shapes of launches. Items: at least `n` work-items, the kernel ignores those beyond. Runs: one work-item for every
 * run of cl->width elements of every row. Rows: one group of cl->lanes work-items for each of n rows.
 * `visits`: elements that one item or row reads; deep runs: vectors that one run reads. Work beyond cl->most_visits is cut into
 * several launches. */
hkd_status hkd_cl_launch_items(hkd_cl *cl, const char *kernel, int64_t n, int64_t visits, const hkd_cl_arg *args, int count);
hkd_status hkd_cl_launch_rows(hkd_cl *cl, const char *kernel, int64_t n, int64_t visits, const hkd_cl_arg *args, int count);

#define HKD_CL_ARGS(...) (const hkd_cl_arg[]){__VA_ARGS__}, (int)(sizeof((hkd_cl_arg[]){__VA_ARGS__}) / sizeof(hkd_cl_arg))
#define hkd_cl_deep_items(cl, kernel, n, visits, ...) hkd_cl_launch_items(cl, kernel, n, visits, HKD_CL_ARGS(__VA_ARGS__))
#define hkd_cl_items(cl, kernel, n, ...) hkd_cl_deep_items(cl, kernel, n, 16, __VA_ARGS__) /* a window's worth */
#define hkd_cl_deep_runs(cl, kernel, rows, length, depth, ...) \
    hkd_cl_deep_items(cl, kernel, (rows) * (((length) + (cl)->width - 1) / (cl)->width), (depth) * (cl)->width, __VA_ARGS__)
#define hkd_cl_runs(cl, kernel, rows, length, ...) hkd_cl_deep_runs(cl, kernel, rows, length, 1, __VA_ARGS__)
#define hkd_cl_rows(cl, kernel, n, visits, ...) hkd_cl_launch_rows(cl, kernel, n, visits, HKD_CL_ARGS(__VA_ARGS__))

/* ---- what several operators share ------------------------------------------------------------------------------------ */

/* to[i] (+)= s x[i] */
hkd_status hkd_cl_scaled(hkd_cl *cl, const hkd_tensor *to, const hkd_tensor *x, double s, bool accumulate);
/* contract.h, the way that hkd tune found best (tune.c); bias NULL: none; `more`: where shape->more says so */
hkd_status hkd_cl_contract(hkd_cl *cl, hkd_buffer *c, const hkd_buffer *a, const hkd_buffer *b, const hkd_buffer *bias,
                           const hkd_buffer *more, const hkd_contract *shape);
/* to [batch, columns, rows] = from [batch, rows, columns] */
hkd_status hkd_cl_transpose(hkd_cl *cl, hkd_buffer *to, const hkd_buffer *from, int64_t batch, int64_t rows, int64_t columns);

/* sums[r] (+)= sum of the `length` values of row r */
hkd_status hkd_cl_sum_rows(hkd_cl *cl, hkd_buffer *sums, const hkd_buffer *x, int64_t rows, int64_t length, bool accumulate);
/* to[i] (+)= sum over n of x[n * count + i], in groups of `group` consecutive n, the groups added in order */
hkd_status hkd_cl_fold(hkd_cl *cl, hkd_buffer *to, const hkd_buffer *x, int64_t n, int64_t count, int64_t group,
                       bool accumulate);

#endif
