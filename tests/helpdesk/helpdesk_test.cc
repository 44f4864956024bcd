// The data set that recipes/helpdesk trains on: its size and shape, that it is the same every time, and that
// the linear baseline does not solve it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "eval/linear_baseline.h"
#include "formats/labelled.h"
#include "ticket_corpus.h"
#include "ticket_noise.h"

namespace bantam::tools {
namespace {

constexpr size_t kCount = 15000;  // the program's default
const std::string kGrammar = BANTAM_SOURCE_DIR "/recipes/helpdesk/tickets.grammar";

const Grammar& grammar() {
  static const Grammar kept = [] {
    auto parsed = parse_grammar(read_file(kGrammar).value(), kGrammar);
    EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().message);
    return parsed.value();
  }();
  return kept;
}

const Corpus& corpus() {
  static const Corpus kept = [] {
    auto made = make_corpus(grammar(), kCount, 1);
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
    return made.value();
  }();
  return kept;
}

class Folder {
 public:
  // A name of its own: several builds may run this test at once.
  Folder() {
    std::string name = ::testing::TempDir() + "/helpdesk_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr) << name;
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

int run(const std::string& arguments) {
  int status = std::system((GENERATE_TICKETS " " + arguments + " 2>/dev/null >/dev/null").c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Helpdesk, ManyIntentsEvenlyFilled) {
  EXPECT_GE(grammar().intents.size(), 20u);
  EXPECT_GE(corpus().tickets.size(), 3000u);
  std::map<size_t, size_t> counts;
  for (const Ticket& ticket : corpus().tickets) ++counts[ticket.intent];
  ASSERT_EQ(counts.size(), grammar().intents.size());
  bool out_of_scope = false;
  for (auto [intent, count] : counts) {
    EXPECT_GE(count, kCount / grammar().intents.size() / 2) << grammar().intents[intent].name;
    out_of_scope |= grammar().intents[intent].name == "out_of_scope";
  }
  EXPECT_TRUE(out_of_scope);
}

TEST(Helpdesk, NoTextTwice) {
  std::set<std::string> seen;
  for (const Ticket& ticket : corpus().tickets) {
    EXPECT_TRUE(seen.insert(normal_form(ticket.text)).second) << ticket.text;
    EXPECT_FALSE(ticket.text.empty());
  }
}

TEST(Helpdesk, ShortAndClean) {
  std::vector<long> lengths;
  for (const Ticket& ticket : corpus().tickets) {
    std::string normal = normal_form(ticket.text);
    lengths.push_back(1 + std::ranges::count(normal, ' '));
    // Nothing of the grammar's own signs may come through.
    EXPECT_EQ(ticket.text.find_first_of("{}[]|$@\\"), std::string::npos) << ticket.text;
    EXPECT_EQ(ticket.text.find("  "), std::string::npos) << ticket.text;
  }
  std::ranges::sort(lengths);
  EXPECT_LE(lengths[lengths.size() / 2], 18);
  EXPECT_LE(lengths.back(), 60);
}

TEST(Helpdesk, EveryAlternativeIsExpressible) {
  // Other seeds reach other corners of the grammar: none may hold an unset variable or one text with two
  // labels.
  for (uint64_t seed = 2; seed < 6; ++seed) {
    auto made = make_corpus(grammar(), kCount, seed);
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  }
}

TEST(Helpdesk, SameSeedSameFile) {
  Folder folder;
  std::string grammar_option = "--grammar " + kGrammar;
  ASSERT_EQ(run(grammar_option + " --seed 1 --out " + (folder / "a.csv")), 0);
  ASSERT_EQ(run(grammar_option + " --seed 1 --out " + (folder / "b.csv")), 0);
  ASSERT_EQ(run(grammar_option + " --seed 2 --out " + (folder / "c.csv")), 0);
  std::string a = read_file(folder / "a.csv").value();
  EXPECT_EQ(a, read_file(folder / "b.csv").value());
  EXPECT_NE(a, read_file(folder / "c.csv").value());
  EXPECT_EQ(a, to_csv(grammar(), corpus(), false));
  auto data = formats::load_labelled(folder / "a.csv", "text", "intent");
  ASSERT_TRUE(data.has_value()) << data.error().message;
  ASSERT_EQ(data->examples.size(), kCount);
  for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(data->examples[i].text, corpus().tickets[i].text);
}

TEST(Helpdesk, ProgramLeavesNothingBehindWhenItFails) {
  Folder folder;
  ASSERT_TRUE(write_file(folder / "bad.grammar", "intent a\n.do\n    (x\n").has_value());
  EXPECT_EQ(run("--grammar " + (folder / "bad.grammar") + " --out " + (folder / "o.csv")), 1);
  EXPECT_EQ(run("--grammar " + (folder / "absent") + " --out " + (folder / "o.csv")), 1);
  EXPECT_EQ(run("--grammar " + kGrammar + " --out " + (folder / "no/such/folder.csv")), 1);
  EXPECT_EQ(run("--grammar " + kGrammar + " --count 3 --out " + (folder / "o.csv")), 1);
  EXPECT_EQ(run("--grammar " + kGrammar), 2);
  EXPECT_EQ(run("--count many --out " + (folder / "o.csv")), 2);
  EXPECT_EQ(run("--help"), 0);
  EXPECT_EQ(folder.files(), 1u);  // bad.grammar
}

TEST(Helpdesk, LinearBaselineDoesNotSolveIt) {
  formats::LabelledData data;
  for (const Intent& intent : grammar().intents) data.labels.push_back(intent.name);
  for (const Ticket& ticket : corpus().tickets) {
    data.examples.push_back({ticket.text, static_cast<int32_t>(ticket.intent), 0});
  }
  auto parts = formats::split(data, {0.8, 0.2}, 1);
  auto baseline = eval::LinearBaseline::train(parts[0], data.labels.size());
  ASSERT_TRUE(baseline.has_value()) << baseline.error().message;
  std::map<std::string, size_t> frame_of;
  for (const Ticket& ticket : corpus().tickets) frame_of[ticket.text] = ticket.frame;
  std::vector<size_t> right(grammar().frames.size()), all(right);
  size_t total = 0;
  for (const formats::Example& example : parts[1]) {
    bool hit = baseline->predict(example.text) == example.label;
    total += hit;
    right[frame_of[example.text]] += hit;
    ++all[frame_of[example.text]];
  }
  double accuracy = static_cast<double>(total) / static_cast<double>(parts[1].size());
  fmt::print("linear baseline: {:.1f} % of {} held-back tickets\n", 100 * accuracy, parts[1].size());
  for (size_t f = 0; f < all.size(); ++f) {
    fmt::print("  {:<12}{:.1f} % of {}\n", grammar().frames[f].rule.name,
               100.0 * static_cast<double>(right[f]) / static_cast<double>(std::max<size_t>(1, all[f])),
               all[f]);
  }
  EXPECT_LT(accuracy, 0.95);
  EXPECT_GT(accuracy, 0.70);  // nor may it be mere noise to a method that sees no order
}

}  // namespace
}  // namespace bantam::tools
