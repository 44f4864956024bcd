#pragma once
#include <span>
#include <string>

#include "base/result.h"

/// Each writes small valid inputs of one fuzzer to a folder (make_seeds.cc calls them).
bantam::Status write_all(const std::string& folder, std::span<const std::string> inputs);
bantam::Status adapter_seeds(const std::string& folder);
bantam::Status state_seeds(const std::string& folder);
bantam::Status capi_seeds(const std::string& folder);
