/* The `hkd` program: `hkd VERB [options]`; verbs.c lists the verbs. */
#include "cli.h"
#include "os.h"

int main(int argc, char **argv) {
    /* Threads that wait for each other must not spin: with a neighbour on one of the cores that doubles the time. */
    hkd_default_environment("OMP_WAIT_POLICY", "passive", argv);
    return hkd_main(hkd_verbs, argc, (const char **)argv);
}
