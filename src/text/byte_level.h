#pragma once
// GPT-2's way to write any byte as a printable character, so that a vocabulary is a list of readable strings.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bantam::text {

/// Printable Latin-1 bytes stand for themselves; the others for U+0100, U+0101, … in their order.
std::string bytes_to_text(std::string_view bytes);
/// The reverse; nullopt where a character stands for no byte.
std::optional<std::string> text_to_bytes(std::string_view text);

}  // namespace bantam::text
