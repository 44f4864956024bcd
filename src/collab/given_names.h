#pragma once

namespace bantam::collab {

/// Common given names of several languages, in lower case and parted by spaces. Internal to redaction.
extern const char* const kGivenNames;

}  // namespace bantam::collab
