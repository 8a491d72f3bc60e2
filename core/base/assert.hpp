// Assertions that are on in every build.  They guard the program against its own bugs; what comes
// from the network or a disk is validated with Status instead.
#pragma once

namespace kvstore {

// Prints the expression with its place and the calling thread's AssertContext, then aborts.
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);

// Text that names node, term and index for failure reports of the calling thread, e.g. set by the
// raft core at the start of each step.  `print` writes into the buffer; it must not allocate.
struct AssertContext {
  void (*print)(const void* object, char* buffer, unsigned long bytes) = nullptr;
  const void* object = nullptr;
};
// Sets the calling thread's context and returns the previous one.
AssertContext set_assert_context(AssertContext context);

}  // namespace kvstore

#define KVS_ASSERT(cond) \
  (__builtin_expect(!(cond), 0) ? ::kvstore::assert_failed(#cond, __FILE__, __LINE__) : (void)0)

// Expensive checks: in debug builds and in the simulator only.
#if defined(KVS_EXPENSIVE_CHECKS)
#define KVS_DASSERT(cond) KVS_ASSERT(cond)
#else
#define KVS_DASSERT(cond) (static_cast<void>(sizeof(!(cond))))
#endif
