/* rename.h - new names for tensors, by a text of rules.
 *
 *   old=new          one tensor
 *   start*=new*      every tensor whose name begins with `start`
 *   old=, start*=    left out
 *
 * '#' begins a comment. Every rule must find something; the first that fits a tensor counts.
 */
#ifndef HKD_RENAME_H
#define HKD_RENAME_H

#include "tensor_list.h"

/* `map` is a file, or the name of rules that the program knows: lpips. HKD_USAGE when names collide. */
hkd_status hkd_rename_tensors(hkd_tensor_list *list, const char *map);

#endif
