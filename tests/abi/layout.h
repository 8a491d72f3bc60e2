// One line of a layout: a struct's size, or a member's offset and size.
#ifndef KVS_TEST_LAYOUT_H
#define KVS_TEST_LAYOUT_H
#include <stddef.h>

typedef struct layout_line {
  const char* name;  // "kvs_slice" or "kvs_slice.len"
  size_t offset;     // 0 for a struct
  size_t size;
} layout_line;

#define STRUCT(type) {#type, 0, sizeof(type)},
#define MEMBER(type, member) \
  {#type "." #member, offsetof(type, member), sizeof(((type*)0)->member)},

#ifdef __cplusplus
extern "C" {
#endif
// The layout as C sees it, ended by a line without a name.
extern const layout_line kLayoutInC[];
#ifdef __cplusplus
}
#endif
#endif
