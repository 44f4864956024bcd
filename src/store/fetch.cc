#include "store/fetch.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/usage.h"
#include "store/partial.h"
#include "store/registry.h"
#include "store/store.h"
#include "store/walk.h"

namespace bantam::store {
namespace {

using Json = nlohmann::json;
using net::Awaitable;
constexpr uint64_t kReserve = uint64_t{16} << 20;  // that is left free on the disk
constexpr double kProgressSeconds = 0.1;
constexpr std::string_view kMagic = "GGUF";
constexpr const char* kServer = "the server";

std::optional<uint64_t> number(std::string_view text) {
  uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// "bytes 100-199/200" or "bytes */200" (RFC 9110, section 14.4).
struct ContentRange {
  std::optional<uint64_t> first, last, total;
};
ContentRange content_range(std::string_view text) {
  ContentRange out;
  if (!text.starts_with("bytes ")) return out;
  text.remove_prefix(6);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return out;
  out.total = number(text.substr(slash + 1));
  const std::string_view range = text.substr(0, slash);
  if (const size_t dash = range.find('-'); dash != std::string_view::npos) {
    out.first = number(range.substr(0, dash));
    out.last = number(range.substr(dash + 1));
  }
  return out;
}

/// The SHA-256 of a Repr-Digest field (RFC 9530), or empty.
std::string digest_of(std::string_view field) {
  constexpr std::string_view kName = "sha-256=:";
  constexpr size_t kDigits = 44, kBytes = 32;
  const size_t at = field.find(kName);
  if (at == std::string_view::npos) return {};
  field.remove_prefix(at + kName.size());
  if (field.size() <= kDigits || field[kDigits] != ':') return {};
  unsigned char bytes[kDigits] = {};
  if (EVP_DecodeBlock(bytes, reinterpret_cast<const unsigned char*>(field.data()), kDigits) < 0) return {};
  std::string out;
  for (size_t i = 0; i < kBytes; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

/// What If-Range may hold: a strong ETag, else a date.
std::string validator_of(const net::Headers& headers) {
  const std::string_view tag = headers.get("etag").value_or("");
  if (tag.size() >= 2 && tag.front() == '"') return std::string(tag);
  return std::string(headers.get("last-modified").value_or(""));
}

/// Tells one query from another without keeping it: signed URLs have their signature there.
std::string query_mark(const net::Url& url) {
  const size_t at = url.target.find('?');
  return at == std::string::npos ? "" : sha256_hex(std::string_view(url.target).substr(at)).substr(0, 16);
}

class Fetcher {
 public:
  Fetcher(net::HttpClient& client, const FileSource& source, const std::string& file,
          const FetchOptions& options)
      : client_(client),
        source_(source),
        file_(file),
        options_(options),
        hash_(source.sha256),
        hash_from_(source.hash_from) {}

  Awaitable<Result<FetchedFile>> run();

 private:
  Result<bool> is_there();
  Status begin();
  Awaitable<Outcome> attempt();
  Status on_head(const net::ClientResponse& head);
  Status take_whole(const net::ClientResponse& head);
  Status take_range(const net::ClientResponse& head);
  Status begin_body(const net::ClientResponse& head, std::optional<uint64_t> total);
  void hear(const net::Headers& headers);
  bool expect_offered(bool anew);
  Status take(std::string_view piece);
  Status complete();
  Result<bool> verify();
  Result<bool> take_unchanged();
  FetchedFile finished();
  void report(bool now);
  void note(const std::string& text) const {
    if (options_.note) options_.note(text);
  }
  std::string who() const { return std::filesystem::path(file_).filename().string(); }

  net::HttpClient& client_;
  const FileSource& source_;
  const std::string& file_;
  const FetchOptions& options_;
  std::unique_ptr<Partial> partial_;
  std::string hash_, hash_from_;              // that the file must have
  std::string offered_;                       // the hash that this attempt's answers name
  std::string known_validator_, known_hash_;  // of the file that is there
  std::string head_;                          // the first bytes, until the format is known
  std::optional<uint64_t> total_;
  std::optional<Error> broken_;  // why a body was not taken to its end
  uint64_t first_byte_ = 0, received_ = 0;
  unsigned restarts_ = 0;
  bool restart_ = false, whole_ = false, unchanged_ = false;
  double started_ = wall_seconds(), reported_ = 0;
  FetchReport report_;
};

/// Whether the file is there already, as far as it can be told without asking. What the note beside it says is
/// not believed before the file has been read.
Result<bool> Fetcher::is_there() {
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) return false;
  const auto size = static_cast<uint64_t>(info.st_size);
  const auto text = read_file(source_path(file_), 1 << 20);
  const Json json = Json::parse(text ? *text : "", nullptr, false);
  const auto string = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                                           : std::string();
  };
  // Without a hash that it must have, a server can be asked whether it still is what it was.
  const bool askable = hash_.empty() && string("url") == shown(source_.url) &&
                       string("query") == query_mark(source_.url) && string("validator").starts_with('"');
  if (source_.bytes && *source_.bytes != size) return false;
  if (hash_.empty() && !askable) return false;
  BANTAM_ASSIGN(const auto map, MappedFile::open(file_));
  const std::string hash = sha256_hex(map.bytes());
  if (hash_.empty()) {
    if (hash != string("sha256")) return false;  // it was changed since
    known_validator_ = string("validator");
    known_hash_ = hash;
    return false;
  }
  report_ = {.bytes = size, .resumed_at = 0, .sha256 = hash, .verified_by = hash_from_, .unchanged = true};
  return hash == hash_;
}

Status Fetcher::begin() {
  BANTAM_ASSIGN(partial_, Partial::open(file_));
  const PartialState& state = partial_->state();
  const bool other = state.url != shown(source_.url) || state.query != query_mark(source_.url) ||
                     (!hash_.empty() && !state.sha256.empty() && state.sha256 != hash_) ||
                     (source_.bytes && state.bytes != 0 && state.bytes != *source_.bytes);
  // A hash tells one file from another better than the URL that it was asked for by.
  const bool same_hash = !hash_.empty() && state.sha256 == hash_;
  if (partial_->size() > 0 && other && !same_hash) {
    note(fmt::format("{}: what was fetched of it belongs to another file; it begins anew", who()));
    BANTAM_TRY(partial_->restart());
  }
  total_ = source_.bytes;
  report_.resumed_at = partial_->size();
  if (total_ && partial_->size() > *total_) BANTAM_TRY(partial_->restart());
  whole_ = total_ && partial_->size() == *total_;
  if (hash_.empty() && partial_->size() > 0 && partial_->state().hash_from == kServer) {
    hash_ = partial_->state().sha256;
    hash_from_ = kServer;
  }
  return {};
}

/// Takes the hash of the file out of an answer, or of a redirect to it.
void Fetcher::hear(const net::Headers& headers) {
  const auto use = [&](std::string hash) {
    if (offered_.empty()) offered_ = std::move(hash);
  };
  use(as_sha256(headers.get("x-linked-etag").value_or("")));
  use(digest_of(headers.get("repr-digest").value_or("")));
  if (source_.etag_is_hash) use(as_sha256(headers.get("etag").value_or("")));
}

/// Makes the server's hash the one that the file must have, where nobody else gives one. `anew`: the body is
/// the whole file, and what was said of what came before does not bind it. False: the body is to go on a
/// beginning of another hash.
bool Fetcher::expect_offered(bool anew) {
  if (!source_.sha256.empty()) return true;
  if (!anew && !hash_.empty()) return offered_.empty() || offered_ == hash_;
  hash_ = offered_;
  hash_from_ = offered_.empty() ? "" : kServer;
  return true;
}

/// Looks at sizes before anything is written.
Status Fetcher::begin_body(const net::ClientResponse& head, std::optional<uint64_t> total) {
  if (total && source_.bytes && *total != *source_.bytes) {
    return fail(Code::kCorrupt, "{}: found {} bytes at the server, expected the {} of the listing", who(),
                *total, *source_.bytes);
  }
  if (total) total_ = total;
  if (total_.value_or(0) > options_.max_bytes) {
    return fail(Code::kLimit, "{}: found {} bytes, expected at most {} (--max-size)", who(), *total_,
                options_.max_bytes);
  }
  const auto space = free_bytes(file_);
  const uint64_t missing = total_.value_or(partial_->size()) - partial_->size();
  if (space && missing > 0 && missing + kReserve > *space) {
    return fail(Code::kNoSpace, "{}: found {} bytes free on the disk, expected {} for what is missing", who(),
                *space, missing + kReserve);
  }
  PartialState state = partial_->state();
  state.url = shown(source_.url);
  state.query = query_mark(source_.url);
  state.validator = validator_of(head.headers);
  state.sha256 = hash_;
  state.hash_from = hash_from_;
  state.bytes = total_.value_or(0);
  return partial_->set_state(std::move(state));
}

Status Fetcher::take_whole(const net::ClientResponse& head) {
  if (partial_->size() > 0) {
    note(fmt::format("{}: the server sends the whole file again", who()));
    BANTAM_TRY(partial_->restart());
    report_.resumed_at = 0;
  }
  hear(head.headers);
  expect_offered(/*anew=*/true);
  const auto length = head.headers.get("content-length");
  total_ = source_.bytes;
  return begin_body(head, length ? number(*length) : std::nullopt);
}

Status Fetcher::take_range(const net::ClientResponse& head) {
  const ContentRange range = content_range(head.headers.get("content-range").value_or(""));
  const std::string& known = partial_->state().validator;
  const std::string now = validator_of(head.headers);
  hear(head.headers);
  const bool changed = (!known.empty() && !now.empty() && known != now) ||
                       (range.total && total_ && *range.total != *total_) ||
                       !expect_offered(/*anew=*/false);
  if (range.first != partial_->size() || changed) {
    restart_ = true;
    return fail(Code::kUnavailable,
                "{}: the server's file has changed, or it sent another part than asked for", who());
  }
  const auto length = head.headers.get("content-length");
  if (range.last && length && number(*length) != *range.last - *range.first + 1) {
    return fail(Code::kUnavailable, "{}: found a content-length of {} for bytes {} to {}", who(),
                std::string(*length), *range.first, *range.last);
  }
  return begin_body(head, range.total);
}

Status Fetcher::on_head(const net::ClientResponse& head) {
  if (head.status == 200) return take_whole(head);
  if (head.status == 206 && partial_->size() > 0) return take_range(head);
  if (head.status / 100 == 2)
    return fail(Code::kUnavailable, "{}: found status {}, expected 200", who(), head.status);
  return {};
}

Status Fetcher::take(std::string_view piece) {
  const uint64_t most = total_.value_or(options_.max_bytes);
  if (partial_->size() + piece.size() > most) {
    return fail(total_ ? Code::kCorrupt : Code::kLimit, "{}: found more than {} bytes, expected no more",
                who(), most);
  }
  if (partial_->size() < kMagic.size()) {
    head_.append(piece.substr(0, kMagic.size() - head_.size()));
    if (kMagic.substr(0, head_.size()) != head_)
      return fail(Code::kCorrupt, "{}: found no GGUF file, expected one", who());
  }
  received_ += piece.size();
  return partial_->append(piece);
}

void Fetcher::report(bool now) {
  const double time = wall_seconds();
  if (!options_.progress || (!now && time - reported_ < kProgressSeconds)) return;
  reported_ = time;
  const double rate = static_cast<double>(received_) / std::max(time - started_, 1e-3);
  options_.progress({.step = who() + ", kB",
                     .done = partial_->size() / 1000,
                     .total = total_.value_or(0) / 1000,
                     .note = received_ > 0 ? fmt::format("{:.1f} MB/s", rate / 1e6) : ""});
}

Awaitable<Outcome> Fetcher::attempt() {
  // So little tells no format, and is not worth a range.
  if (Status anew = partial_->size() < kMagic.size() ? partial_->restart() : Status{}; !anew)
    co_return judge(std::move(anew).error(), {});
  const uint64_t before = partial_->size();
  Walk what;
  what.url = source_.url;
  what.max_body_bytes = options_.max_bytes;
  if (before > 0) {
    what.headers.set("range", fmt::format("bytes={}-", before));
    const std::string& validator = partial_->state().validator;
    if (!validator.empty()) what.headers.set("if-range", validator);
  } else if (!known_validator_.empty() && known_validator_.starts_with('"')) {
    what.headers.set("if-none-match", known_validator_);
  }
  restart_ = false;
  broken_.reset();
  head_.clear();
  offered_.clear();
  what.on_redirect = [&](const net::ClientResponse& response) { hear(response.headers); };
  what.on_head = [&](const net::ClientResponse& head) { return on_head(head); };
  what.on_body = [&](std::string_view piece) -> Awaitable<bool> {
    Status taken = take(piece);
    if (!taken) broken_ = std::move(taken).error();
    report(false);
    co_return !broken_;
  };
  net::CallTrace trace;
  auto response = co_await walk(client_, what, options_, trace);
  if (broken_) co_return judge(std::move(*broken_), trace);
  Outcome out;
  if (restart_ || (response && response->status == 416)) {
    // Nothing lies beyond the end of a file that is whole.
    const auto range =
        response ? content_range(response->headers.get("content-range").value_or("")) : ContentRange{};
    whole_ = response && range.total == partial_->size() && (!total_ || *total_ == *range.total) &&
             expect_offered(/*anew=*/false);
    if (whole_) co_return out;
    out.again = restarts_++ < 2;
    out.status =
        fail(Code::kUnavailable, "{}: the server's file has changed since a part was fetched", who());
    out.pause = std::chrono::milliseconds(0);
    report_.resumed_at = 0;
    if (auto anew = partial_->restart(); !anew) out = judge(std::move(anew).error(), trace);
    co_return out;
  }
  if (!response) {
    out = judge(std::move(response).error(), trace);
  } else if (response->status == 304 && before == 0 && !known_validator_.empty()) {
    hear(response->headers);
    unchanged_ = true;
  } else if (response->status / 100 != 2) {
    out = judge(*response, source_.url, options_);
  } else {
    out.status = complete();
    out.again = true;
  }
  out.progress = partial_->size() > before;
  co_return out;
}

/// After an answer that ended as it should: whether all is there.
Status Fetcher::complete() {
  if (!total_) total_ = partial_->size();
  whole_ = partial_->size() == *total_ && *total_ > 0;
  if (whole_) return {};
  return fail(Code::kUnavailable, "{}: the answer ended after {} of {} bytes", who(), partial_->size(),
              *total_);
}

/// False: it was not the file, and a second try from its beginning makes sense.
Result<bool> Fetcher::verify() {
  report_.sha256 = partial_->sha256();
  report_.bytes = partial_->size();
  if (hash_.empty() || report_.sha256 == hash_) {
    report_.verified_by = hash_.empty() ? "" : hash_from_;
    return true;
  }
  if (report_.resumed_at > 0) {
    note(fmt::format(
        "{}: the hash is not as promised; as a part of it is from an earlier pull, it begins anew", who()));
    report_.resumed_at = 0;
    whole_ = false;
    BANTAM_TRY(partial_->restart());
    return false;
  }
  partial_->discard();
  return fail(Code::kCorrupt, "{}: found SHA-256 {}, expected {} (by {}); what was fetched is removed", who(),
              report_.sha256, hash_, hash_from_);
}

/// After the server said that the file is what it was. False: it names another hash all the same, so that it
/// is to be fetched.
Result<bool> Fetcher::take_unchanged() {
  unchanged_ = false;
  known_validator_.clear();
  if (!offered_.empty() && offered_ != known_hash_) return false;
  std::error_code error;
  report_ = {.bytes = std::filesystem::file_size(file_, error),
             .resumed_at = 0,
             .sha256 = known_hash_,
             .verified_by = offered_.empty() ? "" : kServer,
             .unchanged = true};
  if (error) return fail_errno(file_, error.value());
  partial_->discard();
  partial_.reset();
  return true;
}

/// The end of a run, with the note that is kept beside the file.
FetchedFile Fetcher::finished() {
  if (report_.unchanged) return {report_, file_, nullptr, ""};
  const Json source{{"url", shown(source_.url)},
                    {"query", query_mark(source_.url)},
                    {"bytes", report_.bytes},
                    {"sha256", report_.sha256},
                    {"validator", partial_->state().validator},
                    {"verified_by", report_.verified_by}};
  return {report_, file_, std::move(partial_),
          source.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

Awaitable<Result<FetchedFile>> Fetcher::run() {
  auto there = is_there();
  if (!there) co_return std::unexpected(std::move(there).error());
  if (*there) co_return finished();
  report_ = {};
  if (auto begun = begin(); !begun) co_return std::unexpected(std::move(begun).error());
  while (true) {
    report(true);
    if (!whole_) {
      const std::function<Awaitable<Outcome>()> once = [this] { return attempt(); };
      Status done = co_await try_again(once, options_);
      if (!done) {
        if (done.error().code == Code::kCorrupt || partial_->size() == 0) partial_->discard();
        co_return std::unexpected(std::move(done).error());
      }
    }
    if (!unchanged_) report(true);
    auto good = unchanged_ ? take_unchanged() : verify();
    if (!good) co_return std::unexpected(std::move(good).error());
    if (*good) co_return finished();
  }
}

}  // namespace

Awaitable<Result<FetchedFile>> fetch_file(net::HttpClient& client, const FileSource& source,
                                          const std::string& file, const FetchOptions& options) {
  Fetcher fetcher(client, source, file, options);
  auto out = co_await fetcher.run();
  co_return std::move(out);
}

Awaitable<Result<std::string>> fetch_text(net::HttpClient& client, const net::Url& url,
                                          const FetchOptions& options) {
  std::string text;
  Walk what;
  what.url = url;
  const std::function<Awaitable<Outcome>()> once = [&]() -> Awaitable<Outcome> {
    net::CallTrace trace;
    auto response = co_await walk(client, what, options, trace);
    Outcome out;
    if (!response) {
      out = judge(std::move(response).error(), trace);
    } else if (response->status != 200) {
      out = judge(*response, url, options);
    } else {
      text = std::move(response->body);
    }
    co_return out;
  };
  Status done = co_await try_again(once, options);
  if (!done) co_return std::unexpected(std::move(done).error());
  co_return text;
}

}  // namespace bantam::store
