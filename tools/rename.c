#include "rename.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    hkd_tensor_list *list;
    bool *done;        /* [list->count]: a rule has had it */
    const char *where; /* the file of the rules */
    bool known;        /* rules of this program: those that find nothing are no mistake */
} renaming;

/* The weights of the lpips package, alone or in a whole model's state dict, and what a whole classifier has besides. */
static const char lpips_rules[] =
    "lin0.model.1.*=lin0.*\nlin1.model.1.*=lin1.*\nlin2.model.1.*=lin2.*\nlin3.model.1.*=lin3.*\nlin4.model.1.*=lin4.*\n"
    "lin5.model.1.*=lin5.*\nlin6.model.1.*=lin6.*\nlins.*=\nscaling_layer.*=\nclassifier.*=\n"
    "net.slice1.*=features.*\nnet.slice2.*=features.*\nnet.slice3.*=features.*\nnet.slice4.*=features.*\n"
    "net.slice5.*=features.*\nnet.slice6.*=features.*\nnet.slice7.*=features.*\n";

static bool ends_with_star(const char *text) {
    const size_t n = strlen(text);
    return n && text[n - 1] == '*';
}

/* `stem` of new names, then what the old name had beyond `skip`. */
static hkd_status rename_one(hkd_listed *t, const char *stem, size_t stem_length, size_t skip) {
    char *name = malloc(stem_length + strlen(t->name + skip) + 1);
    if (!name) return hkd_fail(HKD_RESOURCES, "out of memory for names");
    memcpy(name, stem, stem_length);
    strcpy(name + stem_length, t->name + skip);
    free(t->name);
    t->name = name;
    return HKD_OK;
}

static hkd_status apply(renaming *r, int line, const char *old, const char *new) {
    const bool many = ends_with_star(old);
    const size_t length = strlen(old) - many, stem = strlen(new) - ends_with_star(new);
    bool found = false;
    if (*new && many != ends_with_star(new))
        return hkd_fail(HKD_BAD_FILE, "%s: line %d: expected '*' at the end of both names or of none", r->where, line);
    for (size_t i = 0; i < r->list->count; i++) {
        hkd_listed *t = &r->list->item[i];
        if (r->done[i] || (many ? strncmp(t->name, old, length) : strcmp(t->name, old))) continue;
        found = r->done[i] = true;
        if (!*new) {
            t->name[0] = 0; /* marks what is left out */
            continue;
        }
        const hkd_status status = rename_one(t, new, stem, length);
        if (status) return status;
    }
    if (found || r->known) return HKD_OK;
    return hkd_fail(HKD_USAGE, "%s: line %d: there is no tensor '%s'", r->where, line, old);
}

static hkd_status apply_all(renaming *r, char *text) {
    hkd_status status = HKD_OK;
    for (int line = 1; *text && !status; line++) {
        char *end = text + strcspn(text, "\r\n"), *next = end + (*end == '\r' && end[1] == '\n') + (*end != 0);
        *end = 0;
        char *equals = strchr(text, '=');
        if (*text && *text != '#' && !equals) status = hkd_fail(HKD_BAD_FILE, "%s: line %d: expected old=new", r->where, line);
        if (*text && *text != '#' && equals) {
            *equals = 0;
            status = apply(r, line, text, equals + 1);
        }
        text = next;
    }
    return status;
}

static hkd_status check_names(const hkd_tensor_list *list, const char *where) {
    for (size_t i = 0; i < list->count; i++)
        if (hkd_tensor_list_find(list, list->item[i].name) != &list->item[i])
            return hkd_fail(HKD_USAGE, "%s: two tensors get the name '%.64s'", where, list->item[i].name);
    return HKD_OK;
}

static void leave_out(hkd_tensor_list *list) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->item[i].name[0]) list->item[kept++] = list->item[i];
        else free(list->item[i].name);
    }
    list->count = kept;
}

hkd_status hkd_rename_tensors(hkd_tensor_list *list, const char *map) {
    renaming r = {.list = list, .where = map, .known = !strcmp(map, "lpips")};
    unsigned char *text = NULL;
    size_t count = sizeof lpips_rules;
    hkd_status status = HKD_OK;
    if (!r.known) status = hkd_read_file(&text, &count, map, 1 << 24);
    else if ((text = malloc(count))) memcpy(text, lpips_rules, count);
    r.done = calloc(list->count + 1, sizeof *r.done);
    if (!status && (!text || !r.done)) status = hkd_fail(HKD_RESOURCES, "out of memory for names");
    if (!status) status = apply_all(&r, (char *)text);
    free(r.done);
    free(text);
    leave_out(list);
    return status ? status : check_names(list, map);
}
