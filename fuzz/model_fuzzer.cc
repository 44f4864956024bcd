// The bytes of a GGUF as a model: keys to a config, tensors to weights, stored values to floats. Whatever is
// accepted must be readable and within its bounds.

#include <cstdlib>
#include <vector>

#include "kernels/convert.h"
#include "model/config.h"
#include "model/encoder.h"
#include "model/ngram_part.h"
#include "model/rope.h"
#include "model/task.h"
#include "model/weights.h"

namespace {

using bantam::formats::GgufFile;

/// The last row of a matrix, which must lie in the file.
void read_last(const bantam::tensor::MatrixView& matrix) {
  if (matrix.rows == 0 || matrix.columns > 4096) return;
  std::vector<float> row(matrix.columns);
  bantam::kernels::dequantize_row(bantam::kernels::ref::table(), matrix.type, matrix.row(matrix.rows - 1),
                                  matrix.columns, row.data());
}

void read_decoder(const GgufFile& file, const bantam::model::Config& config) {
  auto weights = bantam::model::map_weights(file, config);
  if (!weights) {
    if (weights.error().message.empty()) std::abort();
    return;
  }
  for (const auto& layer : weights->layers) {
    for (const auto* matrix :
         {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.gate, &layer.up, &layer.down})
      read_last(*matrix);
  }
  read_last(weights->output);
  if (config.head_dim > 256) return;
  const auto turns = bantam::model::rotations(config, *weights, 3);
  if (turns.cos.size() != 3 * (bantam::model::rotated_channels(config) / 2)) std::abort();
  bantam::model::window_rotations(config, 3);
}

/// The n-gram part of a classifier, which then answers.
void read_ngrams(const GgufFile& file) {
  const auto task = bantam::model::read_task(file);
  const size_t labels = task && *task ? (*task)->labels.size() : 2;
  const auto part = bantam::model::NgramPart::read(file, labels);
  if (!part && part.error().message.empty()) std::abort();
  if (part && *part && (*part)->scores("ab a \xff \xC3\xA9").size() != labels) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file) return 0;
  for (const auto& tensor : file->tensors()) {
    if (tensor.elements() > 1 << 16) continue;
    std::vector<float> values(tensor.elements());
    bantam::kernels::dequantize_row(bantam::kernels::ref::table(), tensor.type, file->data(tensor).data(),
                                    values.size(), values.data());
  }
  read_ngrams(*file);
  auto config = bantam::model::read_config(*file);
  if (!config) {
    if (config.error().message.empty()) std::abort();
    return 0;
  }
  if (config->encoder) {
    auto weights = bantam::model::map_encoder(*file, *config);
    if (weights) read_last(weights->token_embedding);
  } else {
    read_decoder(*file, *config);
  }
  return 0;
}
