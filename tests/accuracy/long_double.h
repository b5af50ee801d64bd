/* Included before every file of ref/op: the same source computes in long double. The system's headers come first. */
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h>
#undef round /* a member of hkd_sampling has this name */
#define double long double
