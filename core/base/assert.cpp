#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace kvstore {
namespace {
thread_local AssertContext t_context;
}

AssertContext set_assert_context(AssertContext context) {
  AssertContext previous = t_context;
  t_context = context;
  return previous;
}

void assert_failed(const char* expression, const char* file, int line) {
  char where[256] = "";
  if (t_context.print != nullptr) t_context.print(t_context.object, where, sizeof where);
  std::fprintf(stderr, "kvstore: assertion failed: %s at %s:%d %s\n", expression, file, line,
               where);
  std::fflush(stderr);
  std::abort();
}

}  // namespace kvstore
