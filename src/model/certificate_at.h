#pragma once
#include <optional>
#include <string_view>

#include "model/certificate.h"

namespace bantam::model {

/// A certificate under keys that begin with `prefix` and a dot; nullopt for a file without them. Errors:
/// kCorrupt naming file and key.
Result<std::optional<Certificate>> read_certificate_at(const formats::GgufFile& file,
                                                       std::string_view prefix);
/// Writes the keys, or removes them.
void write_certificate_at(const std::optional<Certificate>& certificate, formats::GgufWriter& file,
                          std::string_view prefix);

}  // namespace bantam::model
