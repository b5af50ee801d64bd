/* guards.h - bands around every buffer of an OpenCL device: tensors, scratch and float32 twins alike.
 *
 * While they are on, each buffer is a part of a larger one, begins as NaN, and is looked at when it is released: a write before
 * its start or behind its end fails a check. The bands hold NaN too, of another kind in each buffer, so that what was read
 * behind the end of one and written behind the end of another is seen. */
#ifndef HKD_GUARDS_H
#define HKD_GUARDS_H

#include "opencl.h"

extern const char *guards_about; /* what is run, for the message */

/* From now on, until the device is closed. One device at a time. */
void guards_on(hkd_device *dev);
/* After it is closed: every buffer was released. Returns how many were looked at. */
int guards_end(void);

#endif
