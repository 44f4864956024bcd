#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace bantam::runtime {

/// Passes on a stream of pieces as whole UTF-8 text, holding back what may be the beginning of a stop string,
/// and ends at the first stop string. All that is passed on is also appended to `text`.
class StopFilter {
 public:
  enum class Step { kGo, kStopped, kRefused };  // kRefused: the sink returned false

  /// Borrows all three; empty stop strings are ignored.
  StopFilter(const std::vector<std::string>& stops, const std::function<bool(std::string_view)>& sink,
             std::string& text)
      : stops_(stops), sink_(sink), text_(text) {}

  Step push(std::string_view piece);
  /// Passes on what is held.
  Step finish();

 private:
  Step take(bool last);
  bool release(size_t bytes);

  const std::vector<std::string>& stops_;
  const std::function<bool(std::string_view)>& sink_;
  std::string& text_;
  text::Utf8Stream utf8_;
  std::string held_;
};

}  // namespace bantam::runtime
