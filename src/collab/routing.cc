#include "collab/routing.h"

#include <algorithm>
#include <mutex>
#include <numeric>

#include "base/usage.h"
#include "collab/pass_on.h"
#include "collab/routing/conversations.h"
#include "collab/routing/query.h"
#include "collab/trace.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::EventSink;
using chat::Reply;
using chat::Request;

using Models = std::vector<std::shared_ptr<chat::ChatModel>>;

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

uint64_t mix(uint64_t hash, std::string_view text) {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;  // FNV-1a, 64 bits
  return (hash ^ 0xff) * 1099511628211ull;  // an end, so that borders count
}
constexpr uint64_t kConversationBasis = 14695981039346656037ull;

/// What the request asks for beside text.
uint64_t needs_of(const Request& request) {
  uint64_t hash = kConversationBasis;
  for (const chat::Tool& tool : request.tools) hash = mix(hash, tool.name);
  hash = mix(hash, fmt::format("{}", static_cast<int>(request.format.kind)));
  return mix(hash, request.format.schema);
}

/// What stays the same for a conversation; empty for a bare prompt.
std::string key_of(const Request& request) {
  if (!request.conversation.empty()) return request.caller + '\n' + request.conversation;
  uint64_t hash = mix(kConversationBasis, request.caller);
  for (const chat::Message& message : request.messages) {
    hash = mix(mix(hash, message.role), message.content);
    if (message.role == "user") return fmt::format("{:016x}", hash);
  }
  return {};
}

struct Choice {
  size_t model = 0;
  std::string why;
  std::vector<double> expected = {};  // quality of each model, where a router was asked
};

class Routing final : public chat::ChatModel {
 public:
  Routing(Models models, RoutingOptions options, std::vector<size_t> column, std::vector<size_t> rules,
          size_t otherwise)
      : models_(std::move(models)),
        options_(std::move(options)),
        column_(std::move(column)),
        rules_(std::move(rules)),
        otherwise_(otherwise),
        conversations_(options_.most_conversations, options_.stay) {}

  const std::string& name() const override { return options_.name; }
  bool remote() const override {
    return std::any_of(models_.begin(), models_.end(), [](const auto& model) { return model->remote(); });
  }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    const Choice choice = decide(request);
    std::vector<size_t> order = order_of(choice);
    Trace trace;
    for (size_t i = 0;; ++i) {
      const size_t model = order[i];
      PassOn forward(sink);
      const double start = wall_seconds();
      Result<Reply> reply = co_await models_[model]->generate(request, forward.sink());
      if (reply) {
        reply->notes.push_back(note_of(choice));
        co_return trace.finish(std::move(*reply));
      }
      const bool over = reply.error().code == Code::kCancelled || forward.begun() || !options_.fall_back ||
                        i + 1 == order.size();
      if (over) co_return reply;
      trace.add_failure(models_[model]->name(), reply.error(), start);
    }
  }

 private:
  /// The model for the request, and the conversation's entry brought up to date.
  Choice decide(const Request& request) {
    const auto now = routing::Conversations::Clock::now();
    const std::string key = key_of(request);
    const uint64_t needs = needs_of(request);
    const auto before = key.empty() ? std::nullopt : last_choice(key, now);
    Choice choice;
    if (before && before->needs == needs) {
      choice = fresh(routing::last_turn_of(request), request);
      const bool ruled = choice.expected.empty() && choice.why.starts_with("rule");
      const bool worse = !choice.expected.empty() &&
                         choice.expected[choice.model] - choice.expected[before->model] > options_.change;
      if (choice.model != before->model && !ruled && !worse) {
        choice.model = before->model;
        choice.why = "as before in this conversation";
      }
    } else {
      choice = fresh(routing::query_of(request), request);
    }
    if (key.empty()) return choice;
    std::lock_guard lock(mutex_);
    conversations_.put(key, {choice.model, needs}, now);
    return choice;
  }

  std::optional<routing::Conversations::Entry> last_choice(const std::string& key,
                                                           routing::Conversations::Clock::time_point now) {
    std::lock_guard lock(mutex_);
    return conversations_.find(key, now);
  }

  /// As for a request nothing is known of.
  Choice fresh(const routing::Query& query, const Request& request) const {
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (fits(options_.rules[i], request)) return {rules_[i], fmt::format("rule {}", i + 1)};
    }
    if (!options_.router) return {otherwise_, "no rule fits"};
    const auto quality = options_.router->predict(query);
    std::vector<double> cost;
    for (const auto& model : options_.router->models()) cost.push_back(model.cost);
    Choice out{column_[routing::choose(quality, cost, options_.policy)], "router",
               std::vector<double>(models_.size())};
    for (size_t c = 0; c < quality.size(); ++c) out.expected[column_[c]] = quality[c];
    return out;
  }

  static bool fits(const RoutingRule& rule, const Request& request) {
    const routing::Query query = routing::query_of(request);
    if (query.text.size() < rule.min_bytes || query.turns < rule.min_turns) return false;
    if (rule.max_bytes != 0 && query.text.size() > rule.max_bytes) return false;
    if (rule.tools && *rule.tools != (query.tools > 0)) return false;
    if (rule.format && *rule.format != query.schema) return false;
    if (rule.contains.empty()) return true;
    const std::string last = lower_case(routing::last_turn_of(request).text);
    return std::any_of(rule.contains.begin(), rule.contains.end(), [&](const std::string& part) {
      return last.find(lower_case(part)) != std::string::npos;
    });
  }

  /// The chosen model, then the others, the best expected first (without a router the last of the list
  /// first).
  std::vector<size_t> order_of(const Choice& choice) const {
    std::vector<size_t> order(models_.size());
    std::iota(order.rbegin(), order.rend(), size_t{0});
    if (!choice.expected.empty()) {
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return choice.expected[a] > choice.expected[b]; });
    }
    const auto chosen = std::find(order.begin(), order.end(), choice.model);
    std::rotate(order.begin(), chosen, chosen + 1);
    return order;
  }

  std::string note_of(const Choice& choice) const {
    std::string note = fmt::format("routing: {}, {}", models_[choice.model]->name(), choice.why);
    for (size_t m = 0; m < choice.expected.size(); ++m)
      note += fmt::format("{}{} {:.2f}", m == 0 ? "; expected quality: " : ", ", models_[m]->name(),
                          choice.expected[m]);
    return note;
  }

  Models models_;
  RoutingOptions options_;
  std::vector<size_t> column_;  // the team's model for each of the router's
  std::vector<size_t> rules_;   // the team's model for each rule
  size_t otherwise_;
  std::mutex mutex_;
  routing::Conversations conversations_;  // guarded by it
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_routing(Models models, RoutingOptions options) {
  const auto place = [&](const std::string& name, const char* what) -> Result<size_t> {
    const auto found =
        std::find_if(models.begin(), models.end(), [&](const auto& model) { return model->name() == name; });
    if (found == models.end()) {
      return fail(Code::kInvalidArgument, "team '{}': {}: found no model '{}' in the team", options.name,
                  what, name);
    }
    return static_cast<size_t>(found - models.begin());
  };
  if (models.size() < 2 || std::find(models.begin(), models.end(), nullptr) != models.end()) {
    return fail(Code::kInvalidArgument, "team '{}': models: found {}, expected at least two", options.name,
                models.size());
  }
  std::vector<size_t> columns, rules;
  size_t otherwise = models.size() - 1;
  if (options.router) {
    for (const auto& model : options.router->models()) {
      BANTAM_ASSIGN(const size_t column, place(model.name, "router"));
      columns.push_back(column);
    }
    if (columns.size() != models.size()) {
      return fail(Code::kInvalidArgument, "team '{}': router: it knows {} of the team's {} models",
                  options.name, columns.size(), models.size());
    }
  }
  for (const RoutingRule& rule : options.rules) {
    BANTAM_ASSIGN(const size_t model, place(rule.model, "rules"));
    rules.push_back(model);
  }
  if (!options.otherwise.empty()) {
    BANTAM_ASSIGN(otherwise, place(options.otherwise, "otherwise"));
  }
  return std::make_shared<Routing>(std::move(models), std::move(options), std::move(columns),
                                   std::move(rules), otherwise);
}

}  // namespace bantam::collab
