#pragma once
// One request of parallel verification (verify.h), from its start to its last word. Internal to collab.

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "collab/beside.h"
#include "collab/hold_back.h"
#include "collab/prompt_template.h"
#include "collab/trace.h"
#include "collab/verify.h"

namespace bantam::collab {

/// What a race needs of its team.
struct VerifyParts {
  const VerifyOptions& options;
  LlmCall &slm, &llm;
  const PromptTemplate &judge, &correction;
};

/// Lives in the frame of generate(); everything in it runs on the executor's one thread. The two calls only
/// put what they produce into buffers; run() alone decides and writes.
class VerifyRace {
 public:
  using Clock = std::chrono::steady_clock;
  VerifyRace(VerifyParts parts, const chat::Request& request, const chat::EventSink& sink,
             boost::asio::any_io_executor executor);
  chat::Awaitable<Result<chat::Reply>> run();

 private:
  enum class Outcome {
    kOpen,
    kStands,  // the SLM's answer, without a verdict
    kAgree,
    kDisagree,
    kOvertaken,  // the LLM was done first, and what the SLM has said is how its answer begins
    kNoSlm,
    kNoLlm,
    kCallerGone
  };

  void start_slm();
  void start_llm();
  chat::EventSink slm_sink();
  chat::EventSink llm_sink();
  /// What is known of the outcome now; what a judge would have to say stays open.
  Outcome decide();
  Outcome compare();
  bool task_labels() const { return parts_.slm.model().task() && !parts_.slm.model().task()->labels.empty(); }
  bool answer_stands(const chat::Reply& reply) const;
  std::optional<Clock::time_point> next_look() const;
  chat::Awaitable<Outcome> watch();
  chat::Awaitable<Outcome> ask_judge();
  chat::Awaitable<void> join();

  // What goes out.
  chat::Awaitable<bool> write_text(std::string text);
  chat::Awaitable<bool> write_verdict(chat::Verdict::Kind kind, std::string text, const std::string& by);
  chat::Awaitable<bool> write_calls(const chat::Reply& reply);
  chat::Awaitable<bool> write_outbox();

  // How it ends.
  chat::Awaitable<Result<chat::Reply>> keep_slm(Outcome outcome);
  chat::Awaitable<Result<chat::Reply>> take_llm(Outcome outcome);
  chat::Awaitable<bool> stream_llm(std::string_view before, std::string_view after, size_t skip);
  chat::Awaitable<Result<chat::Reply>> llm_lost();
  Result<chat::Reply> gone();

  VerifyParts parts_;
  const chat::Request& request_;
  const chat::EventSink& sink_;
  boost::asio::any_io_executor executor_;
  net::AsyncEvent changed_;              // for run()
  net::AsyncEvent slm_room_, llm_room_;  // for the two producers
  bool typed_;
  HoldBack held_;
  std::string slm_text_, llm_text_;  // so far
  std::string outbox_;               // of the SLM's text, may go out
  std::string written_;              // has gone out as text
  bool called_tools_ = false, first_word_ = false, drafted_ = false, sink_closed_ = false;
  bool abandoned_ = false;  // the SLM's text matters no more
  bool llm_speaks_ = false, llm_spoke_ = false;
  size_t compared_at_ = 0;  // bytes of both texts at the last comparison
  Clock::time_point start_ = Clock::now(), slm_end_{};
  std::optional<Beside> slm_, llm_;
  std::optional<Error> judge_error_;
  std::optional<chat::Reply> judge_reply_;
  Trace trace_;
};

}  // namespace bantam::collab
