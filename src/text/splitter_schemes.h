#pragma once
// The patterns behind the names of tokenizer.ggml.pre.

#include <span>
#include <string_view>
#include <vector>

namespace bantam::text {

/// GPT-2's own.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct SplitScheme {
  std::vector<std::string_view> names;     // the first is the usual one
  std::vector<std::string_view> patterns;  // as published: \s and \S are Unicode's White_Space
  bool whole_words_first = false;  // a word that is a token is that token, merges or not (ignore_merges)
  bool add_bos = false;            // where the file says nothing
};

/// The scheme of that name, or nullptr. Source: the models' tokenizer.json, and llama.cpp's llama-vocab.cpp
/// where it differs from them, as files made for it are to give its ids.
const SplitScheme* find_split_scheme(std::string_view name);
std::span<const SplitScheme> split_schemes();

}  // namespace bantam::text
