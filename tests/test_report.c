/* hkd report: one page that needs nothing else, whose controls change what is seen, in a real browser. */
#include "hkd_insight.h"
#include "image.h"
#include "os.h"
#include "program.h"
#include "scratch.h"
#include "small_model.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read(const char *path, size_t *size) {
    unsigned char *text = NULL;
    return CHECK(!hkd_read_file(&text, size, path, 1 << 28), "%s", hkd_last_error()) ? (char *)text : NULL;
}

/* Nothing may be fetched, every section must be there, and text of others must not become markup. */
static void page(const char *path) {
    size_t size = 0;
    char *text = read(path, &size);
    static const char *const sections[] = {"samples", "path", "spectrum", "effect", "edits", "propositions", "training",
                                           "verification", "making"};
    static const char *const forbidden[] = {"src=\"http", "href=\"http", "url(http", "@import", "<script src", "nan", "<b>"};
    for (size_t i = 0; text && i < sizeof sections / sizeof *sections; i++) {
        char id[40];
        snprintf(id, sizeof id, "<section id=\"%s\"", sections[i]);
        CHECK(strstr(text, id), "section %s is missing", sections[i]);
    }
    const char *script = text ? strstr(text, "</main>") : NULL;
    for (size_t i = 0; text && i < sizeof forbidden / sizeof *forbidden; i++) {
        const char *at = strstr(text, forbidden[i]);
        if (i == 5) at = strstr(text, ">nan") ? text : NULL; /* numbers that are none */
        CHECK(!at, "the page contains %s", forbidden[i]);
    }
    static const char *const says[] = {
        "60 passed, 1 failed, 2 skipped", "cpu of a test", "hkd refit", "hkd control", "hkd others", /* the commands */
        "random, frozen</th><td>0.20000</td><td>0.10000</td><td>97.0 %", "nearly) all arbitrary", "correlate by 0.250",
        "+0.01 to +0.03", "the band spares them", "<td>0.125</td><td>0.5</td><td>0.900", "Both sides of Proposition C.2",
        "image side", "off by 0.29", "95 % interval", "koopman.0, mean alpha", "Radial power spectrum", "off the plane"};
    for (size_t i = 0; text && i < sizeof says / sizeof *says; i++)
        CHECK(strstr(text, says[i]), "the page does not say: %s", says[i]);
    CHECK(script, "no script");
    free(text);
}

/* The page with a script behind it that works the controls and writes what it saw into the document. The slider's ends must be
 * other pixels, not only another place on the sheet; every control must be reachable by keyboard; dark must be dark. */
static void in_browser(const char *path, int width, bool dark) {
    static const char probe[] =
        "<script>{const seen = e => getComputedStyle(e).backgroundPositionX, say = {errors: window.problems.length};"
        "const tile = document.querySelector('#path .tile'), time = document.getElementById('time'), end = seen(tile);"
        "time.value = 0; time.dispatchEvent(new Event('input')); say.time = seen(tile) !== end;"
        "say.label = document.getElementById('time-label').textContent;"
        "const band = document.querySelector('#spectrum .tile'), all = seen(band);"
        "document.querySelector('input[value=high]').click(); say.band = seen(band) !== all; const high = seen(band);"
        "const level = document.getElementById('level'); level.value = 2; level.dispatchEvent(new Event('change'));"
        "say.level = seen(band) !== high; say.plot = !document.querySelector('[data-level=\"2\"]').hidden;"
        "document.querySelector('input[value=rectangle]').click(); document.querySelector('input[value=noised]').click();"
        "say.edit = [...document.querySelectorAll('[data-edit]')].filter(e => !e.hidden).map(e => e.dataset.edit).join();"
        "say.keys = [...document.querySelectorAll('input,select,.wide,nav a')].every(e => e.tabIndex >= 0);"
        "say.wide = document.documentElement.scrollWidth <= innerWidth;"
        "const shade = c => c.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) > 382 ? 'light' : 'dark';"
        "say.paper = shade(getComputedStyle(document.body).backgroundColor);"
        "say.ink = shade(getComputedStyle(document.body).color);"
        "const sheet = new Image(); sheet.src = getComputedStyle(tile).backgroundImage.slice(5, -2);"
        "sheet.decode().then(() => {const canvas = document.createElement('canvas'), pen = canvas.getContext('2d', "
        "{willReadFrequently: true});"
        "canvas.width = sheet.width; canvas.height = sheet.height; pen.drawImage(sheet, 0, 0);"
        "const side = sheet.width / getComputedStyle(tile).getPropertyValue('--columns');"
        "const first = pen.getImageData(0, 0, side, side).data, last = pen.getImageData(sheet.width - side, 0, side, "
        "side).data;"
        "say.pixels = first.some((v, i) => v !== last[i]);"
        "document.body.dataset.probe = Object.entries(say).map(e => e.join(':')).join(' ') + '.';});}</script></body>";
    size_t size = 0, out = 0;
    char *text = read(path, &size), *end = text ? strstr(text, "</body>") : NULL;
    char *head = text ? strstr(text, "<head>") : NULL, *dom;
    char file[512], command[2048], expected[400];
    if (!CHECK(end && head, "no body")) return;
    snprintf(file, sizeof file, "%s", scratch("probe.html"));
    FILE *f = fopen(file, "wb");
    if (!CHECK(f, "%s cannot be written", file)) return;
    fwrite(text, 1, (size_t)(head + 6 - text), f);
    fputs("<script>window.problems = []; addEventListener('error', e => problems.push(e.message))</script>", f);
    fwrite(head + 6, 1, (size_t)(end - head - 6), f);
    fputs(probe, f);
    fputs("</html>\n", f);
    fclose(f);
    snprintf(command, sizeof command, "timeout 100 chromium --headless=new --no-sandbox --disable-gpu --window-size=%d,800 %s "
             "--virtual-time-budget=5000 --user-data-dir=%s --enable-logging=stderr --dump-dom 'file://%s' >%s 2>%s", width,
             dark ? "--force-dark-mode" : "", scratch("chromium"), file, scratch("dom.html"), scratch("browser.txt"));
    snprintf(expected, sizeof expected, "errors:0 time:true label:t = 1.00, sigma = 80 band:true level:true plot:true "
             "edit:rectangle noised keys:true wide:true paper:%s ink:%s pixels:true.", dark ? "dark" : "light",
             dark ? "light" : "dark");
    const int code = system(command);
    if (CHECK(code == 0, "the browser ended with %d", code) && (dom = read(scratch("dom.html"), &out))) {
        const char *said = strstr(dom, "data-probe=\"");
        CHECK(said && strstr(said, expected), "at %d pixels the controls did this: %.300s", width, said ? said : "nothing");
        free(dom);
    }
    char *log = read(scratch("browser.txt"), &out);
    if (log) CHECK(!strstr(log, "CONSOLE"), "the browser's console: %.300s", strstr(log, "CONSOLE"));
    free(log);
    free(text);
}

static void bad_input(const char *model, const char *teacher) {
    char out[512];
    snprintf(out, sizeof out, "%s", scratch("none.html"));
    program_refuses(2, "--out is needed", "report --model %s", model);
    program_refuses(2, "no Koopman operators", "report --model %s --out %s", teacher, out);
    program_refuses(2, "expected a denoiser", "report --model %s --teacher %s --out %s", model, model, out);
    program_refuses(3, "a log of hkd train", "report --model %s --log %s --seeds 0 --out %s", model, scratch("verify.json"),
                    out);
    program_refuses(3, "missing.json", "report --model %s --refit missing.json --out %s", model, out);
    static const char *const measured[] = {"verify", "refit", "others", "control"};
    for (int k = 0; k < 4; k++) {
        program_refuses(3, "expected what hkd", "report --model %s --%s %s --seeds 0 --out %s", model, measured[k],
                        scratch("log.csv"), out);
        program_refuses(3, "expected what hkd", "report --model %s --%s %s --seeds 0 --out %s", model, measured[k],
                        scratch("empty.json"), out);
    }
    CHECK(!hkd_exists(out), "a refused report left a file");
}

/* ---- the library call ---- */

static hkd_status third_part(void *self, int64_t done, int64_t all) {
    int64_t *most = self;
    CHECK(done >= *most && done < all, "part %d of %d after %d", (int)done, (int)all, (int)*most);
    *most = done;
    return done < 3 ? HKD_OK : HKD_RESOURCES;
}

/* What must not leave a page: work that is stopped, and options that contradict the model. */
static void ends_without_page(hkd_model *m, const hkd_report_options *good) {
    char out[512];
    int64_t most = 0;
    hkd_report_options o = *good;
    snprintf(out, sizeof out, "%s", scratch("unfinished.html"));
    o.progress = third_part;
    o.self = &most;
    CHECK(hkd_report_write(out, m, &o) == HKD_RESOURCES && most == 3, "it went on to part %d", (int)most);
    o = *good, o.n = 0;
    CHECK(hkd_report_write(out, m, &o) == HKD_USAGE, "a page of no seeds");
    o = *good, o.class_label = 0;
    CHECK(hkd_report_write(out, m, &o) == HKD_USAGE, "a class of a model without classes");
    o = *good, o.teacher = m;
    CHECK(hkd_report_write(out, m, &o) == HKD_USAGE && strstr(hkd_last_error(), "report_model"), "%s", hkd_last_error());
    CHECK(!hkd_exists(out), "a page that was not finished is there");
    CHECK(hkd_report_write(scratch("nowhere/page.html"), m, good) && strstr(hkd_last_error(), "cannot write"), "%s",
          hkd_last_error());
}

/* The verb may add nothing of its own: the call writes the same bytes. */
static void by_library(const char *model, const char *teacher, const char *page, hkd_report_options *o) {
    static const uint64_t seeds[] = {0, 1, 2};
    char out[512];
    size_t size = 0, expected = 0;
    hkd_device *dev = NULL;
    hkd_model *m = NULL, *t = NULL;
    snprintf(out, sizeof out, "%s", scratch("library.html"));
    o->seeds = seeds, o->n = 3, o->class_label = -1;
    if (CHECK(!hkd_device_open(&dev, "cpu", NULL) && !hkd_model_load(&m, model, dev) && !hkd_model_load(&t, teacher, dev) &&
              (o->teacher = t, !hkd_report_write(out, m, o)), "%s", hkd_last_error())) {
        char *got = read(out, &size), *want = read(page, &expected);
        size_t same = 0;
        while (got && want && same < size && same < expected && got[same] == want[same]) same++;
        CHECK(size && size == expected && same == size, "%zu bytes, the verb's page has %zu; other from %.60s on", size,
              expected, got ? got + same : "");
        free(want);
        free(got);
        ends_without_page(m, o);
    }
    hkd_model_free(t);
    hkd_model_free(m);
    hkd_device_close(dev);
}

void test_report(void) {
    char model[256], teacher[256], out[256];
    const hkd_config c = small_config(true, 0), d = small_config(false, 0);
    static const char log[] = "step,images,loss,loss_end,loss_path,lr,gradient_norm,consistency_loss,consistency_bound\n"
                             "1,8,0.9,0.5,0.4,1e-3,1,,\n2,16,0.5,0.3,0.2,1e-3,1,4,0.1\n3,24,0.4,0.3,0.2,1e-3,1,2,0.05\n";
    static const char verdict[] = "{\"judged\": \"<b>cpu\", \"passed\": 60, \"failed\": 1, \"skipped\": 2, \"operators\": [], "
                                  "\"profile\": \"cpu of a test\"}\n";
    static const char refit[] =
        "{\"command\": \"hkd refit\", \"images\": 64, \"runs\": 1, \"alpha_correlation_with_model\": 0.25, \"refit\": ["
        "{\"operators\": \"trained\", \"share_of_gain\": 1, \"curve\": [{\"loss_end\": 0.19, \"loss_path\": 0.1}]},"
        "{\"operators\": \"random\", \"share_of_gain\": 0.97, \"curve\": [{\"loss_end\": 0.2, \"loss_path\": 0.1}]},"
        "{\"operators\": \"zero\", \"share_of_gain\": 0.5, \"curve\": [{\"loss_end\": 0.5, \"loss_path\": 0.3}]}]}";
    static const char row[] = "{\"images\": 9, \"rmse\": 0.1, \"low_energy\": [0.1, 0.2], \"interval\": [0.01, 0.03], "
                              "\"verdict\": \"the band spares them\"}";
    static const char others[] = "{\"command\": \"hkd others\", \"models\": 3, \"seeds\": 4, \"all\": {\"sd_over_models\": "
                                 "0.125, "
                                 "\"sd_over_places\": 0.5, \"correlation\": 0.9}, \"pictures\": {\"sd_over_models\": 0.1, "
                                 "\"sd_over_places\": 0.5, \"correlation\": 0.8}}";
    char control[800];
    snprintf(control, sizeof control, "{\"command\": \"hkd control\", \"band\": \"ranks <b>\", \"each_level\": %s, "
             "\"all_levels\": %s}", row, row);
    if (strcmp(hkd_image_ending(), "png")) {
        test_skip("hkd report", "built without libpng");
        return;
    }
    snprintf(model, sizeof model, "%s", scratch("report_model.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("report_teacher.safetensors"));
    snprintf(out, sizeof out, "%s", scratch("report.html"));
    small_model_file(model, &c);
    small_model_file(teacher, &d);
    const char *const file[][2] = {{"log.csv", log}, {"verify.json", verdict}, {"refit.json", refit}, {"others.json", others},
                                   {"control.json", control}, {"empty.json", "{}"}};
    char path[6][256], options[3600], command[3700];
    for (int k = 0; k < 6; k++) {
        snprintf(path[k], sizeof path[k], "%s", scratch(file[k][0]));
        CHECK(!hkd_write_file(path[k], file[k][1], strlen(file[k][1])), "%s", hkd_last_error());
    }
    snprintf(options, sizeof options, "--model %s --teacher %s --seeds 0-2 --log %s --verify %s --refit %s --others %s "
             "--control %s --out %s", model, teacher, path[0], path[1], path[2], path[3], path[4], out);
    snprintf(command, sizeof command, "hkd report %s", options);
    CHECK(program("report %s", options) == 0, "%s", program_err());
    page(out);
    hkd_report_options o = {.log = path[0], .verify = path[1], .refit = path[2], .others = path[3], .control = path[4],
                            .command = command};
    by_library(model, teacher, out, &o);
    if (system("command -v chromium >/dev/null 2>&1")) test_skip("hkd report in a browser", "chromium is not installed");
    else in_browser(out, 360, false), in_browser(out, 1600, true); /* a telephone; a wide screen in the dark */
    bad_input(model, teacher);
}
