#pragma once
// A whole data set from a grammar: how many of each intent, no near-duplicates, no contradictions, one order
// for one seed.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "ticket_grammar.h"

namespace bantam::tools {

struct Corpus {
  std::vector<Ticket> tickets;  // shuffled, with their noise
  uint64_t dropped = 0;         // examples drawn and dropped as near-duplicates
};

/// `count` examples, divided among the intents by their shares (largest remainder). The same grammar, count
/// and seed give the same corpus. Errors: kInvalidArgument for a count below the number of intents, for an
/// intent that runs out of distinct examples, and for one text that the grammar gives two labels.
Result<Corpus> make_corpus(const Grammar& grammar, size_t count, uint64_t seed);

/// The corpus as CSV (RFC 4180): text,intent and, when asked for, the frame each example came from.
std::string to_csv(const Grammar& grammar, const Corpus& corpus, bool with_frame);

}  // namespace bantam::tools
