#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bantam::collab {

/// A prompt with places for texts: "Question: {question}". "{{" and "}}" stand for braces. What is put in is
/// never read as a template itself.
class PromptTemplate {
 public:
  /// Errors: kInvalidArgument for a place of another name than those `known`, for one of the `required` that
  /// is missing, and for a brace that is neither.
  static Result<PromptTemplate> parse(std::string_view text, std::span<const std::string_view> known,
                                      std::span<const std::string_view> required);

  /// Every place of the template has to be among `values`; one that is not stays empty.
  std::string fill(std::initializer_list<std::pair<std::string_view, std::string_view>> values) const;
  bool has(std::string_view place) const;

 private:
  struct Part {
    bool place = false;
    std::string text;  // the place's name, or what stands there as it is
  };
  std::vector<Part> parts_;
};

}  // namespace bantam::collab
