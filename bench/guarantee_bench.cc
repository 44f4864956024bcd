// The resampling experiment on certificates (compress/certify.h): how often the promise "at most so many of
// the answers kept are wrong" is broken, over repeated draws of the examples it was made from.
//
//   guarantee_bench [--data FILE.csv --input COLUMN --label COLUMN] [--runs 1000]
//
// Two worlds with a known truth: a simulated one, and, with --data, a real classifier (the linear baseline,
// trained on one half) on real labels (the other half, which then is the population that examples are drawn
// from and the risk is computed on). Beside each certificate stands what comes of choosing the largest share
// whose errors on the examples are at most the limit, without a test.

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/rng.h"
#include "base/statistics.h"
#include "compress/calibrate.h"
#include "eval/linear_baseline.h"
#include "formats/labelled.h"

namespace bantam {
namespace {

using compress::Judged;

struct World {
  std::string name;
  std::function<Judged(Rng&)> draw;
  std::function<double(double threshold)> risk, share;
};

World simulated() {
  // Of hardness z, uniform in [0, 1], an answer is wrong with probability z^3 and says so.
  return {"simulated",
          [](Rng& rng) {
            const double wrong = std::pow(rng.uniform(), 3);
            return Judged{1 - wrong, rng.chance(wrong)};
          },
          [](double t) { return (1 - t) / 4; }, [](double t) { return std::cbrt(1 - t); }};
}

struct Files {
  std::string data, input = "text", label = "label";
};

Result<World> real(const Files& files) {
  BANTAM_ASSIGN(auto data, formats::load_labelled(files.data, files.input, files.label));
  const auto parts = formats::split(data, {0.5, 0.5}, 1);
  BANTAM_ASSIGN(auto slm, eval::LinearBaseline::train(parts[0], data.labels.size()));
  std::vector<compress::ScoredExample> scored;
  for (const auto& example : parts[1]) {
    auto scores = slm.decision(example.text);
    for (double& score : scores) score = std::max(score, -50.0);  // labels that training did not have
    scored.push_back({std::move(scores), example.label, -1});
  }
  // A temperature makes probabilities of margins; it is fitted on the population for all runs alike, which is
  // fair: the certificate's claim is about the threshold.
  BANTAM_ASSIGN(const double temperature, compress::fit_temperature(scored));
  auto pool = std::make_shared<std::vector<Judged>>();
  for (const auto& example : scored) {
    const auto answer = compress::tempered_answer(example.scores, temperature);
    pool->push_back({answer.confidence, answer.label != example.gold});
  }
  const auto kept = [pool](double t) {
    double n = 0, wrong = 0;
    for (const Judged& answer : *pool) {
      n += answer.confidence >= t;
      wrong += answer.confidence >= t && answer.wrong;
    }
    return std::pair(n, wrong);
  };
  return World{fmt::format("{} ({} to train, {} to draw from)", files.data, parts[0].size(), pool->size()),
               [pool](Rng& rng) { return (*pool)[rng.below(pool->size())]; },
               [kept](double t) {
                 const auto [n, wrong] = kept(t);
                 return n > 0 ? wrong / n : 0;
               },
               [kept, pool](double t) { return kept(t).first / static_cast<double>(pool->size()); }};
}

/// The loosest threshold whose errors on all the examples are within the limit.
double untested(std::vector<Judged> answers, double error) {
  std::sort(answers.begin(), answers.end(),
            [](const Judged& a, const Judged& b) { return a.confidence > b.confidence; });
  double threshold = 1.1, wrong = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    wrong += answers[i].wrong;
    const bool last = i + 1 == answers.size() || answers[i + 1].confidence < answers[i].confidence;
    if (last && wrong <= error * static_cast<double>(i + 1)) threshold = answers[i].confidence;
  }
  return threshold;
}

std::string share_text(uint64_t k, uint64_t n) {
  const Interval interval = clopper_pearson(k, n);
  return fmt::format("{:5} = {:5.2f} % ({:.2f} to {:.2f})", k,
                     100.0 * static_cast<double>(k) / static_cast<double>(n), 100 * interval.low,
                     100 * interval.high);
}

/// Prints one row; false when more violations were seen than the promise makes credible.
bool experiment(const World& world, size_t n, const compress::CertifyOptions& options, uint64_t runs) {
  uint64_t broken = 0, refused = 0, broken_untested = 0;
  double share = 0, share_untested = 0;
  for (uint64_t run = 0; run < runs; ++run) {
    Rng rng(1, run, n);
    std::vector<Judged> all(n);
    for (auto& answer : all) answer = world.draw(rng);
    const size_t fitted = n / 5;
    const auto made =
        compress::certify(std::span(all).first(fitted), std::span(all).subspan(fitted), options);
    refused += !made;
    if (made) {
      broken += world.risk(made->threshold) > options.error;
      share += world.share(made->threshold);
    }
    const double threshold = untested(all, options.error);
    broken_untested += threshold <= 1 && world.risk(threshold) > options.error;
    share_untested += threshold <= 1 ? world.share(threshold) : 0;
  }
  const auto percent = [&](double sum, uint64_t of) {
    return of == 0 ? 0 : 100 * sum / static_cast<double>(of);
  };
  fmt::print("{:7}  {:5.1f} %  {:4.0f} %  {:32}  {:8}  {:7.1f} %  {:32}  {:7.1f} %\n", n, 100 * options.error,
             100 * options.confidence, share_text(broken, runs), refused, percent(share, runs - refused),
             share_text(broken_untested, runs), percent(share_untested, runs));
  return 1 - binomial_cdf(broken, runs, 1 - options.confidence) > 1e-3;
}

int run(const Files& files, uint64_t runs) {
  std::vector<World> worlds{simulated()};
  if (!files.data.empty()) {
    auto made = real(files);
    if (!made) {
      fmt::print(stderr, "{}\n", made.error().message);
      return 1;
    }
    worlds.push_back(std::move(*made));
  }
  bool kept = true;
  for (const World& world : worlds) {
    fmt::print("{}; {} runs\n", world.name, runs);
    fmt::print("{:>7}  {:>7}  {:>6}  {:32}  {:>8}  {:>9}  {:32}  {:>9}\n", "n", "error", "conf.",
               "promise broken (95 % interval)", "refused", "local", "without a test, broken", "local");
    for (size_t n : {500, 1000, 2000, 5000}) {
      for (double error : {0.01, 0.05}) kept &= experiment(world, n, {error, 0.95}, runs);
    }
  }
  fmt::print("{}\n", kept ? "every row keeps its promise" : "A PROMISE IS BROKEN MORE OFTEN THAN STATED");
  return kept ? 0 : 1;
}

}  // namespace
}  // namespace bantam

int main(int argc, char** argv) {
  bantam::Files files;
  uint64_t runs = 1000;
  CLI::App app("How often certificates break their promise, over resampled examples");
  app.add_option("--data", files.data, "Labelled data of a real task");
  app.add_option("--input", files.input, "Column of the input");
  app.add_option("--label", files.label, "Column of the label");
  app.add_option("--runs", runs, "Draws of examples for each row")->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);
  return bantam::run(files, runs);
}
