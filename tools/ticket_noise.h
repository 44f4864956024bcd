#pragma once
// What people's hurry does to a ticket: slips of the keyboard, lost capitals, commas and apostrophes,
// abbreviations, sentences that run into each other. Nothing here may change what a careful reader
// understands.

#include <string>

#include "base/rng.h"
#include "ticket_grammar.h"

namespace bantam::tools {

/// `text` with the noise that the grammar's settings and `rng` decide. Words of the grammar's keep list stay
/// as they are, and so do words shorter than five letters and the first letter of every word.
std::string add_noise(const std::string& text, const Grammar& grammar, Rng& rng);

/// Lower case, letters and digits only, single spaces: equal for texts that differ in nothing a reader would
/// notice.
std::string normal_form(std::string_view text);

}  // namespace bantam::tools
