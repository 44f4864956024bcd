#pragma once
// A model as a team may use it: within the team's egress policy, its redaction, and the budgets.

#include <memory>
#include <string>

#include "chat/chat_model.h"
#include "collab/accounts.h"
#include "collab/redact.h"

namespace bantam::collab {

/// What of a request may go to a model beyond this machine.
enum class Egress {
  kAllow,   // all
  kRedact,  // all but what the redactor finds
  kDeny,    // nothing
};

struct MemberPolicy {
  std::string team;  // the name that callers ask for
  Egress egress = Egress::kAllow;
  std::shared_ptr<const Redactor> redactor;      // with kRedact
  std::shared_ptr<Conversations> conversations;  // may be null
  bool explain = true;                 // a system message says what placeholders are, where there are any
  chat::Prices prices;                 // the model's own
  std::shared_ptr<Accounts> accounts;  // null: nothing is reserved and nothing recorded
};

/// A ChatModel around `model`, with its name and task.
///
/// Egress: it is asked about nothing a policy of kDeny forbids, so not so much as a name is looked up. With
/// kRedact placeholders go up, and originals are put back in the answer, in its parts as they stream and in
/// the arguments of tool calls; log-probabilities speak of the placeholders (Reply::notes says so). A call to
/// a remote model stands in the audit log before it is made. Local models pass unhindered.
///
/// Budgets: before a call that has a price or is remote, its worst case is reserved: each byte sent counts as
/// a token, and max_tokens of answer (Accounts::answer_tokens where the request has none, which it is then
/// sent). What it came to replaces the reservation when the request ends. An answer that runs on past any
/// number of tokens it could have is cut off. Where a call breaks off or gives no usage figures, the most it
/// can have cost is charged, and marked as estimated.
///
/// Errors beside the model's own: kDenied (policy, or redaction that failed), kQuota (budget), and those of
/// Recorder::commit; the model was not called then.
std::shared_ptr<chat::ChatModel> make_member(std::shared_ptr<chat::ChatModel> model, MemberPolicy policy);

/// No request has more tokens than this of prompt, whatever the tokenizer.
uint64_t most_prompt_tokens(const chat::Request& request);

}  // namespace bantam::collab
