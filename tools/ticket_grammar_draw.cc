#include <algorithm>
#include <cctype>

#include "ticket_grammar.h"

namespace bantam::tools {
namespace {

// Rule that a variable's value was drawn from ("" when it was set outright), and the value.
struct Variable {
  std::string rule, value;
};
using Scope = std::map<std::string, Variable>;

size_t pick(const std::vector<double>& weights, Rng& rng) {
  double total = 0;
  for (double w : weights) total += w;
  double at = rng.uniform() * total;
  size_t last = 0;  // the last with any weight, should rounding carry `at` past the end
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) last = i;
    if ((at -= weights[i]) < 0) return i;
  }
  return last;
}

class Expansion {
 public:
  Expansion(const Grammar& grammar, const Intent& a, const Intent& b, Rng& rng)
      : grammar_(grammar), a_(a), b_(b), rng_(rng) {}

  Status expand(const Alternative& alternative, Scope& scope, std::string& out) {
    for (const Sequence& part : alternative.parts) BANTAM_TRY(expand(part, alternative.line, scope, out));
    return {};
  }

 private:
  // How often a variable is drawn again to differ from the others of its rule.
  static constexpr int kRedraws = 50;

  Status expand_one_of(const std::vector<Alternative>& alternatives, Scope& scope, std::string& out) {
    std::vector<double> weights;
    for (const Alternative& alternative : alternatives) weights.push_back(alternative.weight);
    return expand(alternatives[pick(weights, rng_)], scope, out);
  }

  Status expand(const Sequence& part, size_t line, Scope& scope, std::string& out) {
    using Kind = Sequence::Kind;
    switch (part.kind) {
      case Kind::kText:
        out += part.text;
        return {};
      case Kind::kRule:
        return expand_one_of(grammar_.rules.at(part.text).alternatives, scope, out);
      case Kind::kForm: {
        Scope inner;
        return expand_one_of((part.name == "A" ? a_ : b_).forms.at(part.text).alternatives, inner, out);
      }
      case Kind::kRemember:
        return remember(part, line, scope, out);
      case Kind::kSet: {
        std::string value;
        for (const Alternative& alternative : part.choices) BANTAM_TRY(expand(alternative, scope, value));
        scope[part.name] = {"", value};
        return {};
      }
      case Kind::kVariable: {
        auto found = scope.find(part.name);
        if (found == scope.end()) {
          return fail(Code::kInvalidArgument, "{}:{}: the variable \"${}\" is used where nothing has set it",
                      grammar_.source, line, part.name);
        }
        out += found->second.value;
        return {};
      }
      case Kind::kChoice:
        return expand_one_of(part.choices, scope, out);
    }
    return {};
  }

  Status remember(const Sequence& part, size_t line, Scope& scope, std::string& out) {
    for (int attempt = 0; attempt < kRedraws; ++attempt) {
      std::string value;
      BANTAM_TRY(expand_one_of(grammar_.rules.at(part.text).alternatives, scope, value));
      bool taken = std::ranges::any_of(scope, [&](const auto& entry) {
        return entry.first != part.name && entry.second.rule == part.text && entry.second.value == value;
      });
      if (taken) continue;
      scope[part.name] = {part.text, value};
      out += value;
      return {};
    }
    return fail(Code::kInvalidArgument, "{}:{}: rule \"{}\" has too few alternatives for another variable",
                grammar_.source, line, part.text);
  }

  const Grammar& grammar_;
  const Intent &a_, &b_;
  Rng& rng_;
};

bool is_stop(char c) { return c == '.' || c == '?' || c == '!'; }

// Folds space, drops it before punctuation, and gives each sentence its capital. A quotation mark or a
// quoting ">" does not hide the letter after it.
std::string tidy(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool space = c == ' ' || c == '\n';
    if (space && (out.empty() || out.back() == '\n')) continue;
    if (!out.empty() && out.back() == ' ' &&
        (space || std::string_view(",.;:?!)").find(c) != std::string_view::npos)) {
      out.pop_back();
    }
    out += c;
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '\n')) out.pop_back();
  bool start = true;
  for (size_t i = 0; i < out.size(); ++i) {
    char c = out[i];
    if (std::isalpha(static_cast<unsigned char>(c))) {
      if (start) out[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      start = false;
    } else if (c == '\n' || (c == ' ' && i > 0 && is_stop(out[i - 1]))) {
      start = true;
    } else if (std::isdigit(static_cast<unsigned char>(c))) {
      start = false;
    }
  }
  return out;
}

}  // namespace

bool usable(const Alternative& alternative, const Intent& a) {
  return std::ranges::all_of(alternative.parts, [&](const Sequence& part) {
    if (part.kind == Sequence::Kind::kForm) return part.name == "B" || a.forms.contains(part.text);
    return std::ranges::all_of(part.choices, [&](const Alternative& choice) { return usable(choice, a); });
  });
}

Result<Ticket> draw_ticket(const Grammar& grammar, size_t intent, Rng& rng) {
  const Intent& a = grammar.intents[intent];
  std::vector<double> frame_weights;
  for (const Frame& frame : grammar.frames) {
    bool any =
        std::ranges::any_of(frame.rule.alternatives, [&](const Alternative& alt) { return usable(alt, a); });
    frame_weights.push_back(any ? frame.weight : 0);
  }
  size_t f = pick(frame_weights, rng);
  std::vector<const Alternative*> alternatives;
  std::vector<double> weights;
  for (const Alternative& alternative : grammar.frames[f].rule.alternatives) {
    if (!usable(alternative, a)) continue;
    alternatives.push_back(&alternative);
    weights.push_back(alternative.weight);
  }
  const Alternative& chosen = *alternatives[pick(weights, rng)];
  size_t other;
  if (!a.near.empty() && rng.chance(grammar.settings.near)) {
    other = a.near[rng.below(a.near.size())];
  } else {
    other = rng.below(grammar.intents.size() - 1);
    other += other >= intent;
  }
  Ticket ticket{.text = {}, .intent = intent, .frame = f, .line = chosen.line};
  Scope scope;
  BANTAM_TRY(Expansion(grammar, a, grammar.intents[other], rng).expand(chosen, scope, ticket.text));
  ticket.text = tidy(ticket.text);
  return ticket;
}

}  // namespace bantam::tools
