/* scratch.h - a directory for the files that tests write; it vanishes when the tests end. */
#ifndef HKD_SCRATCH_H
#define HKD_SCRATCH_H

/* The path of `name` there. The string stays valid for the next few calls. */
const char *scratch(const char *name);

#endif
