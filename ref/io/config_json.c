#include "model_file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static json_t *integers(const int *values, int count) {
    json_t *array = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(array, json_integer(values[i]));
    return array;
}

/* Of a denoiser: if its network knows less than the usual range. */
static void set_range(json_t *o, const hkd_config *c) {
    const hkd_config usual = hkd_config_default(c->arch);
    if (c->sigma_min == usual.sigma_min && c->sigma_max == usual.sigma_max) return;
    json_object_set_new(o, "sigma_min", json_real(c->sigma_min));
    json_object_set_new(o, "sigma_max", json_real(c->sigma_max));
}

static void set_hkd_fields(json_t *o, const hkd_config *c) {
    json_object_set_new(o, "hierarchy", json_string(hkd_hierarchy_name(c->hierarchy)));
    json_object_set_new(o, "tie_bottleneck", json_boolean(c->tie_bottleneck));
    json_object_set_new(o, "time", json_string(hkd_time_name(c->time)));
    json_object_set_new(o, "sigma_min", json_real(c->sigma_min));
    json_object_set_new(o, "sigma_max", json_real(c->sigma_max));
    json_object_set_new(o, "rho", json_real(c->rho));
    json_object_set_new(o, "decoder_sigma", json_real(c->decoder_sigma));
}

hkd_status hkd_config_to_json(char **text, const hkd_config *c) {
    json_t *o = json_object();
    json_object_set_new(o, "arch", json_string(hkd_arch_name(c->arch)));
    json_object_set_new(o, "img_resolution", json_integer(c->img_resolution));
    json_object_set_new(o, "img_channels", json_integer(c->img_channels));
    json_object_set_new(o, "label_dim", json_integer(c->label_dim));
    json_object_set_new(o, "augment_dim", json_integer(c->augment_dim));
    json_object_set_new(o, "model_channels", json_integer(c->model_channels));
    json_object_set_new(o, "channel_mult", integers(c->channel_mult, c->levels));
    json_object_set_new(o, "channel_mult_emb", json_integer(c->channel_mult_emb));
    json_object_set_new(o, "num_blocks", json_integer(c->num_blocks));
    json_object_set_new(o, "attn_resolutions", integers(c->attn_resolutions, c->attn_count));
    json_object_set_new(o, "dropout", json_real(c->dropout));
    json_object_set_new(o, "precond", json_string(hkd_precond_name(c->precond)));
    json_object_set_new(o, "sigma_data", json_real(c->sigma_data));
    if (c->is_hkd) set_hkd_fields(o, c);
    else set_range(o, c);
    *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(o);
    return *text ? HKD_OK : hkd_fail(HKD_RESOURCES, "out of memory for the configuration");
}

/* ---- reading: each function leaves the default where the key is absent ---- */

enum { FIELDS = 32 };

typedef struct {
    json_t *o;
    const char *where;
    hkd_status status;
    const char *known[FIELDS]; /* the keys that were looked for */
    int count;
} reader;

static json_t *field(reader *r, const char *key) {
    if (r->count < FIELDS) r->known[r->count++] = key;
    return r->status ? NULL : json_object_get(r->o, key);
}

static void wrong(reader *r, const char *key, const char *expected) {
    r->status = hkd_fail(HKD_BAD_FILE, "%s: hkd.config: '%s' must be %s", r->where, key, expected);
}

static bool small(const json_t *v) {
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= 1000000;
}

static void read_int(reader *r, const char *key, int *out) {
    const json_t *v = field(r, key);
    if (!v) return;
    if (small(v)) *out = (int)json_integer_value(v);
    else wrong(r, key, "a whole number from 0 to 1000000");
}

static void read_real(reader *r, const char *key, double *out) {
    const json_t *v = field(r, key);
    if (!v) return;
    if (json_is_number(v)) *out = json_number_value(v);
    else wrong(r, key, "a number");
}

static void read_bool(reader *r, const char *key, bool *out) {
    const json_t *v = field(r, key);
    if (!v) return;
    if (json_is_boolean(v)) *out = json_is_true(v);
    else wrong(r, key, "true or false");
}

static int read_name(reader *r, const char *key, int standard, int (*of)(const char *), const char *expected) {
    const json_t *v = field(r, key);
    const int value = v && json_is_string(v) ? of(json_string_value(v)) : -1;
    if (!v) return standard;
    if (value < 0) wrong(r, key, expected);
    return value;
}

static void read_list(reader *r, const char *key, int *out, int *count) {
    const json_t *v = field(r, key);
    if (!v) return;
    if (!json_is_array(v) || json_array_size(v) > HKD_MAX_LEVELS) {
        wrong(r, key, "a list of at most 8 whole numbers");
        return;
    }
    *count = (int)json_array_size(v);
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (small(json_array_get(v, i))) out[i] = (int)json_integer_value(json_array_get(v, i));
        else wrong(r, key, "a list of at most 8 whole numbers");
    }
}

/* A key that nothing looked for is a misspelt field, which would silently have its default, or one of a later program. */
static void refuse_strangers(reader *r) {
    const char *key;
    json_t *value;
    json_object_foreach(r->o, key, value) {
        int k = 0;
        while (k < r->count && strcmp(r->known[k], key)) k++;
        if (k == r->count && !r->status)
            r->status = hkd_fail(HKD_BAD_FILE, "%s: hkd.config: '%.60s' is no field that this program knows", r->where, key);
    }
}

/* Changes the fields of *out that the object names, and those only if all is well. */
static hkd_status read_fields(hkd_config *out, json_t *o, const char *where) {
    reader r = {.o = o, .where = where};
    hkd_config c = *out;
    c.arch = (hkd_arch)read_name(&r, "arch", (int)c.arch, hkd_arch_of, "ddpmpp or ncsnpp");
    c.precond = (hkd_precond)read_name(&r, "precond", (int)c.precond, hkd_precond_of, "edm, vp, ve, iddpm or decoder_only");
    c.hierarchy = (hkd_hierarchy)read_name(&r, "hierarchy", (int)c.hierarchy, hkd_hierarchy_of,
                                           "full, bottleneck, shared or none");
    c.time = (hkd_time_mode)read_name(&r, "time", (int)c.time, hkd_time_of, "karras, sigma or log_sigma");
    read_int(&r, "img_resolution", &c.img_resolution);
    read_int(&r, "img_channels", &c.img_channels);
    read_int(&r, "label_dim", &c.label_dim);
    read_int(&r, "augment_dim", &c.augment_dim);
    read_int(&r, "model_channels", &c.model_channels);
    read_int(&r, "channel_mult_emb", &c.channel_mult_emb);
    read_int(&r, "num_blocks", &c.num_blocks);
    read_list(&r, "channel_mult", c.channel_mult, &c.levels);
    read_list(&r, "attn_resolutions", c.attn_resolutions, &c.attn_count);
    read_real(&r, "dropout", &c.dropout);
    read_real(&r, "sigma_data", &c.sigma_data);
    read_real(&r, "sigma_min", &c.sigma_min);
    read_real(&r, "sigma_max", &c.sigma_max);
    read_real(&r, "rho", &c.rho);
    read_real(&r, "decoder_sigma", &c.decoder_sigma);
    read_bool(&r, "tie_bottleneck", &c.tie_bottleneck);
    refuse_strangers(&r);
    if (r.status) return r.status;
    if (hkd_config_check(&c)) {
        char reason[512];
        strncpy(reason, hkd_last_error(), sizeof reason - 1);
        reason[sizeof reason - 1] = 0;
        return hkd_fail(HKD_BAD_FILE, "%s: hkd.config: %s", where, reason);
    }
    *out = c;
    return HKD_OK;
}

hkd_status hkd_config_from_json(hkd_config *out, const char *text, bool is_hkd, const char *where) {
    json_error_t error;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    hkd_config c = hkd_config_default(HKD_ARCH_DDPMPP);
    c.is_hkd = is_hkd;
    const hkd_status status = json_is_object(o) ? read_fields(&c, o, where)
                                                : hkd_fail(HKD_BAD_FILE, "%s: hkd.config is not a JSON object", where);
    json_decref(o);
    if (!status) *out = c;
    return status;
}

/* ---- single fields, by name ---- */

/* The fields that are readings of the papers or settings of the denoiser: free to choose for any network. The second half is
 * for HKD models. */
static const char *const choice[] = {"precond", "sigma_data", "channel_mult_emb", "time", "decoder_sigma", "sigma_min",
                                     "sigma_max", "rho"};
enum { CHOICES = sizeof choice / sizeof *choice, FOR_ALL = 3 };

static json_t *value_of(const char *text) {
    char *end;
    const long whole_number = strtol(text, &end, 10);
    if (*text && !*end) return json_integer(whole_number);
    const double number = strtod(text, &end);
    return *text && !*end && isfinite(number) ? json_real(number) : json_string(text);
}

/* One "name=value" becomes a member of the object. */
static hkd_status add_field(json_t *o, const char *word, const char *what, bool is_hkd) {
    const char *equals = strchr(word, '=');
    const size_t length = equals ? (size_t)(equals - word) : 0;
    const int known = is_hkd ? CHOICES : FOR_ALL;
    int k = 0;
    while (k < known && (strlen(choice[k]) != length || strncmp(choice[k], word, length))) k++;
    if (k == known)
        return hkd_fail(HKD_USAGE, "%s '%s': expected NAME=VALUE, NAME one of precond, sigma_data, channel_mult_emb%s", what,
                        word, is_hkd ? ", time, decoder_sigma, sigma_min, sigma_max, rho" : "");
    if (json_object_get(o, choice[k])) return hkd_fail(HKD_USAGE, "%s: %s is given twice", what, choice[k]);
    return json_object_set_new(o, choice[k], value_of(equals + 1)) ? hkd_fail(HKD_USAGE, "%s: '%s' is not text", what, word)
                                                                   : HKD_OK;
}

hkd_status hkd_config_set(hkd_config *c, const char *fields, const char *what) {
    char *copy = malloc(strlen(fields) + 1), reason[512];
    json_t *o = json_object();
    hkd_status status = copy && o ? HKD_OK : hkd_fail(HKD_RESOURCES, "%s: out of memory", what);
    if (copy) strcpy(copy, fields);
    for (char *word = copy, *next; word && !status; word = next) {
        if ((next = strchr(word, ','))) *next++ = 0;
        status = add_field(o, word, what, c->is_hkd);
    }
    if (!status && read_fields(c, o, what)) {
        snprintf(reason, sizeof reason, "%s", hkd_last_error());
        status = hkd_fail(HKD_USAGE, "%s", reason);
    }
    json_decref(o);
    free(copy);
    return status;
}
