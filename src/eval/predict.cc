// predict_all of eval/compare.h.

#include <algorithm>

#include "base/usage.h"
#include "eval/compare.h"

namespace bantam::eval {

Result<std::vector<Prediction>> predict_all(const runtime::Engine& engine,
                                            std::span<const formats::Example> examples,
                                            const ProgressSink& progress, size_t warmup) {
  constexpr size_t kReportEvery = 16;
  BANTAM_ASSIGN(const auto session, engine.new_session());
  const auto classify = [&](const formats::Example& example) -> Result<Prediction> {
    const double wall = wall_seconds(), cpu = process_cpu_seconds();
    auto choice = engine.classify(*session, example.text);
    const double wall_used = wall_seconds() - wall, cpu_used = process_cpu_seconds() - cpu;
    if (!choice) return std::unexpected(std::move(choice).error().in(fmt::format("line {}", example.line)));
    return Prediction{.label = static_cast<int32_t>(choice->best),
                      .confidence = choice->confidence(),
                      .latency = wall_used,
                      .cpu = cpu_used,
                      .prompt_tokens = choice->prompt_tokens};
  };
  for (size_t i = 0; i < std::min(warmup, examples.size()); ++i) BANTAM_TRY(classify(examples[i]));
  std::vector<Prediction> predictions;
  predictions.reserve(examples.size());
  for (const auto& example : examples) {
    BANTAM_ASSIGN(auto prediction, classify(example));
    predictions.push_back(prediction);
    const size_t done = predictions.size();
    if (progress && (done % kReportEvery == 0 || done == examples.size())) {
      progress({.step = "evaluate", .done = done, .total = examples.size(), .note = ""});
    }
  }
  return predictions;
}

std::vector<Prediction> predict_all(const LinearBaseline& baseline,
                                    std::span<const formats::Example> examples, size_t warmup) {
  for (size_t i = 0; i < std::min(warmup, examples.size()); ++i) (void)baseline.predict(examples[i].text);
  std::vector<Prediction> predictions;
  predictions.reserve(examples.size());
  for (const auto& example : examples) {
    const double wall = wall_seconds(), cpu = process_cpu_seconds();
    const int32_t label = baseline.predict(example.text);
    const double wall_used = wall_seconds() - wall, cpu_used = process_cpu_seconds() - cpu;
    predictions.push_back(
        {.label = label, .confidence = 0, .latency = wall_used, .cpu = cpu_used, .prompt_tokens = 0});
  }
  return predictions;
}

}  // namespace bantam::eval
