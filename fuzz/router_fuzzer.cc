// Router files: whatever loads must also predict without leaving its tables.

#include <cstddef>
#include <cstdint>
#include <span>

#include "collab/routing/router.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bantam;
  const auto file = formats::GgufFile::parse(std::as_bytes(std::span(data, size)));
  if (!file) return 0;
  const auto router = collab::routing::Router::load(*file);
  if (!router) return 0;
  collab::routing::Query query;
  query.text = "What is 3 plus 4? Say hello.";
  query.tools = 2;
  const auto quality = router->predict(query);
  const std::vector<double> cost(quality.size());
  collab::routing::choose(quality, cost, {});
  return 0;
}
