#include "chat/recorded.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/file.h"
#include "base/usage.h"
#include "net/async_event.h"
#include "net/json.h"

namespace bantam::chat {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 30;

struct Take {
  std::string answer, finish_reason = "stop", error;
  std::optional<double> confidence, cost;
  Usage usage;
  double first_token = 0, seconds = 0;
};

/// The takes of one prompt, and whose turn it is.
struct Takes {
  std::vector<Take> all;
  std::atomic<size_t> next{0};
};

/// One key for a conversation: lengths keep "a","bc" and "ab","c" apart. A last user message alone is that of
/// a conversation of one.
void add_to_key(std::string& key, std::string_view role, std::string_view content) {
  key += fmt::format("{}:{}:", role, content.size());
  key += content;
}
std::string last_user_key(std::string_view content) {
  std::string key;
  add_to_key(key, "last", content);
  return key;
}

/// Reads the members of one line; the first problem is kept.
class LineReader {
 public:
  LineReader(const json& line, std::string where) : line_(line), where_(std::move(where)) {}

  const json* member(const char* name) const {
    auto it = line_.find(name);
    return it == line_.end() || it->is_null() ? nullptr : &*it;
  }
  std::string text(const char* name) {
    const json* value = member(name);
    if (!value) return {};
    if (!value->is_string()) return wrong(name, *value, "text"), "";
    return value->get<std::string>();
  }
  std::optional<double> number(const char* name) {
    const json* value = member(name);
    if (!value) return std::nullopt;
    if (!value->is_number() || value->get<double>() < 0)
      return wrong(name, *value, "a number that is not negative"), std::nullopt;
    return value->get<double>();
  }
  uint64_t count(const char* name) {
    const json* value = member(name);
    if (!value) return 0;
    if (!value->is_number_unsigned()) return wrong(name, *value, "a count"), 0;
    return value->get<uint64_t>();
  }
  void wrong(const char* name, const json& found, std::string_view expected) {
    if (status_)
      status_ = fail(Code::kCorrupt, "{}: {}: found {}, expected {}", where_, name,
                     net::to_text(found).substr(0, 60), expected);
  }
  void missing(std::string_view expected) {
    if (status_) status_ = fail(Code::kCorrupt, "{}: found neither, expected {}", where_, expected);
  }
  const Status& status() const { return status_; }

 private:
  const json& line_;
  std::string where_;
  Status status_;
};

/// What a line answers, as a key.
std::string key_of(LineReader& line) {
  const json* messages = line.member("messages");
  if (!messages) {
    if (!line.member("prompt")) line.missing("prompt or messages");
    return last_user_key(line.text("prompt"));
  }
  std::string key;
  if (!messages->is_array() || messages->empty()) line.wrong("messages", *messages, "a list of messages");
  for (const json& m : *messages) {
    bool good = m.is_object() && m.contains("role") && m["role"].is_string() && m.contains("content") &&
                m["content"].is_string();
    if (!good) {
      line.wrong("messages", m, "{role, content}");
      break;
    }
    add_to_key(key, m["role"].get_ref<const std::string&>(), m["content"].get_ref<const std::string&>());
  }
  return key;
}

Take read_take(LineReader& line) {
  Take out;
  out.answer = line.text("answer");
  out.error = line.text("error");
  if (!line.member("answer") && out.error.empty()) line.missing("answer or error");
  if (line.member("finish_reason")) out.finish_reason = line.text("finish_reason");
  out.confidence = line.number("confidence");
  out.cost = line.number("cost");
  out.usage.prompt_tokens = line.count("prompt_tokens");
  out.usage.completion_tokens = line.count("completion_tokens");
  out.first_token = line.number("first_token").value_or(0);
  out.seconds = std::max(out.first_token, line.number("seconds").value_or(0));
  return out;
}

class Recorded final : public ChatModel {
 public:
  explicit Recorded(RecordedOptions options) : options_(std::move(options)) {}

  Status add(const json& line, const std::string& where) {
    if (!line.is_object()) return fail(Code::kCorrupt, "{}: found no object", where);
    LineReader reader(line, where);
    std::string key = key_of(reader);
    Take take = read_take(reader);
    BANTAM_TRY(reader.status());
    takes_[std::move(key)].all.push_back(std::move(take));
    return {};
  }

  const std::string& name() const override { return options_.name; }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    Takes* takes = find(request);
    if (!takes) co_return fail(Code::kNotFound, "{}: this prompt was not recorded", name());
    const Take& take = takes->all[takes->next++ % takes->all.size()];
    double start = wall_seconds();
    auto begun = Clock::now();
    if (!take.error.empty()) {
      bool waited = co_await wait_until(begun, take.seconds, request);
      if (!waited) co_return cancelled();
      co_return fail(Code::kUnavailable, "{}: {}", name(), take.error);
    }
    if (!request.choices.empty() &&
        std::find(request.choices.begin(), request.choices.end(), take.answer) == request.choices.end()) {
      co_return fail(Code::kUnavailable, "{}: the recorded answer is none of the {} choices", name(),
                     request.choices.size());
    }
    bool sent = co_await play(take, begun, request, sink);
    if (!sent) co_return cancelled();
    co_return reply_of(take, request, wall_seconds() - start);
  }

 private:
  std::unexpected<Error> cancelled() const { return fail(Code::kCancelled, "{}: cancelled", name()); }

  Takes* find(const Request& request) {
    std::string all;
    for (const Message& m : request.messages) add_to_key(all, m.role, m.content);
    if (auto it = takes_.find(all); it != takes_.end()) return &it->second;
    auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                             [](const Message& m) { return m.role == "user"; });
    bool has_user = last != request.messages.rend();
    auto it = takes_.find(last_user_key(has_user ? last->content : request.prompt));
    return it == takes_.end() ? nullptr : &it->second;
  }

  /// False: cancelled, or past the deadline.
  Awaitable<bool> wait_until(Clock::time_point begun, double seconds, const Request& request) const {
    auto until = begun + std::chrono::duration_cast<Clock::duration>(
                             std::chrono::duration<double>(seconds * options_.pace));
    bool late = request.deadline && *request.deadline < until;
    if (late) until = *request.deadline;
    bool undisturbed = !request.cancel.stop_requested();
    if (undisturbed && until > Clock::now()) undisturbed = co_await net::sleep_until(until, request.cancel);
    co_return undisturbed && !late;
  }

  Awaitable<bool> play(const Take& take, Clock::time_point begun, const Request& request,
                       const EventSink& sink) const {
    bool going = co_await wait_until(begun, sink ? take.first_token : take.seconds, request);
    if (!sink) co_return going;
    for (size_t at = 0; going && at < take.answer.size();) {
      size_t end = std::min(take.answer.find(' ', at + 1), take.answer.size());
      going = co_await sink(TextDelta{take.answer.substr(at, end - at)});
      at = end;
      double share = static_cast<double>(at) / static_cast<double>(take.answer.size());
      if (going)
        going =
            co_await wait_until(begun, take.first_token + share * (take.seconds - take.first_token), request);
    }
    co_return going;
  }

  Reply reply_of(const Take& take, const Request& request, double seconds) const {
    Reply out;
    out.text = take.answer;
    out.finish_reason = take.finish_reason;
    out.usage = take.usage;
    out.answered_by = name();
    out.confidence = take.confidence;
    out.cost = take.cost.value_or(options_.prices.of(take.usage));
    const Sampling& s = request.sampling;
    if (s.temperature || s.top_p || s.seed || request.max_tokens || !request.stop.empty() ||
        !request.tools.empty() || request.format.kind != ResponseFormat::Kind::kText || request.logprobs) {
      out.notes.push_back(fmt::format("'{}' replays a recording: parameters had no effect", name()));
    }
    Step step;
    step.model = name();
    step.usage = out.usage;
    step.cost = out.cost;
    step.seconds = seconds;
    step.confidence = out.confidence;
    out.steps.push_back(std::move(step));
    return out;
  }

  RecordedOptions options_;
  std::unordered_map<std::string, Takes> takes_;
};

}  // namespace

Result<std::shared_ptr<ChatModel>> parse_recorded(std::string_view lines, const std::string& file,
                                                  RecordedOptions options) {
  auto out = std::make_shared<Recorded>(std::move(options));
  size_t number = 0;
  while (!lines.empty()) {
    size_t end = lines.find('\n');
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::string where = fmt::format("{}:{}", file, number);
    BANTAM_ASSIGN(json parsed, net::parse_json(line, where));
    BANTAM_TRY(out->add(parsed, where));
  }
  return out;
}

Result<std::shared_ptr<ChatModel>> open_recorded(const std::string& path, RecordedOptions options) {
  BANTAM_ASSIGN(std::string text, read_file(path, kMaxFileBytes));
  return parse_recorded(text, path, std::move(options));
}

}  // namespace bantam::chat
