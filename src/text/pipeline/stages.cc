#include "text/pipeline/stages.h"

#include "base/utf8.h"
#include "text/pipeline/unicode.h"
#include "text/pipeline/word_models.h"

namespace bantam::text {

void apply_split(const std::vector<std::pair<std::string_view, bool>>& parts, SplitBehavior behavior,
                 std::vector<std::string>& out) {
  bool join_next = false, last_match = false, any = false;
  for (const auto& [part, match] : parts) {
    const bool joins = any && ((behavior == SplitBehavior::kContiguous && match == last_match) ||
                               (behavior == SplitBehavior::kMergedWithPrevious && match && !last_match) ||
                               (behavior == SplitBehavior::kMergedWithNext && join_next && !match));
    if (behavior == SplitBehavior::kRemoved && match) {
      last_match = match;
      continue;
    }
    if (joins) {
      out.back() += part;
    } else {
      out.emplace_back(part);
    }
    join_next = match;
    last_match = match;
    any = true;
  }
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  if (from.empty()) return std::string(text);
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, done)) {
    out.append(text.substr(done, at - done)).append(to);
    done = at + from.size();
  }
  return out.append(text.substr(done));
}

void bert_normalize(std::string& text, const BertNormalizerOptions& options) {
  std::string out;
  each_character(options.strip_accents ? normal_form(text, NormalForm::kNfd) : text,
                 [&](uint32_t code, std::string_view bytes) {
                   const bool space = code == '\t' || code == '\n' || code == '\r' || is_white_space(code);
                   if (options.clean_text &&
                       (code == 0 || code == 0xFFFD || code == kBrokenByte || (!space && is_control(code))))
                     return;
                   if (options.strip_accents && is_mark(code)) return;
                   if (options.clean_text && space) {
                     out += ' ';
                   } else if (options.chinese_characters && is_cjk(code)) {
                     out.append(" ").append(bytes).append(" ");
                   } else {
                     out += bytes;
                   }
                 });
  text = options.lower_case ? lower_case(out) : std::move(out);
}

void bert_split(std::string_view text, std::vector<std::string>& out) {
  bool open = false;  // the last word may go on
  each_character(text, [&](uint32_t code, std::string_view bytes) {
    const bool mark = is_punctuation(code);
    if (is_white_space(code)) {
      open = false;
    } else if (open && !mark) {
      out.back() += bytes;
    } else {
      out.emplace_back(bytes);
      open = !mark;
    }
  });
}

void metaspace(PreTokens& text, const MetaspaceOptions& options) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.words.size(); ++i) {
    std::string word = replace_all(text.words[i], " ", options.mark);
    using Prepend = MetaspaceOptions::Prepend;
    const bool wanted =
        options.prepend == Prepend::kAlways || (options.prepend == Prepend::kFirst && text.first && i == 0);
    if (wanted && !word.starts_with(options.mark)) word.insert(0, options.mark);
    if (!options.split) {
      out.push_back(std::move(word));
      continue;
    }
    for (size_t begin = 0; begin < word.size();) {
      const size_t end = std::min(word.find(options.mark, begin + 1), word.size());
      out.push_back(word.substr(begin, end - begin));
      begin = end;
    }
  }
  text.words = std::move(out);
}

std::string clean_up(std::string_view text) {
  std::string out(text);
  for (const auto& [from, to] : {std::pair(" .", "."),
                                 {" ?", "?"},
                                 {" !", "!"},
                                 {" ,", ","},
                                 {" ' ", "'"},
                                 {" n't", "n't"},
                                 {" 'm", "'m"},
                                 {" do not", " don't"},
                                 {" 's", "'s"},
                                 {" 've", "'ve"},
                                 {" 're", "'re"}})
    out = replace_all(out, from, to);
  return out;
}

void byte_fallback(std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  std::string bytes;
  auto flush = [&] {
    if (find_broken_utf8(bytes) == std::string_view::npos) {
      if (!bytes.empty()) out.push_back(bytes);
    } else {
      for (size_t i = 0; i < bytes.size(); ++i) out.emplace_back(kReplacementCharacter);
    }
    bytes.clear();
  };
  for (auto& token : tokens) {
    const int byte = byte_token_value(token);
    if (byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  tokens = std::move(out);
}

}  // namespace bantam::text
