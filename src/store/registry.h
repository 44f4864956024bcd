#pragma once
// A registry of models over HTTP: the listing of a model's files and the URL of each, in the layout of
// Hugging Face's hub: BASE/api/models/OWNER/NAME/revision/REVISION?blobs=true and
// BASE/OWNER/NAME/resolve/REVISION/FILE. https://huggingface.co/docs/hub/api

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "store/name.h"

namespace bantam::store {

struct RegistryFile {
  std::string path;  // checked by check_file_path
  std::optional<uint64_t> bytes;
  std::string sha256;  // 64 small hexadecimal digits, or empty
};

struct Listing {
  std::string commit;  // that the revision stands for; empty where the registry does not say
  std::vector<RegistryFile> files;
  const RegistryFile* find(std::string_view path) const;
};

/// Reads a listing's text. Only files that end in .gguf are kept. Errors: those of net::parse_json; kCorrupt
/// for another shape, a path outside the model's folder, a hash that is none, more than 100,000 files.
Result<Listing> parse_listing(std::string_view text);

/// Errors: kInvalidArgument for a base URL that parse_url refuses or that has a query, kDenied for plain http
/// to another host than loopback.
Result<net::Url> listing_url(const std::string& base, const ModelName& name, std::string_view revision);
Result<net::Url> file_url(const std::string& base, const ModelName& name, std::string_view revision,
                          std::string_view path);
/// Errors: kDenied as above.
Status check_transport(const net::Url& url);

/// "https://host/path", for messages: without the query, where signed URLs carry secrets.
std::string shown(const net::Url& url);
/// The URL that a Location field means, seen from `base` (RFC 3986, section 5.2).
Result<net::Url> redirect_target(const net::Url& base, std::string_view location);

/// 64 hexadecimal digits in small letters, or empty: `text` may have quotes around it, as an ETag has.
std::string as_sha256(std::string_view text);

}  // namespace bantam::store
