// CSV text: every row that parses is as wide as the header, and lines only grow.

#include <cstdlib>

#include "formats/labelled.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto table = bantam::formats::parse_csv({reinterpret_cast<const char*>(data), size}, "fuzz.csv");
  if (!table) {
    if (table.error().message.empty()) std::abort();
    return 0;
  }
  if (table->rows.empty() || table->rows.size() != table->lines.size()) std::abort();
  size_t before = 1;
  for (size_t i = 0; i < table->rows.size(); ++i) {
    if (table->rows[i].size() != table->header.size() || table->lines[i] <= before) std::abort();
    before = table->lines[i];
  }
  return 0;
}
