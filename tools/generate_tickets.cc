// generate_tickets: writes labelled support tickets from a grammar. The data set of recipes/helpdesk.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "ticket_corpus.h"

namespace {

using namespace bantam;

constexpr uint64_t kMaxGrammarBytes = uint64_t{1} << 24;

struct Options {
  std::string grammar = "recipes/helpdesk/tickets.grammar";
  std::string out;
  size_t count = 15000;
  uint64_t seed = 1;
  bool with_frame = false, quiet = false;
};

void report(const tools::Grammar& grammar, const tools::Corpus& corpus, const std::string& out) {
  std::vector<size_t> lengths;
  for (const tools::Ticket& ticket : corpus.tickets) {
    lengths.push_back(1 + static_cast<size_t>(std::ranges::count_if(
                              ticket.text, [](char c) { return c == ' ' || c == '\n'; })));
  }
  std::ranges::sort(lengths);
  fmt::print(stderr,
             "{}: {} examples of {} intents from {} frames, {} to {} words (median {}), {} near-duplicates "
             "dropped\n",
             out, corpus.tickets.size(), grammar.intents.size(), grammar.frames.size(), lengths.front(),
             lengths.back(), lengths[lengths.size() / 2], corpus.dropped);
}

Status generate(const Options& options) {
  BANTAM_ASSIGN(std::string text, read_file(options.grammar, kMaxGrammarBytes));
  BANTAM_ASSIGN(tools::Grammar grammar, tools::parse_grammar(text, options.grammar));
  BANTAM_ASSIGN(tools::Corpus corpus, tools::make_corpus(grammar, options.count, options.seed));
  BANTAM_TRY(write_file(options.out, tools::to_csv(grammar, corpus, options.with_frame)));
  if (!options.quiet) report(grammar, corpus, options.out);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Writes labelled support tickets, a CSV file text,intent, from a grammar.\n"
      "Example: generate_tickets --seed 1 --out build/tickets.csv");
  app.add_option("--grammar", options.grammar, "the grammar file")->capture_default_str();
  app.add_option("--out", options.out, "the CSV file to write")->required();
  app.add_option("--count", options.count, "number of examples")->capture_default_str();
  app.add_option("--seed", options.seed, "the same seed gives the same file")->capture_default_str();
  app.add_flag("--with-frame", options.with_frame, "add a column: the frame each example was made by");
  app.add_flag("--quiet", options.quiet, "no summary on standard error");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (Status done = generate(options); !done) {
    fmt::print(stderr, "generate_tickets: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
