#include "status.h"

#include <stdarg.h>
#include <stdio.h>

#if defined(__GNUC__)
#define THREAD_LOCAL __thread
#else
#define THREAD_LOCAL
#endif

static THREAD_LOCAL char message[1024];

hkd_status hkd_fail(hkd_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?'; /* names from files may hold anything; a message is one line */
    return status;
}

const char *hkd_last_error(void) { return message; }

const char *hkd_version(void) { return HKD_VERSION; }
int hkd_abi_version(void) { return HKD_ABI; }
