#pragma once
// The keys of [[teams]] that belong to one strategy, and the teams made of them.

#include <memory>
#include <optional>
#include <string>

#include "chat/chat_model.h"
#include "collab/cascade.h"
#include "collab/pipeline_check.h"
#include "collab/pipeline_draft.h"
#include "collab/pipeline_filter.h"
#include "collab/speculative.h"
#include "collab/verify.h"
#include "formats/toml_reader.h"

namespace bantam::server {

/// Of the options only those of the team's strategy count.
struct StrategyConfig {
  std::optional<double> threshold;  // cascade; empty: the SLM's calibrated one
  enum class Drift { kDefault, kOff, kWarn, kSendUp } drift = Drift::kDefault;  // cascade
  double drift_alarm = 0.01;
  bool lookup = false;  // speculative: what was there before proposes, no SLM
  collab::LlmRule rule;
  collab::ConfidenceOptions confidence;  // cascade
  collab::VerifyOptions verify;
  collab::DraftOptions draft;
  collab::FilterOptions filter;
  collab::CheckOptions check;
};

/// Reads the keys of `strategy`: "cascade", "verify", "draft", "filter", "check" or "speculative"
/// (docs/team.md). Keys of
/// the others stay unknown, and so are errors.
StrategyConfig read_strategy(formats::TomlTable& table, const std::string& strategy);

/// Errors: kInvalidArgument with the team's name and the key.
Result<std::shared_ptr<chat::ChatModel>> open_strategy(const std::string& name, const std::string& strategy,
                                                       StrategyConfig config,
                                                       std::shared_ptr<chat::ChatModel> slm,
                                                       std::shared_ptr<chat::ChatModel> llm);

}  // namespace bantam::server
