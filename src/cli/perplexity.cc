#include "cli/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/usage.h"

namespace bantam::cli {
namespace {

using text::TokenId;

constexpr uint32_t kDefaultWindow = 512;
constexpr uint32_t kSmallestWindow = 4;

/// One forward pass: `tokens` are seen, those from index `first_scored` (at least 1) on are scored.
struct Window {
  std::vector<TokenId> tokens;
  size_t first_scored = 1;
};

double negative_log_probability(std::span<const float> logits, TokenId token) {
  float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit - largest));
  return std::log(sum) - static_cast<double>(logits[token] - largest);
}

/// The windows of a text with strides, or halves; `bos` is empty or the one token that windows begin with.
std::vector<Window> strided(std::span<const TokenId> text, std::span<const TokenId> bos, uint32_t window,
                            uint32_t stride) {
  std::vector<Window> out;
  size_t room = window - bos.size();
  size_t scored = bos.empty() ? 1 : 0;  // the text's tokens before this index are done
  for (size_t start = 0; scored < text.size(); start += stride) {
    size_t end = std::min(start + room, text.size());
    Window next{{bos.begin(), bos.end()}, scored - start + bos.size()};
    next.tokens.insert(next.tokens.end(), text.begin() + start, text.begin() + end);
    out.push_back(std::move(next));
    scored = end;
  }
  return out;
}

std::vector<Window> halves(std::span<const TokenId> text, std::span<const TokenId> bos, uint32_t window) {
  std::vector<TokenId> all(bos.begin(), bos.end());
  all.insert(all.end(), text.begin(), text.end());
  std::vector<Window> out;
  for (size_t start = 0; start + window <= all.size(); start += window) {
    Window next{{all.begin() + start, all.begin() + start + window}, window / 2 + 1};
    if (!bos.empty()) next.tokens[0] = bos[0];
    out.push_back(std::move(next));
  }
  return out;
}

Status check_sizes(const PerplexityOptions& options, uint32_t context, uint32_t window, uint32_t stride) {
  if (window < kSmallestWindow || window > context) {
    return fail(Code::kInvalidArgument, "--window: found {}, expected {} to the context's {}", window,
                kSmallestWindow, context);
  }
  if (!options.halves && (stride == 0 || stride >= window)) {
    return fail(Code::kInvalidArgument, "--stride: found {}, expected 1 to {} (the window less one)", stride,
                window - 1);
  }
  if (options.halves && options.stride != 0) {
    return fail(Code::kInvalidArgument, "--stride: found {} with --halves, whose windows stand side by side",
                options.stride);
  }
  return {};
}

/// Adds the scores of one window to `out`.
Status score_window(runtime::Session& session, const text::Tokenizer& tokenizer, const Window& window,
                    Perplexity& out) {
  const auto& tokens = window.tokens;
  BANTAM_TRY(session.logits(tokens, [&](size_t t, std::span<const float> logits) {
    if (t + 1 < window.first_scored || t + 1 >= tokens.size()) return;
    out.nll += negative_log_probability(logits, tokens[t + 1]);
  }));
  out.scored += tokens.size() - window.first_scored;
  for (size_t i = window.first_scored; i < tokens.size(); ++i) out.bytes += tokenizer.piece(tokens[i]).size();
  return {};
}

}  // namespace

double Perplexity::perplexity() const { return std::exp(nll / static_cast<double>(scored)); }

double Perplexity::bits_per_byte() const { return nll / std::numbers::ln2 / static_cast<double>(bytes); }

Result<Perplexity> perplexity(const runtime::Engine& engine, std::string_view text,
                              const PerplexityOptions& options, const ProgressSink& progress,
                              std::stop_token cancel) {
  const text::Tokenizer& tokenizer = engine.tokenizer();
  BANTAM_ASSIGN(auto tokens, tokenizer.encode(text, {.add_special = false}));
  BANTAM_ASSIGN(auto bos, tokenizer.encode("", {.add_special = true}));
  // An empty text encodes to BOS, EOS, both or nothing; windows begin with BOS alone.
  bool starts = !bos.empty() && bos.front() == tokenizer.bos();
  bos.resize(starts ? 1 : 0);

  Perplexity out;
  out.tokens = tokens.size();
  out.window = options.window != 0 ? options.window : std::min(engine.context_length(), kDefaultWindow);
  out.stride = options.halves ? out.window : options.stride != 0 ? options.stride : out.window / 2;
  BANTAM_TRY(check_sizes(options, engine.context_length(), out.window, out.stride));
  if (tokens.size() < 2)
    return fail(Code::kInvalidArgument, "the text has {} tokens, expected at least 2", tokens.size());
  auto windows =
      options.halves ? halves(tokens, bos, out.window) : strided(tokens, bos, out.window, out.stride);
  if (windows.empty()) {
    return fail(Code::kInvalidArgument, "the text has {} tokens, fewer than one window of {}", tokens.size(),
                out.window);
  }

  double start = wall_seconds();
  BANTAM_ASSIGN(auto session, engine.new_session());
  for (size_t i = 0; i < windows.size(); ++i) {
    if (cancel.stop_requested())
      return fail(Code::kCancelled, "interrupted after {} of {} windows", i, windows.size());
    BANTAM_TRY(score_window(*session, tokenizer, windows[i], out));
    if (progress) {
      double so_far = std::exp(out.nll / static_cast<double>(out.scored));
      progress({"perplexity", i + 1, windows.size(), fmt::format("{:.3f}", so_far)});
    }
  }
  // Exact where every token counts: pieces may hold a space that the tokenizer put before the text.
  if (out.scored == tokens.size()) out.bytes = text.size();
  out.seconds = wall_seconds() - start;
  return out;
}

}  // namespace bantam::cli
