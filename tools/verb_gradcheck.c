/* hkd gradcheck - every backward against central differences and the adjoint identity, on the reference, in float64.
 * The shapes are those of the random vectors (1, 3, 5, 7, 17, empty ones too); see tools/cases. */
#include "cli.h"
#include "gradcheck.h"
#include "status.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int cases, failures;
    double difference, adjoint;
    int64_t compared;
} tally;

/* Kinks and ties have no derivative: only random data are differentiated. */
static bool smooth(const hkd_case *c) {
    return c->kind == HKD_RANDOM && strncmp(c->name, "half_", 5) != 0;
}

static hkd_status check_case(tally *t, const hkd_args *a, const hkd_op *op, const hkd_case *c) {
    hkd_vector v;
    hkd_gradcheck_result r;
    hkd_status status = hkd_vector_make(&v, op, c);
    if (status) return status;
    status = hkd_gradcheck(&r, &v, HKD_GRADCHECK_ELEMENTS);
    hkd_vector_free(&v);
    if (status) return status;
    if (strstr(c->flags, "ZeroGradient") && r.wrong && !strcmp(r.wrong, "zero")) r.wrong = NULL;
    t->cases++;
    t->compared += r.compared;
    t->difference = fmax(t->difference, r.difference);
    t->adjoint = fmax(t->adjoint, r.adjoint);
    /* written so that NaN fails */
    if (!r.wrong && r.difference <= HKD_GRADCHECK_DIFFERENCE && r.adjoint <= HKD_GRADCHECK_ADJOINT) return HKD_OK;
    t->failures++;
    hkd_say(a, "FAIL %s/%s: %s%s%s difference %.2g, adjoint %.2g", op->name, c->name,
            r.wrong ? "a gradient is " : "", r.wrong ? r.wrong : "", r.wrong ? ";" : "", r.difference, r.adjoint);
    return HKD_OK;
}

static hkd_status check_list(tally *t, const hkd_args *a, const hkd_op *op, const hkd_case_list *list) {
    *t = (tally){0, 0, 0, 0, 0};
    for (const hkd_case *c = list->cases; c->name; c++) {
        if (hkd_cancelled()) return hkd_fail(HKD_RESOURCES, "interrupted");
        if (!smooth(c)) continue;
        const hkd_status status = check_case(t, a, op, c);
        if (status) return status;
    }
    if (!t->cases) t->failures++;
    return HKD_OK;
}

static void print(const tally *t, const hkd_op *op, json_t *list) {
    if (list)
        json_array_append_new(list, json_pack("{s:s, s:i, s:I, s:f, s:f, s:b}", "operator", op->name, "cases", t->cases,
                                              "elements", (json_int_t)t->compared, "difference", t->difference, "adjoint",
                                              t->adjoint, "pass", !t->failures));
    else
        printf("%-4s %-20s %3d cases %6lld elements   difference %.1e   adjoint %.1e%s\n", t->failures ? "FAIL" : "ok",
               op->name,
               t->cases, (long long)t->compared, t->difference, t->adjoint, t->cases ? "" : "   no random case to check");
}

static hkd_status run(const hkd_args *a) {
    const char *only = a->operands ? a->operand[0] : NULL;
    hkd_status status = only ? hkd_known_op(only) : HKD_OK;
    int operators = 0, failures = 0;
    json_t *list = hkd_given(a, "json") ? json_array() : NULL;
    for (int k = 0; !status && hkd_case_lists[k]; k++) {
        const hkd_op *op = hkd_find_op(hkd_case_lists[k]->op);
        tally t;
        if (!op || !op->backward || (only && strcmp(only, op->name) != 0)) continue;
        status = check_list(&t, a, op, hkd_case_lists[k]);
        if (status) break;
        print(&t, op, list);
        operators++;
        failures += t.failures > 0;
    }
    if (list && !status) {
        json_dumpf(list, stdout, JSON_INDENT(1));
        printf("\n");
    }
    json_decref(list);
    if (status) return status;
    if (!operators) return hkd_fail(HKD_CHECK_FAILED, "no differentiable operator was checked");
    if (failures) return hkd_fail(HKD_CHECK_FAILED, "%d of %d operators failed", failures, operators);
    return HKD_OK;
}

const hkd_verb hkd_verb_gradcheck = {
    .name = "gradcheck",
    .operands = "[OP]",
    .summary = "check every gradient against central differences and the adjoint identity",
    .most = 1,
    .example = {"gradcheck", "gradcheck koopman_evolve"},
    .run = run,
};
