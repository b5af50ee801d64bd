/* status.h - how the library says that something went wrong. It never prints, exits or aborts. */
#ifndef HKD_STATUS_H
#define HKD_STATUS_H

#include "hkd.h"

/* Record a message (printf form) for the calling thread and return `status`, so that callers write
 *     return hkd_fail(HKD_BAD_FILE, "%s: header length %llu is beyond the end of the file", path, n);
 * A message is one line without a final full stop or newline: what, where, what was expected. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
hkd_status hkd_fail(hkd_status status, const char *format, ...);

#endif
