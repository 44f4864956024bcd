#include "store/registry.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/json.h"

namespace bantam::store {
namespace {

using Json = nlohmann::json;
constexpr size_t kMostFiles = 100'000;

bool is_commit(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// A path in a URL, its slashes kept.
std::string escape(std::string_view path) {
  std::string out;
  for (char c : path) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<net::Url> url_of(std::string base, const std::string& rest) {
  while (base.ends_with('/')) base.pop_back();
  if (base.find('?') != std::string::npos)
    return fail(Code::kInvalidArgument, "registry {}: found a query, expected none", net::without_secrets(base));
  auto url = net::parse_url(base + rest);
  if (!url) return std::unexpected(std::move(url).error().in("registry"));
  BANTAM_TRY(check_transport(*url));
  return url;
}

/// RFC 3986, section 5.2.4, of a path with its query.
std::string without_dots(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  std::vector<std::string_view> parts;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    const bool last = end == path.size();
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      if (last) parts.emplace_back();
    } else if (part != ".") {
      parts.push_back(part);
    } else if (last) {
      parts.emplace_back();
    }
    begin = end + 1;
  }
  std::string out;
  for (std::string_view part : parts) out.append("/").append(part);
  if (out.empty()) out = "/";
  return out.append(target.substr(path.size()));
}

Result<RegistryFile> read_registry_file(const Json& item) {
  RegistryFile out;
  if (!item.is_object() || !item.contains("rfilename") || !item["rfilename"].is_string())
    return fail(Code::kCorrupt, "siblings: found an item without the text rfilename");
  out.path = item["rfilename"].get<std::string>();
  const Json& lfs = item.contains("lfs") && item["lfs"].is_object() ? item["lfs"] : item;
  if (lfs.contains("size") && lfs["size"].is_number_unsigned()) out.bytes = lfs["size"].get<uint64_t>();
  if (lfs.contains("sha256") && !lfs["sha256"].is_null()) {
    if (lfs["sha256"].is_string()) out.sha256 = as_sha256(lfs["sha256"].get_ref<const std::string&>());
    if (out.sha256.empty()) return fail(Code::kCorrupt, "siblings: found a sha256 that is none");
  }
  return out;
}

}  // namespace

const RegistryFile* Listing::find(std::string_view path) const {
  const auto found = std::ranges::find(files, path, &RegistryFile::path);
  return found == files.end() ? nullptr : &*found;
}

std::string as_sha256(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  std::string out = net::lower_case(text);
  return out.size() == 64 && is_commit(out) ? out : std::string();
}

Result<Listing> parse_listing(std::string_view text) {
  BANTAM_ASSIGN(const Json json, net::parse_json(text, "the registry's listing"));
  if (!json.is_object() || !json.contains("siblings") || !json["siblings"].is_array())
    return fail(Code::kCorrupt, "the registry's listing: found no list siblings, expected one");
  Listing out;
  if (json.contains("sha") && json["sha"].is_string() && is_commit(json["sha"].get_ref<const std::string&>()))
    out.commit = json["sha"].get<std::string>();
  if (json["siblings"].size() > kMostFiles) {
    return fail(Code::kLimit, "the registry's listing: found {} files, expected at most {}",
                json["siblings"].size(), kMostFiles);
  }
  for (const auto& item : json["siblings"]) {
    auto file = read_registry_file(item);
    if (!file) return std::unexpected(std::move(file).error().in("the registry's listing"));
    if (!is_model_file(file->path)) continue;
    if (auto safe = check_file_path(file->path); !safe)
      return fail(Code::kCorrupt, "the registry's listing: {}", safe.error().message);
    out.files.push_back(std::move(*file));
  }
  return out;
}

Status check_transport(const net::Url& url) {
  if (url.tls || net::is_loopback(url.host)) return {};
  return fail(Code::kDenied, "http://{}: found plain http, expected https (http is for loopback only)",
              url.authority());
}

Result<net::Url> listing_url(const std::string& base, const ModelName& name, std::string_view revision) {
  return url_of(
      base, fmt::format("/api/models/{}/{}/revision/{}?blobs=true", name.owner, name.name, escape(revision)));
}

Result<net::Url> file_url(const std::string& base, const ModelName& name, std::string_view revision,
                          std::string_view path) {
  return url_of(base,
                fmt::format("/{}/{}/resolve/{}/{}", name.owner, name.name, escape(revision), escape(path)));
}

std::string shown(const net::Url& url) {
  return fmt::format("{}://{}{}", url.tls ? "https" : "http", url.authority(),
                     url.target.substr(0, url.target.find('?')));
}

Result<net::Url> redirect_target(const net::Url& base, std::string_view location) {
  location = location.substr(0, location.find('#'));
  if (location.empty()) return fail(Code::kUnavailable, "{}: found a redirect to nowhere", shown(base));
  if (location.find("://") < location.find_first_of("/?")) return net::parse_url(location);
  const std::string scheme = base.tls ? "https:" : "http:";
  if (location.starts_with("//")) return net::parse_url(scheme + std::string(location));
  net::Url out = base;
  if (location.starts_with('/')) {
    out.target = location;
  } else {
    const std::string path = base.target.substr(0, base.target.find('?'));
    out.target = path.substr(0, path.rfind('/') + 1) + std::string(location);
  }
  out.target = without_dots(out.target);
  return net::parse_url(fmt::format("{}//{}{}", scheme, base.authority(), out.target));
}

}  // namespace bantam::store
