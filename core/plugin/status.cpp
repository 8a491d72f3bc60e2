#include "plugin/status.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace kvstore::plugin {

Code to_code(kvs_status status) {
  Code code = static_cast<Code>(status);
  return code_name(code) == "unknown" ? Code::kInternal : code;
}

Status CallError::status(kvs_status status, std::string_view doing) const {
  if (status == KVS_OK) return Status();
  Code code = to_code(status);
  std::string message(doing);
  // A plugin may have filled the buffer to the brim.
  size_t length = strnlen(raw_.message, sizeof raw_.message);
  if (length > 0) message.append(": ").append(raw_.message, length);
  if (raw_.sys_errno != 0) message.append(" (errno ").append(std::to_string(raw_.sys_errno)) += ')';
  if (static_cast<int32_t>(code) != status) {
    message.append(" (status ").append(std::to_string(status)).append(" is not in the ABI)");
  }
  return Status(code, std::move(message));
}

kvs_status fill_error(kvs_error* err, const Status& status) noexcept {
  if (err != nullptr && err->struct_size >= sizeof(kvs_error) && !status.is_ok()) {
    err->code = to_abi(status.code());
    err->sys_errno = 0;
    const std::string& text = status.message();
    size_t n = std::min(text.size(), sizeof err->message - 1);
    if (n < text.size()) {
      while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0u) == 0x80u) --n;
    }
    std::memcpy(err->message, text.data(), n);
    err->message[n] = '\0';
  }
  return to_abi(status.code());
}

}  // namespace kvstore::plugin
