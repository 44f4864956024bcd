#include "train/language_rows.h"

namespace bantam::train {

using torch::Tensor;

Rows rows_of(int64_t count, int64_t time, int64_t start,
             const std::function<void(int64_t, std::span<int64_t>)>& fill) {
  Tensor tokens = torch::empty({count, time + 1}, torch::kInt64),
         starts = torch::empty({count, time}, torch::kInt32);
  for (int64_t i = 0; i < count; ++i) {
    int64_t* row = tokens.data_ptr<int64_t>() + i * (time + 1);
    fill(i, {row, static_cast<size_t>(time) + 1});
    int32_t* first = starts.data_ptr<int32_t>() + i * time;
    int32_t document = 0;
    for (int64_t t = 0; t < time; ++t) {
      if (row[t] == start) document = static_cast<int32_t>(t);
      first[t] = document;
    }
  }
  // Copies: a caller may change targets, and of a single row the two would be the same memory.
  return {tokens.slice(1, 0, time).clone(), tokens.slice(1, 1).clone(), starts};
}

}  // namespace bantam::train
