#pragma once
// Collections of text documents for pretraining: UTF-8 text in which a line holding only "<|endoftext|>" ends
// a document, or JSON lines, a document each; plain or compressed by xz.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bantam::formats {

/// True for a name that ends in ".jsonl" or ".jsonl.xz".
bool is_json_lines(std::string_view path);

/// Reads a collection from its beginning, one document at a time; memory stays within the longest document.
class DocumentReader {
 public:
  /// A file whose name ends in ".xz" is decompressed (at most 256 MB for the decompressor); one whose name
  /// (without that) ends in ".jsonl" has a document on each line. Errors: kNotFound, kIo.
  static Result<DocumentReader> open(const std::string& path);
  DocumentReader(DocumentReader&&) noexcept;
  DocumentReader& operator=(DocumentReader&&) noexcept;
  ~DocumentReader();

  /// The next document without its closing line and the line break before it; false after the last. Empty
  /// ones are passed over; what follows the last separator is a document too. Errors: kCorrupt with the
  /// document's number for broken UTF-8 or broken xz data, kLimit for a document above 1 GiB.
  Result<bool> next(std::string& document);

  /// Share of the file read so far, 0 to 1, for progress.
  double position() const;

 private:
  struct State;
  explicit DocumentReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bantam::formats
