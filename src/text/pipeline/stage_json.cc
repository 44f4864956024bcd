#include "text/pipeline/stage_json.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/pipeline/base64.h"
#include "text/pipeline/charsmap.h"
#include "text/pipeline/unicode.h"
#include "text/splitter.h"
#include "text/splitter_schemes.h"

namespace bantam::text {
namespace {

using Json = nlohmann::json;
constexpr size_t kStageNesting = 16;

std::unexpected<Error> wrong(const char* key, std::string_view expected) {
  return fail(Code::kCorrupt, "{}: found another kind of value, expected {}", key, expected);
}

Result<std::string> type_of(const Json& json, std::string_view stage) {
  if (!json.is_object()) return fail(Code::kCorrupt, "{}: found no object, expected one with a type", stage);
  return json_string(json, "type");
}

/// A Splitter that closures share; {"Regex": …} or {"String": …}.
Result<std::shared_ptr<const Splitter>> pattern_of(const Json& json) {
  const auto found = json.find("pattern");
  if (found == json.end() || !found->is_object()) return wrong("pattern", "an object with String or Regex");
  std::string pattern;
  if (found->contains("Regex")) {
    BANTAM_ASSIGN(pattern, json_string(*found, "Regex"));
  } else {
    BANTAM_ASSIGN(const std::string text, json_string(*found, "String"));
    for (char c : text) {
      const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                         static_cast<unsigned char>(c) >= 0x80 || c == ' ';
      pattern.append(plain ? "" : "\\").append(1, c);
    }
  }
  const std::string_view one = pattern;
  BANTAM_ASSIGN(Splitter splitter, Splitter::from_patterns("pattern", {&one, 1}));
  return std::make_shared<const Splitter>(std::move(splitter));
}

/// `stage` of each item of `list` in turn.
template <class Stage, class Make>
Result<std::vector<Stage>> sequence(const Json& json, const char* key, size_t depth, const Make& make) {
  const auto list = json.find(key);
  if (depth > kStageNesting)
    return fail(Code::kLimit, "{}: found sequences nested deeper than {}", key, kStageNesting);
  if (list == json.end() || !list->is_array()) return wrong(key, "a list");
  std::vector<Stage> out;
  for (const auto& item : *list) {
    BANTAM_ASSIGN(Stage stage, make(item, depth + 1));
    if (stage) out.push_back(std::move(stage));
  }
  return out;
}

Result<Normalizer> replace_normalizer(const Json& json) {
  BANTAM_ASSIGN(const std::string content, json_string(json, "content"));
  const auto pattern = json.find("pattern");
  if (pattern != json.end() && pattern->is_object() && pattern->contains("String")) {
    BANTAM_ASSIGN(const std::string from, json_string(*pattern, "String"));
    return [from, content](std::string& text) -> Status {
      text = replace_all(text, from, content);
      return {};
    };
  }
  BANTAM_ASSIGN(const auto splitter, pattern_of(json));
  return [splitter, content](std::string& text) -> Status {
    std::string out;
    BANTAM_TRY(splitter->matches(
        text, [&](std::string_view part, bool match) { out += match ? std::string_view(content) : part; }));
    text = std::move(out);
    return {};
  };
}

Result<Normalizer> charsmap_normalizer(const Json& json) {
  BANTAM_ASSIGN(const std::string encoded, json_string(json, "precompiled_charsmap", ""));
  const auto decoded = from_base64(encoded);
  if (!decoded) return wrong("precompiled_charsmap", "base64");
  const std::string& blob = *decoded;
  if (blob.empty()) return Normalizer();
  BANTAM_ASSIGN(CharsMap parsed, CharsMap::parse(blob));
  auto map = std::make_shared<const CharsMap>(std::move(parsed));
  return [map](std::string& text) -> Status {
    text = map->normalized(text);
    return {};
  };
}

Result<Normalizer> bert_normalizer(const Json& json) {
  BertNormalizerOptions options;
  BANTAM_ASSIGN(options.clean_text, json_bool(json, "clean_text", true));
  BANTAM_ASSIGN(options.chinese_characters, json_bool(json, "handle_chinese_chars", true));
  BANTAM_ASSIGN(options.lower_case, json_bool(json, "lowercase", true));
  BANTAM_ASSIGN(options.strip_accents, json_bool(json, "strip_accents", options.lower_case));
  return [options](std::string& text) -> Status {
    bert_normalize(text, options);
    return {};
  };
}

Normalizer simple(std::string (*change)(std::string_view)) {
  return [change](std::string& text) -> Status {
    text = change(text);
    return {};
  };
}

std::string without_marks(std::string_view text) {
  std::string out;
  each_character(text, [&](uint32_t code, std::string_view bytes) {
    if (!is_mark(code)) out += bytes;
  });
  return out;
}

/// SentencePiece's nmt rules beside NFKC: some control characters go, others are spaces.
std::string nmt(std::string_view text) {
  std::string out;
  each_character(text, [&](uint32_t code, std::string_view bytes) {
    if ((code >= 1 && code <= 8) || code == 0xB || (code >= 0xE && code <= 0x1F) || code == 0x7F ||
        code == 0x8F || code == 0x9F)
      return;
    const bool space = code == 9 || code == 10 || code == 12 || code == 13 || code == 0x1680 ||
                       (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 ||
                       code == 0x2581 || code == 0xFEFF || code == 0xFFFD;
    out += space ? " " : bytes;
  });
  return out;
}

std::string trimmed(std::string_view text, bool left, bool right) {
  std::vector<std::pair<uint32_t, std::string_view>> all;
  each_character(text, [&](uint32_t code, std::string_view bytes) { all.emplace_back(code, bytes); });
  size_t begin = 0, end = all.size();
  while (left && begin < end && is_white_space(all[begin].first)) ++begin;
  while (right && end > begin && is_white_space(all[end - 1].first)) --end;
  std::string out;
  for (size_t i = begin; i < end; ++i) out += all[i].second;
  return out;
}

Result<Normalizer> normalizer(const Json& json, size_t depth) {
  if (json.is_null()) return Normalizer();
  BANTAM_ASSIGN(const std::string type, type_of(json, "normalizer"));
  if (type == "Sequence") {
    BANTAM_ASSIGN(auto list, sequence<Normalizer>(json, "normalizers", depth, normalizer));
    return [list = std::move(list)](std::string& text) -> Status {
      for (const auto& one : list) BANTAM_TRY(one(text));
      return {};
    };
  }
  if (type == "NFC") return simple([](std::string_view t) { return normal_form(t, NormalForm::kNfc); });
  if (type == "NFD") return simple([](std::string_view t) { return normal_form(t, NormalForm::kNfd); });
  if (type == "NFKC") return simple([](std::string_view t) { return normal_form(t, NormalForm::kNfkc); });
  if (type == "NFKD") return simple([](std::string_view t) { return normal_form(t, NormalForm::kNfkd); });
  if (type == "Lowercase") return simple(lower_case);
  if (type == "StripAccents") return simple(without_marks);
  if (type == "Nmt") return simple(nmt);
  if (type == "ByteLevel") return simple(bytes_to_text);
  if (type == "Replace") return replace_normalizer(json);
  if (type == "Precompiled") return charsmap_normalizer(json);
  if (type == "BertNormalizer") return bert_normalizer(json);
  if (type == "Strip") {
    BANTAM_ASSIGN(const bool left, json_bool(json, "strip_left", true));
    BANTAM_ASSIGN(const bool right, json_bool(json, "strip_right", true));
    return [left, right](std::string& text) -> Status {
      text = trimmed(text, left, right);
      return {};
    };
  }
  if (type == "Prepend") {
    BANTAM_ASSIGN(const std::string prefix, json_string(json, "prepend"));
    return [prefix](std::string& text) -> Status {
      if (!text.empty()) text.insert(0, prefix);
      return {};
    };
  }
  return fail(Code::kUnsupported,
              "normalizer: found the type \"{}\", expected one of the tokenizers library's", type);
}

// ---- pre-tokenizers ----

/// Each word cut by `cut(word, out)`.
template <class Cut>
PreTokenizer each_word(Cut cut) {
  return [cut](PreTokens& text) -> Status {
    std::vector<std::string> out;
    for (const auto& word : text.words) BANTAM_TRY(cut(word, out));
    text.words = std::move(out);
    return {};
  };
}

/// Cuts at characters of a class.
template <class Is>
PreTokenizer by_class(Is is, SplitBehavior behavior) {
  return each_word([is, behavior](const std::string& word, std::vector<std::string>& out) -> Status {
    std::vector<std::pair<std::string_view, bool>> parts;
    each_character(word, [&](uint32_t code, std::string_view bytes) {
      const bool match = is(code);
      if (!match && !parts.empty() && !parts.back().second) {
        parts.back().first =
            std::string_view(parts.back().first.data(), parts.back().first.size() + bytes.size());
      } else {
        parts.emplace_back(bytes, match);
      }
    });
    apply_split(parts, behavior, out);
    return {};
  });
}

Result<SplitBehavior> behavior_of(const Json& json, std::string_view fallback) {
  BANTAM_ASSIGN(const std::string name, json_string(json, "behavior", fallback));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return fail(
      Code::kCorrupt,
      "behavior: found \"{}\", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
      name);
}

PreTokenizer by_pattern(std::shared_ptr<const Splitter> splitter, SplitBehavior behavior, bool invert) {
  return each_word(
      [splitter, behavior, invert](const std::string& word, std::vector<std::string>& out) -> Status {
        std::vector<std::pair<std::string_view, bool>> parts;
        BANTAM_TRY(splitter->matches(
            word, [&](std::string_view part, bool match) { parts.emplace_back(part, match != invert); }));
        apply_split(parts, behavior, out);
        return {};
      });
}

Result<PreTokenizer> fixed_pattern(std::string_view pattern, SplitBehavior behavior, bool invert) {
  BANTAM_ASSIGN(Splitter splitter, Splitter::from_patterns("pre_tokenizer", {&pattern, 1}));
  return by_pattern(std::make_shared<const Splitter>(std::move(splitter)), behavior, invert);
}

Result<PreTokenizer> byte_level_stage(const Json& json) {
  BANTAM_ASSIGN(const bool prefix, json_bool(json, "add_prefix_space", true));
  BANTAM_ASSIGN(const bool use_regex, json_bool(json, "use_regex", true));
  PreTokenizer split;
  if (use_regex) {
    BANTAM_ASSIGN(split, fixed_pattern(kGpt2Pattern, SplitBehavior::kIsolated, false));
  }
  return [prefix, split](PreTokens& text) -> Status {
    for (auto& word : text.words) {
      if (prefix && !word.starts_with(' ')) word.insert(0, " ");
    }
    if (split) BANTAM_TRY(split(text));
    for (auto& word : text.words) word = bytes_to_text(word);
    return {};
  };
}

Result<MetaspaceOptions> metaspace_options(const Json& json) {
  MetaspaceOptions options;
  BANTAM_ASSIGN(options.mark, json_string(json, "replacement", options.mark));
  BANTAM_ASSIGN(const bool add, json_bool(json, "add_prefix_space", true));
  BANTAM_ASSIGN(const std::string scheme, json_string(json, "prepend_scheme", add ? "always" : "never"));
  BANTAM_ASSIGN(options.split, json_bool(json, "split", true));
  using Prepend = MetaspaceOptions::Prepend;
  options.prepend = scheme == "first"   ? Prepend::kFirst
                    : scheme == "never" ? Prepend::kNever
                                        : Prepend::kAlways;
  if (options.mark.empty()) return wrong("replacement", "a character");
  return options;
}

Result<PreTokenizer> split_pre_tokenizer(const Json& json) {
  BANTAM_ASSIGN(auto splitter, pattern_of(json));
  BANTAM_ASSIGN(const SplitBehavior behavior, behavior_of(json, "Isolated"));
  BANTAM_ASSIGN(const bool invert, json_bool(json, "invert", false));
  return by_pattern(std::move(splitter), behavior, invert);
}

Result<PreTokenizer> pre_tokenizer(const Json& json, size_t depth) {
  if (json.is_null()) return PreTokenizer();
  BANTAM_ASSIGN(const std::string type, type_of(json, "pre_tokenizer"));
  if (type == "Sequence") {
    BANTAM_ASSIGN(auto list, sequence<PreTokenizer>(json, "pretokenizers", depth, pre_tokenizer));
    return [list = std::move(list)](PreTokens& text) -> Status {
      for (const auto& one : list) BANTAM_TRY(one(text));
      return {};
    };
  }
  if (type == "ByteLevel") return byte_level_stage(json);
  if (type == "Metaspace") {
    BANTAM_ASSIGN(const MetaspaceOptions options, metaspace_options(json));
    return [options](PreTokens& text) -> Status {
      metaspace(text, options);
      return {};
    };
  }
  if (type == "BertPreTokenizer")
    return each_word([](const std::string& word, std::vector<std::string>& out) -> Status {
      bert_split(word, out);
      return {};
    });
  if (type == "Whitespace")
    return fixed_pattern("[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]+|[^\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\s]+",
                         SplitBehavior::kRemoved, true);
  if (type == "WhitespaceSplit") return by_class(is_white_space, SplitBehavior::kRemoved);
  if (type == "Split") return split_pre_tokenizer(json);
  if (type == "Punctuation") {
    BANTAM_ASSIGN(const SplitBehavior behavior, behavior_of(json, "Isolated"));
    return by_class(is_punctuation, behavior);
  }
  if (type == "Digits") {
    BANTAM_ASSIGN(const bool individual, json_bool(json, "individual_digits", false));
    return by_class(is_number, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  }
  if (type == "CharDelimiterSplit") {
    BANTAM_ASSIGN(const std::string delimiter, json_string(json, "delimiter"));
    const uint32_t code = utf8_front(delimiter).code;
    return by_class([code](uint32_t c) { return c == code; }, SplitBehavior::kRemoved);
  }
  return fail(
      Code::kUnsupported,
      "pre_tokenizer: found the type \"{}\", expected ByteLevel, Metaspace, Split, Digits, Punctuation, "
      "BertPreTokenizer, Whitespace, WhitespaceSplit, CharDelimiterSplit or Sequence",
      type);
}

// ---- decoders ----

Decoder each_token(std::function<void(std::string&, bool first)> change) {
  return [change = std::move(change)](std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) change(tokens[i], i == 0);
  };
}

Result<Decoder> strip_decoder(const Json& json) {
  BANTAM_ASSIGN(const std::string content, json_string(json, "content", " "));
  BANTAM_ASSIGN(const int64_t start, json_int(json, "start", 0));
  BANTAM_ASSIGN(const int64_t stop, json_int(json, "stop", 0));
  if (content.empty()) return wrong("content", "a character");
  return each_token([content, start, stop](std::string& token, bool) {
    for (int64_t i = 0; i < start && token.starts_with(content); ++i) token.erase(0, content.size());
    for (int64_t i = 0; i < stop && token.ends_with(content); ++i) token.erase(token.size() - content.size());
  });
}

Result<Decoder> replace_decoder(const Json& json) {
  BANTAM_ASSIGN(const Normalizer change, replace_normalizer(json));
  return each_token([change](std::string& token, bool) { (void)change(token); });
}

Result<Decoder> word_piece_decoder(const Json& json) {
  BANTAM_ASSIGN(const std::string prefix, json_string(json, "prefix", "##"));
  BANTAM_ASSIGN(const bool cleanup, json_bool(json, "cleanup", true));
  return each_token([prefix, cleanup](std::string& token, bool first) {
    if (!first) {
      if (token.starts_with(prefix)) {
        token.erase(0, prefix.size());
      } else {
        token.insert(0, " ");
      }
    }
    if (cleanup) token = clean_up(token);
  });
}

Result<Decoder> ctc_decoder(const Json& json) {
  BANTAM_ASSIGN(const std::string pad, json_string(json, "pad_token", "<pad>"));
  BANTAM_ASSIGN(const std::string word, json_string(json, "word_delimiter_token", "|"));
  BANTAM_ASSIGN(const bool cleanup, json_bool(json, "cleanup", true));
  return [pad, word, cleanup](std::vector<std::string>& tokens) {
    std::vector<std::string> out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == pad || (i > 0 && tokens[i] == tokens[i - 1])) continue;
      out.push_back(cleanup ? replace_all(clean_up(tokens[i]), word, " ") : tokens[i]);
    }
    tokens = std::move(out);
  };
}

/// The bytes of all tokens that are written in GPT-2's characters; others as they are.
void byte_level_decode(std::vector<std::string>& tokens) {
  for (auto& token : tokens) {
    if (auto bytes = text_to_bytes(token)) token = std::move(*bytes);
  }
}

Result<Decoder> decoder(const Json& json, size_t depth) {
  if (json.is_null()) return Decoder();
  BANTAM_ASSIGN(const std::string type, type_of(json, "decoder"));
  if (type == "Sequence") {
    BANTAM_ASSIGN(auto list, sequence<Decoder>(json, "decoders", depth, decoder));
    return [list = std::move(list)](std::vector<std::string>& tokens) {
      for (const auto& one : list) one(tokens);
    };
  }
  if (type == "ByteLevel") return Decoder(byte_level_decode);
  if (type == "ByteFallback") return Decoder(byte_fallback);
  if (type == "Fuse")
    return [](std::vector<std::string>& tokens) {
      std::string all;
      for (const auto& token : tokens) all += token;
      tokens = {std::move(all)};
    };
  if (type == "Metaspace") {
    BANTAM_ASSIGN(const MetaspaceOptions options, metaspace_options(json));
    return each_token([options](std::string& token, bool first) {
      const bool drop =
          first && options.prepend != MetaspaceOptions::Prepend::kNever && token.starts_with(options.mark);
      token = replace_all(token, options.mark, " ");
      if (drop) token.erase(0, 1);
    });
  }
  if (type == "BPEDecoder") {
    BANTAM_ASSIGN(const std::string suffix, json_string(json, "suffix", "</w>"));
    return [suffix](std::vector<std::string>& tokens) {
      for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = replace_all(tokens[i], suffix, i + 1 < tokens.size() ? " " : "");
    };
  }
  if (type == "WordPiece") return word_piece_decoder(json);
  if (type == "Replace") return replace_decoder(json);
  if (type == "Strip") return strip_decoder(json);
  if (type == "CTC") return ctc_decoder(json);
  return fail(Code::kUnsupported, "decoder: found the type \"{}\", expected one of the tokenizers library's",
              type);
}

}  // namespace

Result<std::string> json_string(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return wrong(key, "a text");
  return found->get<std::string>();
}

Result<std::string> json_string(const Json& object, const char* key, std::string_view fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string(fallback);
  return json_string(object, key);
}

Result<bool> json_bool(const Json& object, const char* key, bool fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  if (!found->is_boolean()) return wrong(key, "true or false");
  return found->get<bool>();
}

Result<int64_t> json_int(const Json& object, const char* key, int64_t fallback) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  if (!found->is_number_integer() || (found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX))
    return wrong(key, "an integer below 2^63");
  return found->get<int64_t>();
}

Result<Normalizer> normalizer_from_json(const Json& json) { return normalizer(json, 0); }
Result<PreTokenizer> pre_tokenizer_from_json(const Json& json) { return pre_tokenizer(json, 0); }
Result<Decoder> decoder_from_json(const Json& json) { return decoder(json, 0); }

}  // namespace bantam::text
