// For the test programs.
#pragma once
#include <thread>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "std.hpp"
