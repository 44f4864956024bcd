#pragma once
// Ledger, budgets, keys, egress and redaction as the config names them, and what a server makes of them.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "collab/accounts.h"
#include "collab/member.h"
#include "formats/toml_reader.h"

namespace bantam::server {

/// A key of the config; those of the ledger come beside them.
struct KeyConfig {
  std::string name;
  std::string sha256;              // of the key that clients send, in hexadecimal
  std::vector<std::string> teams;  // models and teams it may ask; none: all
  std::optional<collab::Limit> budget;
};

/// What a model or team of the config has of its own.
struct MemberConfig {
  std::optional<collab::Egress> egress;
  std::optional<collab::Limit> budget;
};

struct PolicyConfig {
  std::string ledger;  // URL; empty: none
  std::string audit;   // path; empty: none
  collab::Sync sync = collab::Sync::kDisk;
  bool ledger_keys = false;  // callers need one of the keys in the ledger (or of `keys`)
  std::optional<collab::Limit> budget;
  uint32_t answer_tokens = 4096;
  collab::Egress egress = collab::Egress::kAllow;
  collab::RedactorOptions redaction;
  bool explain = true;
  std::vector<KeyConfig> keys;
  std::map<std::string, MemberConfig> members;  // by the name of a model or team
};

/// Reads [ledger], [budget], [egress], [redaction] and [[keys]]. Paths are relative to `directory`. Errors
/// are the table's, and those of reading the lists that [redaction] names.
void read_policy(formats::TomlTable& root, const std::string& directory, PolicyConfig& out);
/// Reads the keys `egress` and `budget` of a model's or team's table.
void read_member_policy(formats::TomlTable& table, const std::string& name, PolicyConfig& out);
/// What only the whole can show: budgets and keys of the ledger without a ledger, keys for teams that are
/// none.
Status check_policy(const PolicyConfig& config, const std::set<std::string>& names);

/// The parts at work. Safe to use from many threads.
class Policy {
 public:
  /// Opens ledger and audit log. Errors: theirs, and the redactor's.
  static Result<Policy> open(const PolicyConfig& config);

  /// A model as `team` may use it: within its egress policy and the budgets.
  std::shared_ptr<chat::ChatModel> member(std::shared_ptr<chat::ChatModel> model, const chat::Prices& prices,
                                          const std::string& team) const;
  /// A model or team as callers ask for it: counted and recorded.
  std::shared_ptr<chat::ChatModel> accounted(std::shared_ptr<chat::ChatModel> model,
                                             const std::string& strategy) const;
  /// Null where there is no ledger.
  std::shared_ptr<collab::Recorder> recorder() const { return recorder_; }

 private:
  PolicyConfig config_;
  std::shared_ptr<collab::Recorder> recorder_;
  std::shared_ptr<collab::Accounts> accounts_;
  std::shared_ptr<const collab::Redactor> redactor_;
  std::shared_ptr<collab::Conversations> conversations_;
};

}  // namespace bantam::server
