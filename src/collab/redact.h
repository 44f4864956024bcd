#pragma once
// Reversible redaction: what must not leave becomes a placeholder such as [EMAIL_1], and placeholders in the
// answer become what they stand for.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/chat_model.h"

namespace bantam::collab {

/// A pattern of the config (RE2's syntax). What its first group matches is redacted, or the whole match when
/// it has none.
struct OwnPattern {
  std::string name;  // of the placeholder: capital letters, digits and _, beginning with a letter
  std::string pattern;
};

struct RedactorOptions {
  /// Of "email", "phone", "card", "iban", "ip", "name", "address"; none: all.
  std::vector<std::string> types = {};
  std::vector<std::string> names = {}, addresses = {};  // lists of terms; matched as whole words in any case
  std::vector<OwnPattern> patterns = {};
};

/// A part of a text, in bytes.
struct Finding {
  size_t begin = 0, end = 0;
  std::string type;  // as in a placeholder: "EMAIL"
};

/// Finds what to redact:
/// e-mail addresses; telephone numbers by their form and by words before them; payment cards (ISO/IEC 7812,
/// 12 to 19 digits with a right Luhn digit); IBANs (ISO 13616, right length and checksum); IPv4 and IPv6
/// addresses; names and postal addresses from lists and by their surroundings (titles, introductions, common
/// given names, words for streets), which finds many and not all; own patterns; and text that looks like a
/// placeholder. Full-width and other variants of ASCII characters count as these, and invisible characters
/// as absent. Immutable; safe to use from many threads.
class Redactor {
 public:
  /// Errors: kInvalidArgument for an unknown type or a pattern that RE2 refuses.
  static Result<std::shared_ptr<const Redactor>> create(const RedactorOptions& options);
  ~Redactor();
  /// In order and without overlaps.
  std::vector<Finding> find(std::string_view text) const;

 private:
  struct Parts;
  Redactor();
  std::unique_ptr<Parts> parts_;
};

/// What was given which number in the conversations of late, so that a text keeps its placeholder when the
/// client leaves out the conversation's beginning. Holds originals in memory, of at most `kMost`
/// conversations. Safe to use from many threads.
class Conversations {
 public:
  struct Numbers {
    std::map<std::string, std::string, std::less<>> placeholder_of;  // by "TYPE original"
    std::map<std::string, uint64_t, std::less<>> last;               // number of each type
  };
  static constexpr size_t kMost = 4096;
  /// Empty for a conversation not known, or without an id.
  Numbers get(const std::string& caller, const std::string& conversation);
  void put(const std::string& caller, const std::string& conversation, Numbers numbers);

 private:
  std::mutex mutex_;
  uint64_t clock_ = 0;
  std::map<std::pair<std::string, std::string>, std::pair<uint64_t, Numbers>> known_;
};

/// The redaction of one request and the way back. For one thread at a time.
class Redaction {
 public:
  explicit Redaction(std::shared_ptr<const Redactor> redactor, Conversations::Numbers numbers = {})
      : redactor_(std::move(redactor)), numbers_(std::move(numbers)) {}

  /// Everything in the request that goes to a model: messages, tool calls, tools, schemas, stop texts,
  /// choices. Errors: kDenied where it cannot be done (tool calls or schemas that are no JSON, findings that
  /// do not end); then the request must not be sent.
  Status apply(chat::Request& request);
  /// One text. Errors: as above.
  Result<std::string> text(std::string_view original);
  /// JSON text: the strings and numbers in it; all else stays byte for byte.
  Result<std::string> json(std::string_view original);

  /// Puts originals back for the placeholders this redaction gave. `in_json`: escaped as within a JSON
  /// string.
  std::string restore(std::string_view text, bool in_json) const;
  /// What a placeholder of this request stands for; null for any other text.
  const std::string* original(std::string_view placeholder) const;

  /// How many parts were replaced, by type.
  const std::map<std::string, uint64_t>& counts() const { return counts_; }
  const Conversations::Numbers& numbers() const { return numbers_; }

 private:
  std::string placeholder(const std::string& type, std::string_view original);
  std::shared_ptr<const Redactor> redactor_;
  Conversations::Numbers numbers_;
  std::map<std::string, std::string, std::less<>> originals_;  // by placeholder, of this request only
  std::map<std::string, uint64_t> counts_;
};

/// Puts originals back in a text that comes in parts, however placeholders are cut.
class Restorer {
 public:
  Restorer(const Redaction& redaction, bool in_json) : redaction_(&redaction), in_json_(in_json) {}
  /// What can be said so far; holds back what may be the beginning of a placeholder.
  std::string feed(std::string_view part);
  /// What was held back.
  std::string finish();

 private:
  const Redaction* redaction_;
  bool in_json_;
  std::string held_;
};

}  // namespace bantam::collab
