#include "ticket_corpus.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "ticket_noise.h"

namespace bantam::tools {
namespace {

// Draws in a row that may be dropped before an intent counts as exhausted.
constexpr int kMaxDropped = 500;

// Finds texts whose sets of word trigrams overlap those of an earlier text by at least `limit` (Jaccard).
class NearDuplicates {
 public:
  explicit NearDuplicates(double limit) : limit_(limit) {}

  /// Remembers `normal` and returns false, or returns true when an earlier text is too near.
  bool seen(const std::string& normal) {
    std::vector<uint64_t> grams = trigrams(normal);
    std::unordered_map<size_t, size_t> shared;
    for (uint64_t gram : grams) {
      for (size_t other : holders_[gram]) ++shared[other];
    }
    for (auto [other, both] : shared) {
      size_t either = grams.size() + sizes_[other] - both;
      if (static_cast<double>(both) >= limit_ * static_cast<double>(either)) return true;
    }
    for (uint64_t gram : grams) holders_[gram].push_back(sizes_.size());
    sizes_.push_back(grams.size());
    return false;
  }

 private:
  static std::vector<uint64_t> trigrams(const std::string& normal) {
    std::vector<std::string> words = {"", ""};  // the beginning and the end count as words
    for (size_t at = 0; at < normal.size();) {
      size_t end = std::min(normal.find(' ', at), normal.size());
      words.push_back(normal.substr(at, end - at));
      at = end + 1;
    }
    words.insert(words.end(), {"", ""});
    std::vector<uint64_t> grams;
    for (size_t i = 0; i + 2 < words.size(); ++i) {
      uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, 64 bits
      for (size_t k = i; k < i + 3; ++k) {
        for (char c : words[k] + " ") hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
      }
      grams.push_back(hash);
    }
    std::ranges::sort(grams);
    auto repeated = std::ranges::unique(grams);
    grams.erase(repeated.begin(), repeated.end());
    return grams;
  }

  double limit_;
  std::unordered_map<uint64_t, std::vector<size_t>> holders_;
  std::vector<size_t> sizes_;
};

std::vector<size_t> quotas(const Grammar& grammar, size_t count) {
  double total = 0;
  for (const Intent& intent : grammar.intents) total += intent.share;
  std::vector<size_t> out;
  std::vector<std::pair<double, size_t>> rest;
  size_t given = 0;
  for (size_t i = 0; i < grammar.intents.size(); ++i) {
    double exact = static_cast<double>(count) * grammar.intents[i].share / total;
    out.push_back(static_cast<size_t>(exact));
    given += out.back();
    rest.emplace_back(static_cast<double>(out.back()) - exact, i);
  }
  std::ranges::sort(rest);
  for (size_t i = 0; given < count; ++i, ++given) ++out[rest[i % rest.size()].second];
  return out;
}

}  // namespace

Result<Corpus> make_corpus(const Grammar& grammar, size_t count, uint64_t seed) {
  if (count < grammar.intents.size()) {
    return fail(Code::kInvalidArgument,
                "found a count of {}; expected at least one example for each of {} intents", count,
                grammar.intents.size());
  }
  Corpus corpus;
  std::unordered_map<std::string, size_t>
      label_of;  // normal form of clean and noisy texts -> index of its ticket
  std::vector<size_t> wanted = quotas(grammar, count);
  for (size_t intent = 0; intent < grammar.intents.size(); ++intent) {
    NearDuplicates near(grammar.settings.near_duplicate);
    int dropped_in_a_row = 0;
    for (uint64_t attempt = 0; wanted[intent] > 0; ++attempt) {
      if (dropped_in_a_row > kMaxDropped) {
        return fail(Code::kInvalidArgument,
                    "{}:{}: intent \"{}\" ran out of distinct examples, {} short; give it more alternatives",
                    grammar.source, grammar.intents[intent].line, grammar.intents[intent].name,
                    wanted[intent]);
      }
      Rng rng(seed, intent, attempt);
      BANTAM_ASSIGN(Ticket ticket, draw_ticket(grammar, intent, rng));
      std::string clean = normal_form(ticket.text);
      ticket.text = add_noise(ticket.text, grammar, rng);
      std::string noisy = normal_form(ticket.text);
      bool repeated = false;
      for (const std::string& form : {clean, noisy}) {
        auto found = label_of.find(form);
        if (found == label_of.end()) continue;
        const Ticket& other = corpus.tickets[found->second];
        if (other.intent != intent) {
          return fail(Code::kInvalidArgument, "{}: \"{}\" is both {} (line {}) and {} (line {})",
                      grammar.source, form, grammar.intents[other.intent].name, other.line,
                      grammar.intents[intent].name, ticket.line);
        }
        repeated = true;
      }
      if (repeated || near.seen(clean)) {
        ++corpus.dropped;
        ++dropped_in_a_row;
        continue;
      }
      dropped_in_a_row = 0;
      label_of.emplace(std::move(clean), corpus.tickets.size());
      label_of.emplace(std::move(noisy), corpus.tickets.size());
      corpus.tickets.push_back(std::move(ticket));
      --wanted[intent];
    }
  }
  Rng(seed).shuffle(corpus.tickets);
  return corpus;
}

std::string to_csv(const Grammar& grammar, const Corpus& corpus, bool with_frame) {
  std::string out = with_frame ? "text,intent,frame\n" : "text,intent\n";
  for (const Ticket& ticket : corpus.tickets) {
    if (ticket.text.find_first_of(",\"\r\n") == std::string::npos) {
      out += ticket.text;
    } else {
      out += '"';
      for (char c : ticket.text) out.append(c == '"' ? 2 : 1, c);
      out += '"';
    }
    out += ',' + grammar.intents[ticket.intent].name;
    if (with_frame) out += ',' + grammar.frames[ticket.frame].rule.name;
    out += '\n';
  }
  return out;
}

}  // namespace bantam::tools
