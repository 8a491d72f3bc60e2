// For the targets that speak JSON.
#pragma once
#include "std.hpp"

#include <nlohmann/json.hpp>
