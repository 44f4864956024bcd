#include <algorithm>

#include "base/utf8.h"
#include "formats/labelled.h"

namespace bantam::formats {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view source) : text_(text), source_(source) {}

  bool done() const { return at_ >= text_.size(); }
  size_t line() const { return line_; }

  /// The fields up to the next line end outside quotes.
  Result<std::vector<std::string>> row() {
    std::vector<std::string> out;
    while (true) {
      BANTAM_ASSIGN(auto field, peek() == '"' ? quoted() : plain());
      out.push_back(std::move(field));
      if (done() || skip_line_end()) return out;
      ++at_;  // the comma
    }
  }

 private:
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool at_line_end() const {
    return peek() == '\n' || (peek() == '\r' && text_.substr(at_ + 1).starts_with('\n'));
  }
  bool skip_line_end() {
    if (!at_line_end()) return false;
    at_ += peek() == '\r' ? 2 : 1;
    ++line_;
    return true;
  }

  Result<std::string> plain() {
    size_t begin = at_;
    while (!done() && peek() != ',' && !at_line_end()) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<std::string> quoted() {
    const size_t opened = line_;
    std::string out;
    ++at_;
    while (true) {
      size_t end = text_.find('"', at_);
      if (end == std::string_view::npos) {
        return fail(Code::kCorrupt,
                    "{}: line {}: found no end of the quoted field that begins here, expected a quote",
                    source_, opened);
      }
      std::string_view part = text_.substr(at_, end - at_);
      line_ += std::ranges::count(part, '\n');
      out += part;
      at_ = end + 1;
      if (peek() != '"') break;
      out += '"';
      ++at_;
    }
    if (!done() && peek() != ',' && !at_line_end()) {
      return fail(Code::kCorrupt,
                  "{}: line {}: found text after a closing quote, expected a comma or the line's end",
                  source_, line_);
    }
    return out;
  }

  std::string_view text_, source_;
  size_t at_ = 0, line_ = 1;
};

}  // namespace

Result<CsvTable> parse_csv(std::string_view text, std::string_view source) {
  size_t broken = std::min(find_broken_utf8(text), text.find('\0'));
  if (broken != std::string_view::npos) {
    return fail(Code::kCorrupt, "{}: line {}: found byte {:#04x} at offset {}, expected UTF-8 text", source,
                1 + std::ranges::count(text.substr(0, broken), '\n'),
                static_cast<unsigned char>(text[broken]), broken);
  }
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  CsvReader in(text, source);
  if (in.done())
    return fail(Code::kInvalidArgument, "{}: found an empty file, expected a header and rows", source);
  CsvTable out;
  BANTAM_ASSIGN(out.header, in.row());
  while (!in.done()) {
    size_t line = in.line();
    BANTAM_ASSIGN(auto row, in.row());
    if (row.size() == 1 && row[0].empty() && out.header.size() > 1) continue;
    if (row.size() != out.header.size()) {
      return fail(Code::kCorrupt, "{}: line {}: found {} fields, expected {} as in the header", source, line,
                  row.size(), out.header.size());
    }
    out.rows.push_back(std::move(row));
    out.lines.push_back(line);
  }
  if (out.rows.empty())
    return fail(Code::kInvalidArgument, "{}: found a header and no rows, expected rows", source);
  return out;
}

}  // namespace bantam::formats
