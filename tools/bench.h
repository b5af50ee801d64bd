/* bench.h - what `hkd bench` measures, and the rows that it reports.
 *
 * A row is a JSON object: what was run, multiply-adds and bytes per image, and for every round the seconds per image beside
 * what the machine could do in that round. Rows of several runs merge; the figures that people read follow at the end. */
#ifndef HKD_BENCH_H
#define HKD_BENCH_H

#include "cli.h"
#include "model.h"

#include <jansson.h>

typedef struct {
    const hkd_args *args;
    hkd_device *dev;
    int64_t channels, resolution, batch, micro_batch, rounds;
    bool frozen;
} hkd_bench;

/* ---- rows (bench_row.c) ---- */

typedef struct {
    double gflops, gbytes; /* per second: multiply-adds in registers, memory; 0: not measured on this device */
} hkd_machine;
hkd_machine hkd_measure_machine(const hkd_device *dev);

/* The row of this work, network and batch, appended unless it is there. */
json_t *hkd_bench_row(json_t *rows, const hkd_bench *b, const char *work);
void hkd_bench_cost(json_t *row, double multiply_adds, double bytes); /* per image */
void hkd_bench_round(json_t *row, double seconds_per_image, hkd_machine m);
/* Add the rounds of `more` to the rows of the same work. */
void hkd_bench_merge(json_t *rows, const json_t *more);
/* From the rounds of each row: least and median time, speed, and the shares of what the machine did in the best round. */
void hkd_bench_finish(json_t *rows);
double hkd_bench_number(const json_t *row, const char *name); /* 0 when it is not there */

/* ---- works: each appends its rows ---- */

hkd_status hkd_bench_layers(json_t *rows, const hkd_bench *b);   /* convolutions of the network, one by one */
hkd_status hkd_bench_step(json_t *rows, const hkd_bench *b);     /* the whole network forward */
hkd_status hkd_bench_training(json_t *rows, const hkd_bench *b); /* a step of the trainer: dropout, loss, Adam; no average */
hkd_status hkd_bench_samplers(json_t *rows, const hkd_bench *b); /* one step beside Heun and DDIM on one network */
/* Everything that `make bench` prints, every work and round in a process of its own. */
hkd_status hkd_bench_table(json_t *rows, const hkd_bench *b);
/* Time per image over batch, threads, resolution and width, drawn beside the arithmetic's growth. */
hkd_status hkd_bench_scaling(json_t *rows, const hkd_bench *b, const char *svg);
/* EDM's CIFAR-10 network of this width and resolution. */
hkd_config hkd_bench_config(const hkd_bench *b);

/* ---- output (bench_print.c) ---- */

void hkd_bench_print_table(const json_t *rows, bool profile);
void hkd_bench_print_csv(const json_t *rows);

#endif
