#pragma once
// The safetensors files of a Hugging Face directory as one set of tensors. Internal to model.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/safetensors.h"
#include "model/hf_names.h"

namespace bantam::model {

class HfSource {
 public:
  /// Errors: kNotFound where the directory has no .safetensors file; kCorrupt for a tensor in two files;
  /// those of SafeTensorsFile.
  static Result<HfSource> open(const std::string& directory);

  size_t files() const { return files_.size(); }
  /// The tensor, or null where it is optional and absent. A model's own prefix ("bert.") may stand before its
  /// name. Errors: kCorrupt for one that is missing or of another shape, kUnsupported for another type than
  /// F32, F16 and BF16 (name, found, expected).
  Result<const formats::SafeTensor*> take(const HfTensor& wanted);
  /// Not an error in finish().
  void ignore(std::string_view name);
  /// Tensors whose names begin so are left out; returns how many.
  size_t leave_out(std::string_view prefix);
  /// kUnsupported naming a tensor that nothing took: leaving it out would change the model in silence.
  Status finish() const;

 private:
  struct Entry {
    const formats::SafeTensor* tensor;
    bool taken = false;
  };
  Entry* find(const std::string& name);

  std::vector<formats::SafeTensorsFile> files_;
  std::map<std::string, Entry, std::less<>> tensors_;
};

}  // namespace bantam::model
