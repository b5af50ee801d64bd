/* hkd compare - which tensor of a network run is the first to be wrong?
 *
 * First every operator alone, from the trace's own inputs, so that errors do not compound: the result must lie within the
 * operator's bound. Then end to end: a tensor may differ from the reference network by twice (--math fast: eight times) what
 * the plain cpu build differs, plus 8 u, in units of the largest element. */
#include "cli.h"
#include "status.h"
#include "trace.h"
#include "verify.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    hkd_trace t;
    double **ref, **plain; /* the same network from the same inputs, by variable; NULL: not computed */
    hkd_device *cpu;
    hkd_profile profile;
    double factor;
    /* what came out */
    int judged, skipped, wrong, outside;
    double worst, end;
    int worst_call, first_wrong, first_outside;
    hkd_verdict first;
} comparison;

/* A call on these values, as a vector without results. False when an input is missing. */
static bool call_on(hkd_vector *v, const hkd_trace *t, const hkd_traced_call *c, double *const *values) {
    *v = (hkd_vector){.op = c->op, .kind = HKD_RANDOM};
    for (int i = 0; i < HKD_MAX_PARAM; i++) v->p[i] = c->p[i];
    for (int i = 0; i < hkd_op_inputs(c->op); i++) {
        v->in_shape[i] = HKD_ABSENT;
        if (c->in[i] < 0) continue;
        v->in_shape[i] = t->var[c->in[i]].shape;
        v->in[i] = values ? values[c->in[i]] : t->var[c->in[i]].value;
        if (!v->in[i]) return false;
    }
    return hkd_op_shapes(c->op, v->out_shape, v->in_shape, v->p) == HKD_OK;
}

static hkd_status make_room(hkd_vector *v) {
    for (int i = 0; i < hkd_op_outputs(v->op); i++) {
        const size_t n = (size_t)hkd_count(&v->out_shape[i]) + 1;
        v->out[i] = calloc(n, sizeof(double));
        v->out_bound[i] = calloc(n, sizeof(double));
        if (!v->out[i] || !v->out_bound[i]) return hkd_fail(HKD_RESOURCES, "out of memory");
    }
    return HKD_OK;
}

/* One operator from the trace's own inputs. */
static hkd_status judge_call(comparison *m, int index) {
    const hkd_traced_call *c = &m->t.call[index];
    hkd_vector v;
    hkd_status status = HKD_OK;
    if (!call_on(&v, &m->t, c, NULL) || c->out[0] < 0 || !m->t.var[c->out[0]].value) {
        m->skipped++;
        return HKD_OK;
    }
    status = make_room(&v);
    if (!status) {
        const hkd_ref_call call = hkd_vector_ref_call(&v);
        c->op->forward(&call);
        c->op->bound(&call);
        const hkd_traced *got = &m->t.var[c->out[0]];
        if (!hkd_same_shape(&got->shape, &v.out_shape[0])) status = hkd_fail(HKD_BAD_FILE, "'%s' has a wrong shape", got->name);
        const hkd_judged j = {v.out[0], v.out_bound[0], got->value, &v.out_shape[0], (double)hkd_vector_elements(&v), false, 1,
                              c->op};
        const hkd_verdict r = status ? (hkd_verdict){.first = -1} : hkd_judge(&j, &m->profile);
        m->judged++;
        if (r.used >= m->worst) m->worst = r.used, m->worst_call = index;
        if (r.wrong && !m->wrong++) m->first_wrong = index, m->first = r;
    }
    for (int i = 0; i < HKD_MAX_OUT; i++) free(v.out[i]), free(v.out_bound[i]);
    return status;
}

/* The same call within the reference network and within the plain one. */
static hkd_status follow(comparison *m, int index) {
    const hkd_traced_call *c = &m->t.call[index];
    hkd_vector v;
    hkd_vector_result r;
    if (!call_on(&v, &m->t, c, m->plain)) return HKD_OK;
    hkd_status status = hkd_vector_run(&r, m->cpu, &v);
    if (status) return status;
    for (int i = 0; i < hkd_op_outputs(c->op); i++) {
        if (c->out[i] < 0) continue;
        m->plain[c->out[i]] = r.out[i];
        r.out[i] = NULL;
    }
    hkd_vector_result_free(&r);
    if (!call_on(&v, &m->t, c, m->ref) || (status = make_room(&v))) return status;
    const hkd_ref_call call = hkd_vector_ref_call(&v);
    c->op->forward(&call);
    for (int i = 0; i < hkd_op_outputs(c->op); i++) {
        free(v.out_bound[i]);
        if (c->out[i] >= 0) m->ref[c->out[i]] = v.out[i];
        else free(v.out[i]);
    }
    return HKD_OK;
}

static void envelope(comparison *m, int index) {
    const int v = m->t.call[index].out[0];
    if (v < 0 || !m->ref[v] || !m->plain[v] || !m->t.var[v].value) return;
    const int64_t n = hkd_count(&m->t.var[v].shape);
    m->end = hkd_relative_error(m->t.var[v].value, m->ref[v], n);
    const double allowed = m->factor * hkd_relative_error(m->plain[v], m->ref[v], n) + 8 * HKD_U;
    if (!(m->end <= allowed) && !m->outside++) m->first_outside = index;
}

static bool made_by_a_call(const hkd_trace *t, int v) {
    for (int c = 0; c < t->calls; c++)
        for (int i = 0; i < hkd_op_outputs(t->call[c].op); i++)
            if (t->call[c].out[i] == v) return true;
    return false;
}

static hkd_status compare(comparison *m) {
    hkd_status status = HKD_OK;
    m->ref = calloc((size_t)m->t.vars + 1, sizeof *m->ref);
    m->plain = calloc((size_t)m->t.vars + 1, sizeof *m->plain);
    if (!m->ref || !m->plain) return hkd_fail(HKD_RESOURCES, "out of memory");
    for (int v = 0; v < m->t.vars; v++)
        if (!made_by_a_call(&m->t, v)) m->ref[v] = m->plain[v] = m->t.var[v].value;
    for (int c = 0; !status && c < m->t.calls; c++) {
        status = hkd_cancelled() ? hkd_fail(HKD_RESOURCES, "interrupted") : judge_call(m, c);
        if (!status) status = follow(m, c);
        if (!status) envelope(m, c);
    }
    for (int v = 0; v < m->t.vars; v++)
        if (m->ref[v] != m->t.var[v].value) free(m->ref[v]), free(m->plain[v]);
    free(m->ref);
    free(m->plain);
    return status;
}

static const char *result_name(const comparison *m, int call) { return m->t.var[m->t.call[call].out[0]].name; }

static void print(const comparison *m) {
    char place[64];
    if (m->wrong) {
        hkd_coordinates(place, sizeof place, &m->t.var[m->t.call[m->first_wrong].out[0]].shape, m->first.first);
        printf("operators: the first wrong one is %s -> %s: %lld of %lld elements, first %s, worst %.3g %% of the allowance\n",
               m->t.call[m->first_wrong].op->name, result_name(m, m->first_wrong), (long long)m->first.wrong,
               (long long)m->first.count, place, 100 * m->first.used);
    } else
        printf("operators: all %d within their allowance, worst %.3g %% (%s -> %s); %d without input or result\n", m->judged,
               100 * m->worst, m->t.call[m->worst_call].op->name, result_name(m, m->worst_call), m->skipped);
    if (m->outside)
        printf("end to end: the first tensor outside %g times plain's error + 8 u is %s\n", m->factor,
               result_name(m, m->first_outside));
    else printf("end to end: every tensor within %g times plain's error + 8 u; the last is off by %.2g\n", m->factor, m->end);
}

static void print_json(const comparison *m) {
    json_t *o = json_pack("{s:i, s:i, s:i, s:f, s:s, s:i, s:f}", "judged", m->judged, "skipped", m->skipped, "wrong", m->wrong,
                          "worst_percent", 100 * m->worst, "worst_at", result_name(m, m->worst_call), "outside", m->outside,
                          "last_relative_error", m->end);
    if (m->wrong) json_object_set_new(o, "first_wrong", json_string(result_name(m, m->first_wrong)));
    if (m->outside) json_object_set_new(o, "first_outside", json_string(result_name(m, m->first_outside)));
    json_dumpf(o, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(o);
}

static hkd_status run(const hkd_args *a) {
    comparison m = {.ref = NULL};
    int math = 0;
    hkd_status status = hkd_given(a, "math") ? hkd_arg_choice(&math, a, "math", "direct|fast") : HKD_OK;
    m.factor = math ? 8 : 2;
    m.profile.flushes = hkd_given(a, "flush");
    if (!status) status = hkd_trace_load(&m.t, a->operand[0]);
    if (!status && a->operands > 1) status = hkd_trace_values(&m.t, a->operand[1]);
    if (!status) status = hkd_device_open(&m.cpu, "cpu", &(hkd_device_options){.direct = true, .isa = "plain"});
    if (!status) status = compare(&m);
    if (!status && !m.judged) status = hkd_fail(HKD_CHECK_FAILED,
                                                "no operator was judged: the file holds none of the trace's tensors");
    if (!status) (hkd_given(a, "json") ? print_json : print)(&m);
    if (!status && m.wrong)
        status = hkd_fail(HKD_CHECK_FAILED, "%d of %d operators are wrong, the first makes '%s'", m.wrong, m.judged,
                          result_name(&m, m.first_wrong));
    else if (!status && m.outside)
        status = hkd_fail(HKD_CHECK_FAILED, "%d tensors outside, the first is '%s'", m.outside, result_name(&m,
                                                                                                            m.first_outside));
    hkd_device_close(m.cpu);
    hkd_trace_free(&m.t);
    return status;
}

const hkd_verb hkd_verb_compare = {
    .name = "compare",
    .operands = "TRACE [TENSORS]",
    .summary = "name the first operator of a trace, or of a port's tensors, that is wrong",
    .least = 1,
    .most = 2,
    .option = {{"flush", NULL, NULL, "the tensors come from a port that flushes subnormal numbers to zero"}},
    .example = {"compare cpu.safetensors                   a trace of hkd trace, judged by the reference",
                "compare ref.safetensors port.safetensors    a port's tensors under the names of a trace"},
    .run = run,
};
