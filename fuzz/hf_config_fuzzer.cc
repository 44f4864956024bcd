// config.json of strangers: what is read can be written and reads the same, as far as it has a form.

#include <cstdlib>
#include <string_view>

#include "model/hf_config.h"
#include "model/hf_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bantam::model;
  const auto config = read_hf_config({reinterpret_cast<const char*>(data), size});
  if (!config) {
    if (config.error().message.empty()) std::abort();
    return 0;
  }
  const auto written = write_hf_config(*config, "float32", {});
  if (!written) return 0;
  const auto again = read_hf_config(*written);
  if (!again || again->config.dim != config->config.dim || again->config.layers != config->config.layers)
    std::abort();
  if (config->config.layers <= 64) (void)hf_tensors(*config);
  return 0;
}
