// The description of the API that the server gives of itself.
#pragma once

#include <string>

namespace kvstore::http {

// An OpenAPI 3.0 document as JSON.
const std::string& openapi_document();

}  // namespace kvstore::http
