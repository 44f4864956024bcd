#include "formats/documents.h"

#include <lzma.h>

#include <algorithm>
#include <optional>
#include <span>

#include "base/file.h"
#include "base/utf8.h"

namespace bantam::formats {
namespace {

constexpr std::string_view kSeparator = "<|endoftext|>";
constexpr size_t kLongest = size_t{1} << 30;
constexpr uint64_t kDecoderMemory = uint64_t{256} << 20;
constexpr size_t kPiece = size_t{1} << 20;  // bytes handed on at a time

std::string_view reason(lzma_ret code) {
  switch (code) {
    case LZMA_FORMAT_ERROR:
      return "not in the xz format";
    case LZMA_DATA_ERROR:
      return "damaged xz data";
    case LZMA_BUF_ERROR:
      return "the xz data end too early";
    case LZMA_MEMLIMIT_ERROR:
      return "decompressing needs more than 256 MB";
    case LZMA_MEM_ERROR:
      return "no memory to decompress";
    default:
      return "xz data this program cannot read";
  }
}

/// Decompressed bytes of an .xz file.
class XzStream {
 public:
  XzStream() = default;
  XzStream(const XzStream&) = delete;
  XzStream& operator=(const XzStream&) = delete;
  ~XzStream() { lzma_end(&stream_); }

  lzma_ret start(std::span<const std::byte> bytes) {
    stream_.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
    return lzma_stream_decoder(&stream_, kDecoderMemory, LZMA_CONCATENATED);
  }
  /// Appends up to kPiece bytes; LZMA_STREAM_END after the last.
  lzma_ret read(std::string& out) {
    const size_t before = out.size();
    out.resize(before + kPiece);
    stream_.next_out = reinterpret_cast<uint8_t*>(out.data() + before);
    stream_.avail_out = kPiece;
    const lzma_ret code = lzma_code(&stream_, LZMA_FINISH);
    out.resize(out.size() - stream_.avail_out);
    return code;
  }
  size_t left() const { return stream_.avail_in; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

struct DocumentReader::State {
  explicit State(MappedFile mapped) : file(std::move(mapped)) {}

  MappedFile file;
  std::optional<XzStream> xz;
  size_t plain_at = 0;    // of an uncompressed file
  std::string held;       // read, not yet given out
  size_t searched = 0;    // held has no separator that begins before here
  bool ended = false;     // nothing more to read
  bool lines = false;     // a document ends with its line
  uint64_t document = 1;  // the number of the next one, from 1

  /// Reads on; false at the end.
  Result<bool> read() {
    if (ended) return false;
    if (!xz) {
      const auto bytes = file.bytes();
      const size_t count = std::min(kPiece, bytes.size() - plain_at);
      held.append(reinterpret_cast<const char*>(bytes.data()) + plain_at, count);
      plain_at += count;
      ended = plain_at == bytes.size();
      return count > 0;
    }
    const lzma_ret code = xz->read(held);
    ended = code == LZMA_STREAM_END;
    if (code != LZMA_OK && !ended)
      return fail(Code::kCorrupt, "{}: document {}: {}", file.path(), document, reason(code));
    return true;
  }

  /// The separator's place at the beginning of a line, or npos when it is not in what is held.
  size_t find_separator() {
    if (lines) {
      const size_t at = held.find('\n', searched);
      searched = held.size();
      return at;
    }
    for (size_t at = searched;; ++at) {
      at = held.find(kSeparator, at);
      if (at == std::string::npos) {
        searched = held.size() - std::min(held.size(), kSeparator.size());
        return at;
      }
      const size_t end = at + kSeparator.size();
      const bool line_starts = at == 0 || held[at - 1] == '\n';
      if (!line_starts) continue;
      if (end < held.size() ? held[end] == '\n' : ended) return at;
      if (end == held.size()) {  // the line's end is still to come
        searched = at;
        return std::string::npos;
      }
    }
  }
};

bool is_json_lines(std::string_view path) {
  if (path.ends_with(".xz")) path.remove_suffix(3);
  return path.ends_with(".jsonl");
}

DocumentReader::DocumentReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
DocumentReader::DocumentReader(DocumentReader&&) noexcept = default;
DocumentReader& DocumentReader::operator=(DocumentReader&&) noexcept = default;
DocumentReader::~DocumentReader() = default;

Result<DocumentReader> DocumentReader::open(const std::string& path) {
  BANTAM_ASSIGN(auto file, MappedFile::open(path));
  auto state = std::make_unique<State>(std::move(file));
  state->lines = is_json_lines(path);
  if (path.ends_with(".xz")) {
    state->xz.emplace();
    if (const lzma_ret code = state->xz->start(state->file.bytes()); code != LZMA_OK)
      return fail(Code::kCorrupt, "{}: {}", path, reason(code));
  }
  return DocumentReader(std::move(state));
}

Result<bool> DocumentReader::next(std::string& document) {
  State& s = *state_;
  for (;;) {
    size_t end = s.find_separator();
    while (end == std::string::npos) {
      if (s.held.size() > kLongest)
        return fail(Code::kLimit, "{}: document {} is longer than {} bytes", s.file.path(), s.document,
                    kLongest);
      BANTAM_ASSIGN(const bool more, s.read());
      end = s.find_separator();
      if (!more) break;
    }
    const bool last = end == std::string::npos;
    if (last) end = s.held.size();
    // A separator stands on a line of its own: the line break before it is not the document's.
    document.assign(s.held, 0, end > 0 && !last && !s.lines ? end - 1 : end);
    if (document.ends_with('\n') && last) document.pop_back();
    if (s.lines && document.ends_with('\r')) document.pop_back();
    const size_t separator = s.lines ? 1 : kSeparator.size() + 1;
    s.held.erase(0, last ? end : std::min(s.held.size(), end + separator));
    s.searched = 0;
    if (const size_t broken = find_broken_utf8(document); broken != std::string::npos) {
      return fail(Code::kCorrupt, "{}: document {}, byte {}: found 0x{:02x}, expected UTF-8", s.file.path(),
                  s.document, broken + 1, static_cast<unsigned char>(document[broken]));
    }
    ++s.document;
    if (!document.empty()) return true;
    if (last) return false;
  }
}

double DocumentReader::position() const {
  const auto size = static_cast<double>(state_->file.bytes().size());
  if (size == 0) return 1;
  return state_->xz ? 1.0 - static_cast<double>(state_->xz->left()) / size
                    : static_cast<double>(state_->plain_at) / size;
}

}  // namespace bantam::formats
