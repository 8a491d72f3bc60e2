// For the targets that speak JSON.
#pragma once
#include <nlohmann/json.hpp>

#include "std.hpp"
