// Prints the API's description, for the public validator (validate_openapi.pl).
#include <cstdio>

#include "openapi.hpp"

int main() {
  const std::string& document = kvstore::http::openapi_document();
  return std::fwrite(document.data(), 1, document.size(), stdout) == document.size() ? 0 : 1;
}
