#pragma once
// What a server's requests are counted against and written to.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chat/call_notes.h"
#include "chat/chat_model.h"
#include "collab/recorder.h"

namespace bantam::collab {

struct AccountsOptions {
  std::optional<Limit> all;                  // of everything together
  std::map<std::string, Limit> teams, keys;  // by name
  uint32_t answer_tokens =
      4096;  // what an answer may have where a budget needs a bound and the request has none
};

/// Safe to use from many threads.
class Accounts {
 public:
  Accounts(std::shared_ptr<Recorder> recorder, AccountsOptions options)
      : recorder_(std::move(recorder)), options_(std::move(options)) {}
  Recorder& recorder() const { return *recorder_; }
  uint32_t answer_tokens() const { return options_.answer_tokens; }
  /// The budgets that a request of this caller to this team counts against: the caller's key's (of the config
  /// or of the ledger), the team's, and the one for all.
  std::vector<Limit> limits(const std::string& caller, const std::string& team) const;

 private:
  std::shared_ptr<Recorder> recorder_;
  AccountsOptions options_;
};

/// What a call counts for against budgets, once it is over.
Amount amount_of(const chat::CallNote& note);

/// A ChatModel around a model or team as callers ask for it (its members being made by make_member): counts
/// the request against the budgets, and writes its row of the ledger and its entry of the audit log before
/// generate() or embed() is done, whatever came of it. `strategy`: for the ledger ("cascade", "model").
/// Errors beside the model's own: kQuota, and those of Recorder::commit: an answer that could not be recorded
/// is an error, also after its text was streamed.
std::shared_ptr<chat::ChatModel> make_accounted(std::shared_ptr<chat::ChatModel> model, std::string strategy,
                                                std::shared_ptr<Accounts> accounts);

}  // namespace bantam::collab
