/* test.h - the whole test harness: named checks, one line each on failure, a count at the end.
 * Every test states in its name or comment which mistake it catches. */
#ifndef HKD_TEST_H
#define HKD_TEST_H

#include <stdbool.h>

/* Record one check; a failed one prints file, line and the message (printf form). Returns ok. */
bool test_check(bool ok, const char *file, int line, const char *format, ...);
void test_skip(const char *what, const char *why);
/* Where the development data lie ($HKD_SHARED or ../shared), or NULL. */
const char *test_shared(void);

#define CHECK(ok, ...) test_check((ok), __FILE__, __LINE__, __VA_ARGS__)

#endif
