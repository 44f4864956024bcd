// What a registry may say, names that users give, redirects and proxies. The first byte chooses the reader.

#include <cstdlib>
#include <string>

#include "net/proxy.h"
#include "store/registry.h"

namespace {

using namespace bantam;

/// Whatever is accepted stays inside the model's folder.
void stays_inside(std::string_view path) {
  if (path.empty() || path[0] == '/' || path[0] == '.' || path.find("/.") != std::string_view::npos ||
      path.find('\\') != std::string_view::npos || path.find('\0') != std::string_view::npos)
    std::abort();
}

void listing(std::string_view bytes) {
  const auto list = store::parse_listing(bytes);
  if (!list) return;
  std::vector<std::string> paths;
  for (const auto& file : list->files) {
    stays_inside(file.path);
    paths.push_back(file.path);
  }
  const auto groups = store::group_files(paths);
  for (const auto& group : groups) {
    if (group.files.empty()) std::abort();
    (void)group.whole();
    (void)store::selector_of(group, groups);
  }
  const store::ModelName name{"o", "n", ""};
  const auto url = store::file_url("https://h.example", name, list->commit, paths.empty() ? "x" : paths[0]);
  if (!url || !url->target.starts_with("/o/n/resolve/")) std::abort();
}

void name(std::string_view bytes) {
  const auto parsed = store::parse_name(bytes);
  if (!parsed) return;
  stays_inside(parsed->owner);
  stays_inside(parsed->name);
  if (!parsed->selector.empty()) stays_inside(parsed->selector);
  const auto again = store::parse_name(parsed->text());
  if (!again || again->text() != parsed->text()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      listing(bytes);
      break;
    case 1:
      name(bytes);
      break;
    case 2: {
      static const net::Url base = *net::parse_url("https://a.example/x/y?z");
      const auto to = store::redirect_target(base, bytes);
      if (to && (to->target.empty() || to->target[0] != '/')) std::abort();
      break;
    }
    default: {
      const auto proxy = net::parse_proxy(bytes);
      net::ProxyRules rules;
      if (proxy) rules.http = rules.https = *proxy;
      rules.direct = net::parse_direct(bytes);
      (void)rules.of(*net::parse_url("https://b.example:81/"));
    }
  }
  return 0;
}
