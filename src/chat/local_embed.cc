#include "chat/local_embed.h"

#include <cmath>
#include <mutex>

#include "chat/cancel_scope.h"
#include "net/async_event.h"

namespace bantam::chat {
namespace {

/// Where the scheduler's thread leaves one vector and the coroutine finds it; either may be gone first.
struct Place {
  std::mutex mutex;
  std::optional<Result<std::vector<float>>> vector;
  net::AsyncEvent* waiting = nullptr;

  void put(Result<std::vector<float>> found) {
    std::lock_guard lock(mutex);
    vector = std::move(found);
    if (waiting != nullptr) waiting->set();
  }
  bool done() {
    std::lock_guard lock(mutex);
    return vector.has_value();
  }
};

/// Keeps the event known to the place for as long as it lives.
class Waiter {
 public:
  Waiter(Place& place, net::AsyncEvent& event) : place_(place) {
    std::lock_guard lock(place_.mutex);
    place_.waiting = &event;
  }
  ~Waiter() {
    std::lock_guard lock(place_.mutex);
    place_.waiting = nullptr;
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 private:
  Place& place_;
};

/// The first `dimensions` numbers, of length 1 again.
Status shorten(std::vector<float>& vector, uint32_t dimensions) {
  if (dimensions == 0 || dimensions > vector.size()) {
    return fail(Code::kInvalidArgument, "dimensions: found {}, expected 1 to {}", dimensions, vector.size());
  }
  vector.resize(dimensions);
  double squares = 0;
  for (float x : vector) squares += double{x} * x;
  if (squares > 0) {
    for (float& x : vector) x = static_cast<float>(x / std::sqrt(squares));
  }
  return {};
}

}  // namespace

Awaitable<Result<Embeddings>> embed_locally(const runtime::Engine& engine, runtime::Scheduler& scheduler,
                                            const EmbedRequest& request, const std::string& name) {
  CancelScope scope(request.cancel, request.deadline);
  net::AsyncEvent event(co_await asio::this_coro::executor);
  std::stop_callback on_stop(scope.token(), [&event] { event.set(); });
  Embeddings out;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    auto tokens = engine.tokenizer().encode(request.inputs[i]);
    if (!tokens) co_return std::unexpected(std::move(tokens).error().in(fmt::format("input[{}]", i)));
    if (tokens->empty()) co_return fail(Code::kInvalidArgument, "input[{}]: found no tokens", i);
    out.usage.prompt_tokens += tokens->size();
    auto place = std::make_shared<Place>();
    Waiter waiter(*place, event);
    const std::vector<runtime::TokenId> first(tokens->begin(), tokens->begin() + 1);
    const auto job = [place, tokens = *tokens, stop = scope.token()](Result<runtime::Session*> session) {
      place->put(session ? (*session)->embed(tokens, stop) : std::unexpected(std::move(session).error()));
    };
    auto ticket = scheduler.run(first, tokens->size(), job, scope.token());
    if (!ticket) co_return std::unexpected(std::move(ticket).error().in(name));
    while (!place->done() && !scope.token().stop_requested()) co_await event.wait();
    if (scope.token().stop_requested()) co_return scope.error(name);
    auto& vector = *place->vector;
    if (!vector) co_return std::unexpected(std::move(vector).error().in(fmt::format("input[{}]", i)));
    if (request.dimensions) {
      if (Status status = shorten(*vector, *request.dimensions); !status) {
        co_return std::unexpected(std::move(status).error());
      }
    }
    out.vectors.push_back(std::move(*vector));
  }
  co_return out;
}

}  // namespace bantam::chat
