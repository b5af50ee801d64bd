#include "report.h"

#include "image.h"
#include "status.h"
#include "svg.h"

#include <stdlib.h>
#include <string.h>

const char hkd_report_style[] =
    ":root{color-scheme:light dark;--ink:#222;--paper:#fff;--line:#ccc;--accent:#1c6bb0}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#151515;--line:#444;--accent:#6fb2ee}}\n"
    "body{margin:0 auto;padding:1rem;max-width:72rem;font:16px/1.5 "
    "system-ui,sans-serif;color:var(--ink);background:var(--paper)}\n"
    "h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2.5rem 0 .5rem;border-top:1px solid "
    "var(--line);padding-top:1rem}\n"
    "h3{font-size:1rem;margin:1.5rem 0 .3rem}p{max-width:44rem}nav "
    "a{margin-right:1rem;display:inline-block}a{color:var(--accent)}\n"
    "table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top;font-weight:400}\n"
    "td{overflow-wrap:anywhere}th,.wide td{white-space:nowrap}th{color:var(--accent)}\n"
    ".wide{overflow-x:auto;margin:.8rem 0}"
    ".wide:focus-visible,input:focus-visible,select:focus-visible{outline:3px solid var(--accent)}\n"
    ".tiles{display:grid;gap:4px;align-items:center;justify-content:start;font-size:.8rem}\n"
    ".tile{aspect-ratio:1;image-rendering:pixelated;background-size:calc(100%*var(--columns)) calc(100%*var(--rows));"
    "background-position:calc(100%*var(--column)/max(1,var(--columns) - 1)) calc(100%*var(--row)/max(1,var(--rows) - 1));"
    "min-width:2rem}\n"
    ".controls{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:center;margin:.5rem 0}\n"
    ".controls input[type=range]{flex:1;min-width:12rem}fieldset{border:0;padding:0;margin:0}fieldset label{margin-right:.8rem}"
    "\n"
    "[hidden]{display:none!important}"
    ".plots{display:grid;align-items:start;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem}"
    ".plots p{grid-column:1/-1;margin:0}"
    ".hkd-plot{width:100%;max-width:36rem!important}\n"
    "[data-band=low] .eigen path[clip-path]:not([stroke=\"var(--c0)\"]),"
    "[data-band=middle] .eigen path[clip-path]:not([stroke=\"var(--c1)\"]),"
    "[data-band=high] .eigen path[clip-path]:not([stroke=\"var(--c2)\"]){stroke-opacity:.2}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem;margin:0}\n"
    "@media(max-width:36rem){.plots .hkd-plot{font-size:15px}#making th,#making td{display:block}}\n";

/* Controls act on the variable --column of their section; #time=0.5, #level=3, #band=high, #mask=all and #way=noised set them
 * when the page opens. */
const char hkd_report_script[] =
    "'use strict';\n"
    "const $ = id => document.getElementById(id);\n"
    "function showTime() {\n"
    "    const slider = $('time'), label = slider.dataset.labels.split('|')[slider.value];\n"
    "    $('path').style.setProperty('--column', slider.value);\n"
    "    $('time-label').textContent = label;\n"
    "    slider.setAttribute('aria-valuetext', label);\n"
    "}\n"
    "function showBand() {\n"
    "    const level = Number($('level').value), part = document.querySelector('input[name=band]:checked');\n"
    "    $('spectrum').style.setProperty('--column', 4 * level + Number(part.dataset.number));\n"
    "    $('spectrum').dataset.band = part.value;\n"
    "    for (const plot of document.querySelectorAll('[data-level]')) plot.hidden = Number(plot.dataset.level) !== level;\n"
    "}\n"
    "function showEdit() {\n"
    "    const chosen = name => document.querySelector(`input[name=${name}]:checked`).value;\n"
    "    const wanted = chosen('mask') + ' ' + chosen('way');\n"
    "    for (const edit of document.querySelectorAll('[data-edit]')) edit.hidden = edit.dataset.edit !== wanted;\n"
    "}\n"
    "const wanted = new URLSearchParams(location.hash.slice(1));\n"
    "if (wanted.has('time')) $('time').value = Math.round((1 - wanted.get('time')) * $('time').max);\n"
    "if (wanted.has('level')) $('level').value = wanted.get('level');\n"
    "for (const part of document.querySelectorAll('input[name=band]')) {\n"
    "    if (wanted.get('band') === part.value) part.checked = true;\n"
    "    part.addEventListener('change', showBand);\n"
    "}\n"
    "$('time').addEventListener('input', showTime);\n"
    "$('level').addEventListener('change', showBand);\n"
    "for (const choice of document.querySelectorAll('input[name=mask],input[name=way]')) {\n"
    "    if (wanted.get(choice.name) === choice.value) choice.checked = true;\n"
    "    choice.addEventListener('change', showEdit);\n"
    "}\n"
    "showTime();\n"
    "showBand();\n"
    "showEdit();\n";

/* ---- pictures inside the page ---- */

static void put_base64(FILE *out, const unsigned char *bytes, size_t count) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        const unsigned long b = (unsigned long)bytes[i] << 16 | (i + 1 < count ? (unsigned long)bytes[i + 1] << 8 : 0)
                              | (i + 2 < count ? bytes[i + 2] : 0);
        fputc(digits[b >> 18 & 63], out);
        fputc(digits[b >> 12 & 63], out);
        fputc(i + 1 < count ? digits[b >> 6 & 63] : '=', out);
        fputc(i + 2 < count ? digits[b & 63] : '=', out);
    }
}

static hkd_status put_png(FILE *out, const hkd_image *image) {
    hkd_writer *writer;
    unsigned char *bytes;
    size_t count;
    hkd_status status = hkd_writer_open_memory(&writer, "the report's picture");
    if (status) return status;
    status = hkd_png_write(writer, "the report", image, NULL, 0);
    if (status) return hkd_writer_abandon(writer), status;
    hkd_writer_take(writer, &bytes, &count);
    put_base64(out, bytes, count);
    free(bytes);
    return HKD_OK;
}

hkd_status hkd_report_sheet(int *number, hkd_report *r, const double *values, int64_t rows, int64_t columns) {
    const int64_t side = r->side, channels = r->channels;
    hkd_image sheet, tile;
    hkd_status status = hkd_image_new(&sheet, columns * side, rows * side, (int)channels);
    if (status) return status;
    status = hkd_image_new(&tile, side, side, (int)channels);
    for (int64_t k = 0; k < rows * columns && !status; k++) {
        hkd_image_set(&tile, values + k * r->size);
        for (int64_t i = 0; i < side; i++)
            memcpy(sheet.pixels + ((k / columns * side + i) * sheet.width + k % columns * side) * channels,
                   tile.pixels + i * side * channels, (size_t)(side * channels));
    }
    *number = r->sheets++;
    fprintf(r->out, "<style>.s%d{--rows:%lld;--columns:%lld;background-image:url(data:image/png;base64,", *number,
            (long long)rows,
            (long long)columns);
    if (!status) status = put_png(r->out, &sheet);
    fputs(")}</style>\n", r->out);
    hkd_image_free(&tile);
    hkd_image_free(&sheet);
    return status;
}

void hkd_report_tile(const hkd_report *r, int sheet, int64_t row, int64_t column, const char *what) {
    fprintf(r->out, "<div class=\"tile s%d\" role=\"img\" style=\"--row:%lld", sheet, (long long)row);
    if (column >= 0) fprintf(r->out, ";--column:%lld", (long long)column);
    fputs("\" aria-label=\"", r->out);
    hkd_svg_text(r->out, what);
    fputs("\"></div>", r->out);
}

void hkd_report_gallery(const hkd_report *r, int sheet, const char *const *row_title, int64_t rows,
                        const char *const *column_title,
                        int64_t columns) {
    fprintf(r->out, "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"pictures\"><div class=\"tiles\" "
                    "style=\"grid-template-columns:"
            "fit-content(6rem) repeat(%lld,minmax(4rem,96px))\">\n<span></span>", (long long)columns);
    for (int64_t c = 0; c < columns; c++) fputs("<span>", r->out), hkd_svg_text(r->out, column_title[c]),
        fputs("</span>", r->out);
    for (int64_t i = 0; i < rows; i++) {
        fputs("\n<span>", r->out);
        hkd_svg_text(r->out, row_title[i]);
        fputs("</span>", r->out);
        for (int64_t c = 0; c < columns; c++) {
            char what[128];
            snprintf(what, sizeof what, "%s, %s", row_title[i], column_title[c]);
            hkd_report_tile(r, sheet, i, c, what);
        }
    }
    fputs("</div></div>\n", r->out);
}

void hkd_report_row(FILE *out, const char *name, const char *value) {
    fputs("<tr><th scope=\"row\">", out);
    hkd_svg_text(out, name);
    fputs("</th><td>", out);
    hkd_svg_text(out, value);
    fputs("</td></tr>\n", out);
}
