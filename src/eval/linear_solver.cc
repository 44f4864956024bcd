#include "eval/linear_solver.h"

#include <linear.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

namespace bantam::eval {
namespace {

void silent(const char*) {}

}  // namespace

LinearWeights solve_linear(std::vector<Sparse> rows, std::span<const formats::Example> examples,
                           uint32_t features, double c) {
  // liblinear numbers features from 1 and ends a vector with index -1; the bias is a feature of its own after
  // the others, so that the weights of all lie in one array.
  std::vector<std::vector<feature_node>> nodes;
  std::vector<feature_node*> pointers;
  std::vector<double> gold;
  for (size_t i = 0; i < rows.size(); ++i) {
    auto& row = nodes.emplace_back();
    for (const auto& [index, value] : rows[i]) row.push_back({static_cast<int>(index) + 1, value});
    row.push_back({static_cast<int>(features) + 1, 1.0});
    row.push_back({-1, 0.0});
    gold.push_back(examples[i].label);
    Sparse().swap(rows[i]);
  }
  for (auto& row : nodes) pointers.push_back(row.data());
  static std::mutex turn;  // liblinear draws from rand() and prints through a global function
  const std::lock_guard lock(turn);
  ::set_print_string_function(&silent);
  ::srand(1);
  ::problem input{.l = static_cast<int>(nodes.size()),
                  .n = static_cast<int>(features) + 1,
                  .y = gold.data(),
                  .x = pointers.data(),
                  .bias = -1};
  ::parameter options{};
  options.solver_type = L2R_L2LOSS_SVC_DUAL;
  options.eps = 0.1;  // liblinear's own default for this solver
  options.C = c;
  ::model* trained = ::train(&input, &options);
  const auto columns = static_cast<size_t>(trained->nr_class);
  LinearWeights weights;
  weights.label_of.assign(trained->label, trained->label + columns);
  weights.values.resize((features + size_t{1}) * columns);
  for (size_t f = 0; f <= features; ++f) {
    for (size_t k = 0; k < columns; ++k) {
      // Two labels give one column in liblinear.
      const double w = columns == 2 ? (k == 0 ? trained->w[f] : -trained->w[f]) : trained->w[f * columns + k];
      weights.values[f * columns + k] = static_cast<float>(w);
    }
  }
  ::free_and_destroy_model(&trained);
  return weights;
}

Status check_linear_examples(std::span<const formats::Example> examples, size_t labels) {
  if (examples.empty()) return fail(Code::kInvalidArgument, "linear model: found no training examples");
  std::vector<bool> present(labels);
  for (const auto& example : examples) {
    if (example.label < 0 || static_cast<size_t>(example.label) >= labels) {
      return fail(Code::kInvalidArgument,
                  "linear model: the example of line {} has label {}, expected 0 to {}", example.line,
                  example.label, static_cast<int64_t>(labels) - 1);
    }
    present[static_cast<size_t>(example.label)] = true;
  }
  if (std::count(present.begin(), present.end(), true) < 2) {
    return fail(Code::kInvalidArgument,
                "linear model: all {} training examples have one label, expected at least two",
                examples.size());
  }
  return {};
}

}  // namespace bantam::eval
