// The redaction of one request, and the way back.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "collab/redact.h"
#include "net/json.h"

namespace bantam::collab {
namespace {

constexpr int kMostPasses = 8;  // a replacement may make a new finding of what stands beside it
constexpr size_t kLongestPlaceholder = 64;

std::unexpected<Error> refuse(std::string_view what) {
  return fail(Code::kDenied, "redaction failed: {}; nothing was sent", what);
}

bool of_placeholder(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/// As it stands between the quotes of a JSON string.
std::string escaped(const std::string& text) {
  std::string quoted = net::to_text(nlohmann::json(text));
  return quoted.substr(1, quoted.size() - 2);
}

/// The end of the JSON string that begins at `begin` with its quote. The text is valid JSON.
size_t string_end(std::string_view text, size_t begin) {
  size_t i = begin + 1;
  while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
  return std::min(i + 1, text.size());
}

}  // namespace

std::string Redaction::placeholder(const std::string& type, std::string_view original) {
  std::string key = type + " " + std::string(original);
  auto [known, fresh] = numbers_.placeholder_of.try_emplace(std::move(key));
  if (fresh) known->second = fmt::format("[{}_{}]", type, ++numbers_.last[type]);
  originals_[known->second] = original;
  ++counts_[type];
  return known->second;
}

Result<std::string> Redaction::text(std::string_view original) {
  if (original.size() >= std::numeric_limits<uint32_t>::max()) return refuse("a text of 4 GB");
  std::string now(original);
  std::vector<std::pair<size_t, size_t>> ours;  // where placeholders of this redaction stand
  for (int pass = 0; pass < kMostPasses; ++pass) {
    std::vector<Finding> found = redactor_->find(now);
    std::string next;
    std::vector<std::pair<size_t, size_t>> placed;
    size_t done = 0;
    bool changed = false;
    size_t mine = 0;
    auto keep_until = [&](size_t end) {  // copies, and says where our placeholders went
      for (; mine < ours.size() && ours[mine].second <= end; ++mine) {
        size_t shift = next.size() - done;
        placed.emplace_back(ours[mine].first + shift, ours[mine].second + shift);
      }
      next.append(now, done, end - done);
      done = end;
    };
    for (const Finding& finding : found) {
      // Of a finding that reaches into a placeholder, the parts outside it.
      size_t from = finding.begin;
      auto replace = [&](size_t begin, size_t end) {
        if (begin >= end || begin < done) return;
        keep_until(begin);
        std::string put = placeholder(finding.type, std::string_view(now).substr(begin, end - begin));
        placed.emplace_back(next.size(), next.size() + put.size());
        next += put;
        done = end;
        changed = true;
      };
      for (const auto& [begin, end] : ours) {
        if (end <= from || begin >= finding.end) continue;
        replace(from, begin);
        from = std::max(from, end);
      }
      replace(from, finding.end);
    }
    keep_until(now.size());
    if (!changed) return now;
    now = std::move(next);
    ours = std::move(placed);
  }
  return refuse("findings did not end");
}

Result<std::string> Redaction::json(std::string_view original) {
  if (original.empty()) return std::string();
  if (!nlohmann::json::accept(original)) return refuse("found text that is no JSON where JSON belongs");
  std::string out;
  for (size_t i = 0; i < original.size();) {
    if (original[i] == '"') {
      size_t end = string_end(original, i);
      auto value = nlohmann::json::parse(original.substr(i, end - i), nullptr, false);
      if (!value.is_string()) return refuse("found a broken JSON string");
      BANTAM_ASSIGN(std::string changed, text(value.get_ref<const std::string&>()));
      // What is not touched stays as it was written.
      if (changed == value.get_ref<const std::string&>())
        out += original.substr(i, end - i);
      else
        out += net::to_text(nlohmann::json(changed));
      i = end;
      continue;
    }
    size_t end = original.find('"', i);
    if (end == std::string_view::npos) end = original.size();
    // Between strings: numbers and punctuation. A number that is a finding becomes a string.
    while (i < end) {
      bool number = original[i] == '-' || (original[i] >= '0' && original[i] <= '9');
      size_t stop = i + 1;
      if (number) stop = std::min(original.find_first_not_of("0123456789+-.eE", i), end);
      std::string_view piece = original.substr(i, stop - i);
      if (number && !redactor_->find(piece).empty()) {
        BANTAM_ASSIGN(std::string changed, text(piece));
        out += net::to_text(nlohmann::json(changed));
      } else {
        out += piece;
      }
      i = stop;
    }
  }
  return out;
}

Status Redaction::apply(chat::Request& request) {
  auto change = [this](std::string& field) -> Status {
    BANTAM_ASSIGN(field, text(field));
    return {};
  };
  auto change_json = [this](std::string& field) -> Status {
    BANTAM_ASSIGN(field, json(field));
    return {};
  };
  // An API takes no brackets in these.
  auto change_word = [this](std::string& field) -> Status {
    BANTAM_ASSIGN(field, text(field));
    std::erase_if(field, [](char c) { return c == '[' || c == ']'; });
    return {};
  };
  for (chat::Message& message : request.messages) {
    BANTAM_TRY(change(message.content));
    BANTAM_TRY(change_word(message.name));
    for (chat::ToolCall& call : message.tool_calls) BANTAM_TRY(change_json(call.arguments));
  }
  BANTAM_TRY(change(request.prompt));
  for (std::string& stop : request.stop) BANTAM_TRY(change(stop));
  for (std::string& choice : request.choices) BANTAM_TRY(change(choice));
  for (chat::Tool& tool : request.tools) {
    if (!redactor_->find(tool.name).empty()) return refuse("a tool's name holds what must not leave");
    BANTAM_TRY(change(tool.description));
    BANTAM_TRY(change_json(tool.parameters));
  }
  if (!redactor_->find(request.format.name).empty())
    return refuse("the response format's name holds what must not leave");
  BANTAM_TRY(change(request.format.description));
  return change_json(request.format.schema);
}

const std::string* Redaction::original(std::string_view placeholder) const {
  auto found = originals_.find(placeholder);
  return found == originals_.end() ? nullptr : &found->second;
}

std::string Redaction::restore(std::string_view text, bool in_json) const {
  Restorer restorer(*this, in_json);
  std::string out = restorer.feed(text);
  return out + restorer.finish();
}

std::string Restorer::feed(std::string_view part) {
  std::string out;
  for (char c : part) {
    if (held_.empty() && c != '[') {
      out += c;
      continue;
    }
    if (c == '[') {  // the earlier one began nothing
      out += held_;
      held_ = c;
    } else if (c == ']') {
      held_ += c;
      const std::string* original = redaction_->original(held_);
      out += !original ? held_ : in_json_ ? escaped(*original) : *original;
      held_.clear();
    } else if (of_placeholder(c) && held_.size() < kLongestPlaceholder) {
      held_ += c;
    } else {
      out += held_;
      out += c;
      held_.clear();
    }
  }
  return out;
}

std::string Restorer::finish() { return std::exchange(held_, {}); }

}  // namespace bantam::collab
