// For the test programs.
#pragma once
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "std.hpp"
