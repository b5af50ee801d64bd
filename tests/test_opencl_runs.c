void test_opencl_runs(void) {}
