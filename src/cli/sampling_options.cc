#include <cmath>
#include <stdexcept>

#include "cli/verbs.h"
#include "runtime/sampling.h"

namespace bantam::cli {
namespace {

template <class T>
void add(CLI::App& verb, const char* flag, T& value, const char* text) {
  verb.add_option(flag, value, text)->capture_default_str()->group("Sampling");
}

void add_penalties(CLI::App& verb, runtime::SamplingOptions& o) {
  add(verb, "--repeat-penalty", o.repetition_penalty,
      "Divides the logits of tokens that were there already (1: off)");
  add(verb, "--presence-penalty", o.presence_penalty, "Taken once off the logits of tokens that were there");
  add(verb, "--frequency-penalty", o.frequency_penalty, "Taken off for each time that a token was there");
  add(verb, "--repeat-last-n", o.penalty_last_n, "The penalties look at so many tokens (-1: all, 0: none)");
  add(verb, "--dry-multiplier", o.dry_multiplier, "DRY: strength against repeated sequences (0: off)");
  add(verb, "--dry-base", o.dry_base, "DRY: growth with the length of the repetition");
  add(verb, "--dry-allowed-length", o.dry_allowed_length, "DRY: repetitions up to this length are free");
  add(verb, "--dry-penalty-last-n", o.dry_last_n, "DRY: looks at so many tokens (-1: all, 0: none)");
  add(verb, "--dry-sequence-breaker", o.dry_breakers,
      "DRY: no repetition reaches across this text (may be repeated)");
}

}  // namespace

void add_sampling_options(CLI::App& verb, runtime::SamplingOptions& o) {
  add(verb, "--temp", o.temperature, "Temperature; 0 takes the likeliest token");
  add(verb, "--dynatemp-range", o.dynatemp_range,
      "The temperature moves by so much with the entropy (0: off)");
  add(verb, "--dynatemp-exp", o.dynatemp_exponent, "Exponent of that movement");
  add(verb, "--top-k", o.top_k, "Draw from the k likeliest tokens (0: all)");
  add(verb, "--top-p", o.top_p, "Draw from the likeliest tokens whose probabilities reach p");
  add(verb, "--min-p", o.min_p, "Leave out tokens below this share of the likeliest one's probability");
  add(verb, "--typical", o.typical_p,
      "Locally typical sampling: the most typical tokens that reach p (1: off)");
  add(verb, "--top-nsigma", o.top_n_sigma, "Keep logits within n deviations of the largest (0: off)");
  add(verb, "--xtc-probability", o.xtc_probability,
      "XTC: how often the likeliest tokens are left out (0: off)");
  add(verb, "--xtc-threshold", o.xtc_threshold,
      "XTC: all but the least likely of the tokens above this share go");
  add(verb, "--mirostat", o.mirostat, "Mirostat, version 1 or 2, in the place of the steps above (0: off)");
  add(verb, "--mirostat-ent", o.mirostat_tau, "Mirostat: the wanted surprise, in bits");
  add(verb, "--mirostat-lr", o.mirostat_eta, "Mirostat: learning rate");
  add_penalties(verb, o);
  verb.add_option("-s,--seed", o.seed, "Seed of the draws")->capture_default_str()->group("Sampling");
  verb.add_option_function<std::vector<std::string>>(
          "-l,--logit-bias",
          [&o](const std::vector<std::string>& all) {
            for (const std::string& one : all) o.logit_bias.push_back(parse_logit_bias(one));
          },
          "Added to the logit of a token id, as 15043+1 or 15043-inf (may be repeated)")
      ->type_name("ID±BIAS")
      ->group("Sampling");
}

std::pair<text::TokenId, float> parse_logit_bias(const std::string& text) {
  const size_t sign = text.find_first_of("+-", 1);
  try {
    size_t id_end = 0, bias_end = 0;
    if (sign == std::string::npos) throw std::invalid_argument("");
    const int id = std::stoi(text.substr(0, sign), &id_end);
    const float bias = std::stof(text.substr(sign), &bias_end);
    if (id_end != sign || bias_end != text.size() - sign || id < 0 || std::isnan(bias))
      throw std::invalid_argument("");
    return {id, bias};
  } catch (const std::logic_error&) {
    throw CLI::ValidationError("--logit-bias",
                               fmt::format("found '{}', expected a token id and a bias, as 15043+1", text));
  }
}

}  // namespace bantam::cli
