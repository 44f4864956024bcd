#include "train/token_store.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "base/hash.h"
#include "base/rng.h"
#include "formats/documents.h"
#include "train/chat_form.h"

namespace bantam::train {
namespace {

using formats::DocumentReader;

constexpr size_t kAtOnce = size_t{8} << 20;  // bytes of text that the threads share out at a time

Result<std::string> fingerprint_of(const PretrainData& data, const text::BpeTokenizer& tokenizer) {
  BANTAM_ASSIGN(std::string all, print_of_files(data));
  for (size_t id = 0; id < tokenizer.vocab_size(); ++id)
    all += tokenizer.piece(static_cast<text::TokenId>(id), true) + '\n';
  return sha256_hex(all);
}

class StoreMaker {
 public:
  StoreMaker(const text::BpeTokenizer& tokenizer, const ProgressSink& progress, std::stop_token cancel)
      : tokenizer_(tokenizer), progress_(progress), cancel_(std::move(cancel)) {
    starts_.push_back(0);
  }

  Status read(const PretrainData& data) {
    for (uint32_t part = 0; part < data.parts.size(); ++part) {
      const std::string& file = data.parts[part].file;
      BANTAM_ASSIGN(auto reader, DocumentReader::open(file));
      conversations_ = formats::is_json_lines(file);
      uint64_t count = 0;
      size_t held_bytes = 0;
      for (std::string text;;) {
        BANTAM_ASSIGN(const bool more, reader.next(text));
        if (more) {
          parts_.push_back(part);
          held_.push_back(is_held_back(count++, data.held_back_one_in) ? 1 : 0);
          held_bytes += text.size();
          waiting_.push_back(std::move(text));
        }
        if (held_bytes > kAtOnce || !more) {
          held_bytes = 0;
          BANTAM_TRY(encode_waiting(file, count - waiting_.size()));
          if (progress_) {
            const double share = (part + reader.position()) / static_cast<double>(data.parts.size());
            progress_({"tokens", static_cast<uint64_t>(share * 1000), 1000,
                       fmt::format("{} documents", parts_.size())});
          }
          if (cancel_.stop_requested()) return fail(Code::kCancelled, "stopped while making tokens");
        }
        if (!more) break;
      }
      if (count < 1 + (data.held_back_one_in == 1 ? 1 : 0))
        return fail(Code::kInvalidArgument, "{}: found no document to train on", file);
    }
    return {};
  }

  Status write(const std::string& path, const std::string& fingerprint) const {
    return formats::write_safetensors(path,
                                      {{"starts", "U64", {starts_.size()}, std::as_bytes(std::span(starts_))},
                                       {"parts", "U32", {parts_.size()}, std::as_bytes(std::span(parts_))},
                                       {"tokens", "U16", {tokens_.size()}, std::as_bytes(std::span(tokens_))},
                                       {"held", "U8", {held_.size()}, std::as_bytes(std::span(held_))}},
                                      {{"fingerprint", fingerprint}});
  }

 private:
  Result<std::vector<text::TokenId>> encode(const std::string& text) const {
    if (conversations_) return encode_conversation(text, tokenizer_);
    return tokenizer_.encode(text, {.add_special = false, .parse_special = false});
  }

  /// `first`: which of the file's documents the first waiting one is, from 0.
  Status encode_waiting(const std::string& file, uint64_t first) {
    std::vector<Result<std::vector<text::TokenId>>> encoded(waiting_.size());
    {
      std::vector<std::jthread> threads;
      const size_t count = std::max(1U, std::thread::hardware_concurrency());
      std::atomic<size_t> next{0};
      for (size_t t = 0; t < count; ++t) {
        threads.emplace_back([&] {
          for (size_t i; (i = next++) < waiting_.size();) encoded[i] = encode(waiting_[i]);
        });
      }
    }
    for (auto& ids : encoded) {
      ++first;
      if (!ids)
        return std::unexpected(std::move(ids).error().in(fmt::format("{}: document {}", file, first)));
      tokens_.insert(tokens_.end(), ids->begin(), ids->end());
      starts_.push_back(tokens_.size());
    }
    waiting_.clear();
    return {};
  }

  const text::BpeTokenizer& tokenizer_;
  const ProgressSink& progress_;
  std::stop_token cancel_;
  bool conversations_ = false;  // the part is JSON lines
  std::vector<std::string> waiting_;
  std::vector<uint16_t> tokens_;
  std::vector<uint64_t> starts_;
  std::vector<uint32_t> parts_;
  std::vector<uint8_t> held_;
};

}  // namespace

Result<std::string> print_of_files(const PretrainData& data) {
  std::string all = fmt::format("texts 1 held_back {}\n", data.held_back_one_in);
  for (const auto& part : data.parts) {
    std::error_code error;
    const auto size = std::filesystem::file_size(part.file, error);
    if (error) return fail(Code::kNotFound, "{}: {}", part.file, error.message());
    const auto time = std::filesystem::last_write_time(part.file, error).time_since_epoch().count();
    all += fmt::format("{} {} {} {}\n", part.name, part.file, size, time);
  }
  return all;
}

std::string describe(std::span<const TextPart> parts) {
  std::string out;
  for (const auto& part : parts) out += fmt::format(" {}:{}", part.file, part.weight);
  return out;
}

Result<TokenStore> TokenStore::make(const PretrainData& data, const text::BpeTokenizer& tokenizer,
                                    const JobOptions& job) {
  const std::string path = data.store.empty() ? job.out + ".tokens" : data.store;
  if (tokenizer.vocab_size() > 65536) {
    return fail(Code::kUnsupported, "tokenizer: found {} tokens, expected at most 65536",
                tokenizer.vocab_size());
  }
  BANTAM_ASSIGN(const std::string fingerprint, fingerprint_of(data, tokenizer));
  if (auto there = open(path, fingerprint)) return there;
  StoreMaker maker(tokenizer, job.progress, job.cancel);
  BANTAM_TRY(maker.read(data));
  BANTAM_TRY(maker.write(path, fingerprint));
  return open(path, fingerprint);
}

Result<TokenStore> TokenStore::open(const std::string& path, const std::string& fingerprint) {
  BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(path));
  auto meta = file.metadata().find("fingerprint");
  if (meta == file.metadata().end() || meta->second != fingerprint)
    return fail(Code::kInvalidArgument, "{}: made from other files or by another tokenizer", path);
  TokenStore out(std::move(file));
  auto take = [&]<class T>(std::string_view name, std::span<const T>& into) {
    const auto* found = out.file_.find(name);
    if (found == nullptr) return false;
    into = {reinterpret_cast<const T*>(found->data.data()), found->data.size() / sizeof(T)};
    return reinterpret_cast<uintptr_t>(into.data()) % alignof(T) == 0;
  };
  if (!take("tokens", out.tokens_) || !take("starts", out.starts_) || !take("parts", out.parts_) ||
      !take("held", out.held_) || out.starts_.size() != out.parts_.size() + 1 ||
      out.held_.size() != out.parts_.size() || out.starts_.back() != out.tokens_.size()) {
    return fail(Code::kCorrupt, "{}: not a whole token store; remove it", path);
  }
  return out;
}

Windows::Windows(const TokenStore& store, std::span<const double> weights, uint32_t context,
                 text::TokenId start, uint64_t seed)
    : store_(store), weights_(weights.begin(), weights.end()), context_(context), start_(start), seed_(seed) {
  held_.resize(weights.size());
  double tokens = 0;
  for (auto& stream : held_) stream.starts.push_back(0);
  for (uint32_t i = 0; i < store.size(); ++i) {
    const auto document = store.document(i);
    if (document.held_back) {
      add(held_[document.part], i);
    } else {
      tokens += weights_[document.part] * static_cast<double>(document.tokens.size() + 1);
    }
  }
  epoch_tokens_ = static_cast<uint64_t>(tokens);
  begin_epoch(0);
}

void Windows::add(Stream& stream, uint32_t document) const {
  stream.documents.push_back(document);
  stream.starts.push_back(stream.size() + store_.document(document).tokens.size() + 1);
}

void Windows::begin_epoch(uint64_t epoch) {
  epoch_ = epoch;
  Rng rng(seed_, 0x77696e646f77, epoch);
  std::vector<uint32_t> documents;
  for (uint32_t i = 0; i < store_.size(); ++i) {
    const auto document = store_.document(i);
    if (document.held_back) continue;
    const double weight = weights_[document.part];
    auto times = static_cast<uint32_t>(weight);
    if (rng.chance(weight - times)) ++times;
    documents.insert(documents.end(), times, i);
  }
  rng.shuffle(documents);
  stream_ = {};
  stream_.starts.push_back(0);
  for (uint32_t document : documents) add(stream_, document);
  const uint64_t span = uint64_t{context_} + 1;
  shift_ = stream_.size() > 2 * span ? rng.below(context_) : 0;
  const uint64_t count = stream_.size() > shift_ + span ? (stream_.size() - shift_ - 1) / context_ : 1;
  order_.resize(count);
  for (uint32_t i = 0; i < count; ++i) order_[i] = i;
  rng.shuffle(order_);
}

void Windows::copy(const Stream& stream, uint64_t from, std::span<int64_t> out) const {
  auto at = static_cast<size_t>(std::ranges::upper_bound(stream.starts, from) - stream.starts.begin()) - 1;
  for (size_t i = 0; i < out.size();) {
    if (at >= stream.documents.size()) {  // shorter than a row: the stream begins again
      at = 0;
      from = 0;
    }
    const auto tokens = store_.document(stream.documents[at]).tokens;
    uint64_t inside = from - stream.starts[at];
    if (inside == 0) {
      out[i++] = start_;
      ++inside;
    }
    for (; inside <= tokens.size() && i < out.size(); ++inside) out[i++] = tokens[inside - 1];
    from = stream.starts[++at];
  }
}

void Windows::row(uint64_t r, std::span<int64_t> out) {
  const std::lock_guard lock(mutex_);
  if (r < first_row_) {
    first_row_ = 0;
    begin_epoch(0);
  }
  while (r >= first_row_ + order_.size()) {
    first_row_ += order_.size();
    begin_epoch(epoch_ + 1);
  }
  copy(stream_, shift_ + uint64_t{order_[r - first_row_]} * context_, out);
}

bool Windows::held_back_row(uint32_t part, uint64_t i, uint64_t rows, std::span<int64_t> out) const {
  const Stream& stream = held_[part];
  if (stream.size() < out.size()) return false;
  const uint64_t room = stream.size() - out.size();
  copy(stream, rows > 1 ? room / (rows - 1) * i : 0, out);
  return true;
}

}  // namespace bantam::train
