#pragma once
// The n-grams that a bag-of-n-grams classifier counts, defined as in scikit-learn's text vectorizers so that
// figures compare.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bantam::text {

/// Text in lower case (simple case mapping of Unicode) with the place of each code point. A broken UTF-8 byte
/// becomes U+FFFD.
class LowerText {
 public:
  explicit LowerText(std::string_view text);

  using Sink = std::function<void(std::string_view ngram)>;
  /// Words are runs of at least two letters, digits or underscores; their n-grams are joined by one space.
  /// min >= 1.
  void word_ngrams(int min, int max, const Sink& sink) const;
  /// n-grams of code points within each white-space separated word with a space added at both ends; of a word
  /// shorter than n only the whole word, once ("char_wb").
  void char_ngrams(int min, int max, const Sink& sink) const;

 private:
  enum class Kind : unsigned char { kSpace, kWord, kOther };
  struct Point {
    size_t offset;  // of its first byte in text_
    Kind kind;
  };
  std::string_view slice(size_t first, size_t last) const;  // code points [first, last)

  std::string text_;
  std::vector<Point> points_;  // one more at the end, for its offset
};

}  // namespace bantam::text
