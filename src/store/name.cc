#include "store/name.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "net/http.h"

namespace bantam::store {
namespace {

using net::lower_case;

constexpr size_t kLongestName = 96;
constexpr size_t kLongestPart = 255;
constexpr std::string_view kEnding = ".gguf";
constexpr std::string_view kDefault = "q4_k_m";

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 120)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return out;
}

bool is_name_part(std::string_view part) {
  return !part.empty() && part.size() <= kLongestName && is_alnum(part[0]) && part.back() != '.' &&
         part.find("..") == std::string_view::npos &&
         std::ranges::all_of(part, [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

std::string_view file_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// "q4_k_m", "iq4_nl", "bf16", "tq2_0", "mxfp4": how files say what they hold (in small letters).
bool is_quant(std::string_view text) {
  for (std::string_view whole : {"f16", "f32", "bf16", "fp16", "fp32"}) {
    if (text == whole) return true;
  }
  if (text.starts_with("mxfp4")) return true;
  if (text.starts_with('i') || text.starts_with('t')) text.remove_prefix(1);
  if (text.size() < 2 || text[0] != 'q' || !is_digit(text[1])) return false;
  return std::ranges::all_of(text.substr(2), [](char c) { return is_alnum(c) || c == '_'; });
}

/// Files that go with a model rather than being one.
bool is_companion(std::string_view path) {
  const std::string name = lower_case(file_of(path));
  return name.find("mmproj") != std::string::npos || name.find("imatrix") != std::string::npos;
}

/// The selector as it is compared: in small letters, without the ending.
bool is_file(const FileGroup& group, std::string_view wanted) {
  const std::string path = lower_case(group.first()), stem = lower_case(stem_of(group.first()));
  return wanted == path || wanted == file_of(path) || wanted == stem || wanted == file_of(stem);
}

bool has_ending(const FileGroup& group, std::string_view wanted) {
  const std::string stem = lower_case(stem_of(group.first()));
  if (quant_of(group.first()) == wanted) return true;
  if (!stem.ends_with(wanted) || stem.size() == wanted.size()) return false;
  const char before = stem[stem.size() - wanted.size() - 1];
  return before == '-' || before == '.' || before == '_' || before == '/';
}

std::string names_of(std::span<const FileGroup> groups) {
  constexpr size_t kMost = 40;
  std::string out;
  for (size_t i = 0; i < groups.size() && i < kMost; ++i)
    out += (i == 0 ? "" : ", ") + printable(stem_of(groups[i].first()));
  if (groups.size() > kMost) out += fmt::format(" and {} more", groups.size() - kMost);
  return out;
}

}  // namespace

Result<ModelName> parse_name(std::string_view text) {
  ModelName out;
  const size_t colon = text.find(':');
  const std::string_view folder = text.substr(0, colon);
  const size_t slash = folder.find('/');
  if (slash != std::string_view::npos) {
    out.owner = folder.substr(0, slash);
    out.name = folder.substr(slash + 1);
  }
  if (!is_name_part(out.owner) || !is_name_part(out.name)) {
    return fail(Code::kInvalidArgument,
                "model name \"{}\": expected OWNER/NAME[:QUANT or :FILE] of letters, digits, '.', '_', '-'",
                printable(text));
  }
  if (colon == std::string_view::npos) return out;
  out.selector = text.substr(colon + 1);
  if (out.selector == "latest") out.selector.clear();
  if (out.selector.empty()) return out;
  if (auto safe = check_file_path(out.selector); !safe)
    return std::unexpected(std::move(safe).error().in(fmt::format("model name \"{}\"", printable(text))));
  return out;
}

Status check_file_path(std::string_view path) {
  const auto bad = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "file \"{}\": found {}", printable(path), why);
  };
  size_t parts = 0;
  for (size_t begin = 0; begin <= path.size(); ++parts) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty()) return bad("an empty part, expected a path inside the model's folder");
    if (part[0] == '.') return bad("a part that begins with '.', expected a path inside the model's folder");
    if (part.size() > kLongestPart) return bad("a part of more than 255 bytes");
    for (char c : part) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\' || c == ':')
        return bad("a control character, back-slash or colon");
    }
    begin = end + 1;
  }
  return parts > kMostPathParts ? bad("more than eight folders") : Status{};
}

bool is_model_file(std::string_view path) {
  return path.size() > kEnding.size() && lower_case(path.substr(path.size() - kEnding.size())) == kEnding;
}

std::optional<Shard> parse_shard(std::string_view path) {
  constexpr size_t kDigits = 5, kTail = 2 * kDigits + 5;  // "-00002-of-00003"
  if (!is_model_file(path)) return std::nullopt;
  path.remove_suffix(kEnding.size());
  if (path.size() <= kTail) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kTail);
  Shard out;
  out.stem = path.substr(0, path.size() - kTail);
  const auto number = [&](size_t at, unsigned& to) {
    const char* begin = tail.data() + at;
    return std::from_chars(begin, begin + kDigits, to).ptr == begin + kDigits && is_digit(*begin);
  };
  if (tail[0] != '-' || tail.substr(1 + kDigits, 4) != "-of-" || !number(1, out.index) ||
      !number(5 + kDigits, out.count) || out.index == 0 || out.index > out.count)
    return std::nullopt;
  return out;
}

std::string shard_path(const Shard& shard, unsigned index) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", shard.stem, index, shard.count);
}

std::string stem_of(std::string_view path) {
  if (auto shard = parse_shard(path)) return shard->stem;
  if (is_model_file(path)) path.remove_suffix(kEnding.size());
  return std::string(path);
}

std::string quant_of(std::string_view path) {
  const std::string stem = lower_case(file_of(stem_of(path)));
  for (size_t at = 0; at < stem.size(); ++at) {
    const bool begins = at == 0 || stem[at - 1] == '-' || stem[at - 1] == '.' || stem[at - 1] == '_';
    if (begins && is_quant(std::string_view(stem).substr(at))) return stem.substr(at);
  }
  return {};
}

bool FileGroup::whole() const {
  const auto shard = parse_shard(first());
  return !shard || (files.size() == shard->count && shard->index == 1);
}

std::vector<FileGroup> group_files(std::vector<std::string> paths) {
  std::ranges::sort(paths);
  std::vector<FileGroup> out;
  std::map<std::pair<std::string, unsigned>, size_t> shards;
  for (auto& path : paths) {
    if (!is_model_file(path)) continue;
    if (auto shard = parse_shard(path)) {
      const auto [found, fresh] = shards.try_emplace({shard->stem, shard->count}, out.size());
      if (fresh) out.emplace_back();
      out[found->second].files.push_back(std::move(path));
    } else {
      out.push_back({{std::move(path)}});
    }
  }
  return out;
}

Result<FileGroup> select_files(std::span<const FileGroup> groups, std::string_view selector,
                               std::string_view where) {
  std::vector<FileGroup> found, plain;
  std::string wanted = lower_case(selector);
  for (const auto& group : groups) {
    if (!wanted.empty() && is_file(group, wanted)) found.push_back(group);
    if (!is_companion(group.first())) plain.push_back(group);
  }
  if (wanted.empty() && plain.size() == 1) return plain[0];
  const bool by_default = wanted.empty();
  if (by_default) wanted = kDefault;
  if (found.empty()) {
    for (const auto& group : plain) {
      if (has_ending(group, wanted)) found.push_back(group);
    }
  }
  if (found.size() == 1) return found[0];
  if (groups.empty()) return fail(Code::kNotFound, "{}: found no .gguf file", where);
  if (found.empty() && by_default) {
    return fail(Code::kInvalidArgument, "{}: found {} models and none of {}, expected one to be named: {}",
                where, plain.size(), kDefault, names_of(plain));
  }
  if (found.empty()) {
    return fail(Code::kNotFound, "{}: found none of \"{}\" among {}", where, printable(selector),
                names_of(groups));
  }
  return fail(Code::kInvalidArgument, "{}: found {} of \"{}\", expected one to be named: {}", where,
              found.size(), by_default ? kDefault : std::string_view(printable(selector)), names_of(found));
}

std::string selector_of(const FileGroup& group, std::span<const FileGroup> groups) {
  const std::string quant = quant_of(group.first());
  const auto means_it = [&](std::string_view selector) {
    const auto found = select_files(groups, selector, "");
    return found && found->first() == group.first();
  };
  if (!quant.empty() && means_it(quant)) return quant;
  if (quant.empty() && groups.size() == 1) return {};
  return group.first();
}

}  // namespace bantam::store
