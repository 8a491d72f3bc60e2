// An object that cannot be linked at run time.
extern "C" void kvs_test_function_that_exists_nowhere();
extern "C" __attribute__((visibility("default"))) void kvs_plugin_entry() {
  kvs_test_function_that_exists_nowhere();
}
