#pragma once
// The stages of a tokenizer.json from their JSON.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/stages.h"

namespace bantam::text {

/// As tokenizer_from_json, of what is parsed already. REQUIRES: nesting with a limit.
Result<std::unique_ptr<PipelineTokenizer>> pipeline_from_json(const nlohmann::json& json, const std::string& name);

// An absent or null stage is an empty function. Errors: kUnsupported naming the type, kCorrupt naming the
// field.
Result<Normalizer> normalizer_from_json(const nlohmann::json& json);
Result<PreTokenizer> pre_tokenizer_from_json(const nlohmann::json& json);
Result<Decoder> decoder_from_json(const nlohmann::json& json);

// Fields of `object`, with a fallback for an absent one. Errors: kCorrupt for another type, naming the field.
Result<std::string> json_string(const nlohmann::json& object, const char* key, std::string_view fallback);
Result<std::string> json_string(const nlohmann::json& object, const char* key);
Result<bool> json_bool(const nlohmann::json& object, const char* key, bool fallback);
Result<int64_t> json_int(const nlohmann::json& object, const char* key, int64_t fallback);

}  // namespace bantam::text
