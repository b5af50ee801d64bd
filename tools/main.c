/* The `hkd` program: `hkd VERB [options]`; verbs.c lists the verbs. */
#include "cli.h"
#include "os.h"

int main(int argc, char **argv) {
    hkd_set_wait_policy(argv);
    return hkd_main(hkd_verbs, argc, (const char **)argv);
}
