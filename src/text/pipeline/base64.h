#pragma once
// RFC 4648, section 4: how tokenizer.json holds bytes.

#include <optional>
#include <string>
#include <string_view>

namespace bantam::text {

std::string to_base64(std::string_view bytes);
/// nullopt for a character outside the alphabet; what follows '=' is not looked at.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace bantam::text
