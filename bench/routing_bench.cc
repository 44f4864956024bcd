// How long a routing decision takes, on one core: features, prediction and choice for prompts of about 500
// tokens (2,000 bytes of words drawn at random), with a router of all kinds of predictor and as many
// reference requests as given.
//
//   routing_bench [--requests 10000] [--router FILE] [--bytes 2000]

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>

#include "base/rng.h"
#include "collab/routing/router.h"

namespace bantam {
namespace {

using namespace collab::routing;

std::string words(Rng& rng, size_t bytes) {
  std::string out;
  while (out.size() < bytes) {
    // Frequent words are short and few, as in real text.
    const auto rank = static_cast<uint64_t>(20000 * std::pow(rng.uniform(), 4));
    std::string word;
    for (uint64_t n = rank * 2654435761u + 17; n > 0 && word.size() < 3 + rank % 7; n /= 26)
      word += static_cast<char>('a' + n % 26);
    out += word + (rng.chance(0.1) ? ". " : " ");
  }
  return out;
}

Result<Router> made(size_t requests, size_t bytes) {
  Rng rng(1);
  std::vector<Query> queries(requests);
  for (Query& query : queries) query.text = words(rng, bytes / 5);
  std::vector<Row> rows;
  std::vector<std::vector<float>> quality, costs(requests, {0.001f, 0.02f});
  for (const Query& query : queries) {
    rows.push_back({&query, extract(query)});
    quality.push_back({rng.chance(0.6) ? 1.0f : 0.0f, rng.chance(0.8) ? 1.0f : 0.0f});
  }
  std::vector<GradedRow> graded;
  for (size_t i = 0; i < requests; ++i) graded.push_back({&rows[i], quality[i]});
  return Router::train(graded, costs, {"small", "large"}, {});
}

template <class F>
void measure(const char* what, const std::vector<Query>& prompts, const F& work) {
  std::vector<double> seconds;
  for (const Query& prompt : prompts) {
    const auto start = std::chrono::steady_clock::now();
    work(prompt);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print("{:24} median {:8.1f} us   p99 {:8.1f} us\n", what, 1e6 * seconds[seconds.size() / 2],
             1e6 * seconds[seconds.size() * 99 / 100]);
}

int run(size_t requests, size_t bytes, const std::string& path) {
  auto router = path.empty() ? made(requests, bytes) : Router::load(path);
  if (!router) {
    fmt::print(stderr, "{}\n", router.error().message);
    return 1;
  }
  Rng rng(2);
  std::vector<Query> prompts(1000);
  for (Query& prompt : prompts) prompt.text = words(rng, bytes);
  double sum = 0;
  measure("features", prompts, [&](const Query& q) { sum += static_cast<double>(extract(q).words.size()); });
  std::vector<double> cost;
  for (const auto& model : router->models()) cost.push_back(model.cost);
  measure("decision", prompts, [&](const Query& q) {
    sum += static_cast<double>(choose(router->predict(q), cost, {Policy::Kind::kPrice, 1}));
  });
  fmt::print("{} prompts of {} bytes, {} models, {} parts (checksum {})\n", prompts.size(), bytes,
             router->models().size(), router->part_names().size(), sum);
  return 0;
}

}  // namespace
}  // namespace bantam

int main(int argc, char** argv) {
  size_t requests = 10000, bytes = 2000;
  std::string router;
  CLI::App app("The time of a routing decision");
  app.add_option("--requests", requests, "That the router learns from");
  app.add_option("--bytes", bytes, "Of a prompt");
  app.add_option("--router", router, "A router's file, instead of one made here");
  CLI11_PARSE(app, argc, argv);
  return bantam::run(requests, bytes, router);
}
