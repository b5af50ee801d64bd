/* hkd report: one page that needs nothing else, whose controls change what is seen, in a real browser. */
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
    static const char *const sections[] = {"samples", "path", "spectrum", "effect", "edits", "training", "verification",
                                           "making"};
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
    CHECK(script && strstr(text, "60 passed, 1 failed, 2 skipped"), "the verification is not on the page");
    free(text);
}

/* The page with a script behind it that works the controls and writes what it saw into the document. */
static void in_browser(const char *path, int width) {
    static const char probe[] =
        "<script>{const seen = e => getComputedStyle(e).backgroundPositionX, say = {errors: window.problems.length};"
        "const tile = document.querySelector('#path .tile'), time = document.getElementById('time'), end = seen(tile);"
        "time.value = 0; time.dispatchEvent(new Event('input')); say.time = seen(tile) !== end;"
        "say.label = document.getElementById('time-label').textContent;"
        "const band = document.querySelector('#spectrum .tile'), all = seen(band);"
        "document.querySelector('input[value=high]').click(); say.band = seen(band) !== all; const high = seen(band);"
        "const level = document.getElementById('level'); level.value = 2; level.dispatchEvent(new Event('change'));"
        "say.level = seen(band) !== high; say.plot = !document.querySelector('[data-level=\"2\"]').hidden;"
        "say.wide = document.documentElement.scrollWidth <= innerWidth;"
        "document.body.dataset.probe = Object.entries(say).map(e => e.join(':')).join(' ') + '.';}</script></body>";
    size_t size = 0, out = 0;
    char *text = read(path, &size), *end = text ? strstr(text, "</body>") : NULL;
    char *head = text ? strstr(text, "<head>") : NULL, *dom;
    char file[512], command[2048];
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
    snprintf(command, sizeof command, "timeout 100 chromium --headless=new --no-sandbox --disable-gpu --window-size=%d,800 "
             "--user-data-dir=%s --enable-logging=stderr --dump-dom 'file://%s' >%s 2>%s", width, scratch("chromium"), file,
             scratch("dom.html"), scratch("browser.txt"));
    const int code = system(command);
    if (CHECK(code == 0, "the browser ended with %d", code) && (dom = read(scratch("dom.html"), &out))) {
        const char *said = strstr(dom, "data-probe=\"");
        CHECK(said && strstr(said, "errors:0 time:true label:t = 1.00, sigma = 80 band:true level:true plot:true wide:true."),
              "the controls did this: %.120s", said ? said : "nothing");
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
    program_refuses(3, "what hkd verify --json prints", "report --model %s --verify %s --seeds 0 --out %s", model,
                    scratch("log.csv"), out);
    CHECK(!hkd_exists(out), "a refused report left a file");
}

void test_report(void) {
    char model[512], teacher[512], out[512];
    const hkd_config c = small_config(true, 0), d = small_config(false, 0);
    static const char log[] = "step,images,loss,loss_end,loss_path,lr,gradient_norm\n"
                             "1,8,0.9,0.5,0.4,1e-3,1\n2,16,0.5,0.3,0.2,1e-3,1\n";
    static const char verdict[] = "{\"judged\": \"<b>cpu\", \"passed\": 60, \"failed\": 1, \"skipped\": 2, \"operators\": []}"
                                  "\n";
    if (strcmp(hkd_image_ending(), "png")) {
        test_skip("hkd report", "built without libpng");
        return;
    }
    snprintf(model, sizeof model, "%s", scratch("report_model.safetensors"));
    snprintf(teacher, sizeof teacher, "%s", scratch("report_teacher.safetensors"));
    snprintf(out, sizeof out, "%s", scratch("report.html"));
    small_model_file(model, &c);
    small_model_file(teacher, &d);
    CHECK(!hkd_write_file(scratch("log.csv"), log, sizeof log - 1), "%s", hkd_last_error());
    CHECK(!hkd_write_file(scratch("verify.json"), verdict, sizeof verdict - 1), "%s", hkd_last_error());
    CHECK(program("report --model %s --teacher %s --seeds 0-2 --log %s --verify %s --out %s", model, teacher,
                  scratch("log.csv"),
                  scratch("verify.json"), out) == 0, "%s", program_err());
    page(out);
    if (system("command -v chromium >/dev/null 2>&1")) test_skip("hkd report in a browser", "chromium is not installed");
    else in_browser(out, 360), in_browser(out, 1600); /* a telephone and a wide screen */
    bad_input(model, teacher);
}
