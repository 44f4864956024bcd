#include "server/routing_config.h"

#include <filesystem>

namespace bantam::server {
namespace {

using collab::routing::Router;
using RoutingPolicy = collab::routing::Policy;

collab::RoutingRule read_routing_rule(formats::TomlTable table) {
  collab::RoutingRule out;
  out.model = table.text("model", "");
  if (out.model.empty()) table.reject("model", "found none, expected a name");
  out.contains = table.texts("contains");
  out.min_bytes = table.whole("min_bytes", 0, 0, 1ull << 40);
  out.max_bytes = table.whole("max_bytes", 0, 0, 1ull << 40);
  out.min_turns = static_cast<uint32_t>(table.whole("min_turns", 0, 0, 1 << 20));
  if (table.has("tools")) out.tools = table.flag("tools", false);
  if (table.has("format")) out.format = table.flag("format", false);
  return out;
}

std::optional<double> optional_number(formats::TomlTable& table, const char* key, double high) {
  if (!table.has(key)) return std::nullopt;
  return table.number(key, 0, 0, high);
}

Result<RoutingPolicy> policy_of(const RoutingConfig& config, const Router& router) {
  if (config.quality) return RoutingPolicy{RoutingPolicy::Kind::kQuality, *config.quality};
  if (!config.accuracy && !config.budget) return RoutingPolicy{RoutingPolicy::Kind::kQuality, 1};
  if (router.curve().empty()) {
    return fail(Code::kInvalidArgument,
                "accuracy, cost: the router was trained without costs; use quality instead");
  }
  const auto price = config.accuracy ? price_for_quality(router.curve(), *config.accuracy)
                                     : price_for_budget(router.curve(), *config.budget);
  if (!price) {
    return fail(Code::kInvalidArgument, "cost: found {}, but the cheapest operating point costs more",
                *config.budget);
  }
  return RoutingPolicy{RoutingPolicy::Kind::kPrice, *price};
}

}  // namespace

RoutingConfig read_routing(formats::TomlTable& table, const std::string& directory) {
  RoutingConfig out;
  out.models = table.texts("models");
  if (out.models.size() < 2) table.reject("models", "expected the names of at least two [[models]]");
  const std::string router = table.text("router", "");
  if (!router.empty()) out.router = (std::filesystem::path(directory) / router).string();
  out.accuracy = optional_number(table, "accuracy", 1);
  out.budget = optional_number(table, "cost", 1e9);
  out.quality = optional_number(table, "quality", 1);
  if (out.accuracy.has_value() + out.budget.has_value() + out.quality.has_value() > 1)
    table.reject("models", "found more than one of accuracy, cost and quality");
  if (router.empty() && (out.accuracy || out.budget || out.quality))
    table.reject("router", "found none, which accuracy, cost and quality need");
  for (auto& rule : table.tables("rules")) out.options.rules.push_back(read_routing_rule(std::move(rule)));
  if (router.empty() && out.options.rules.empty()) table.reject("router", "found neither a router nor rules");
  auto& options = out.options;
  options.otherwise = table.text("otherwise", "");
  options.change = table.number("change", options.change, 0, 1);
  options.fall_back = table.flag("fall_back", options.fall_back);
  options.most_conversations = table.whole("most_conversations", options.most_conversations, 0, 100'000'000);
  const double stay = static_cast<double>(options.stay.count());
  options.stay = std::chrono::seconds(static_cast<int64_t>(table.number("stay", stay, 0, 1e9)));
  return out;
}

Result<std::shared_ptr<chat::ChatModel>> open_routing(const std::string& name, const RoutingConfig& config,
                                                      std::vector<std::shared_ptr<chat::ChatModel>> models) {
  collab::RoutingOptions options = config.options;
  options.name = name;
  if (!config.router.empty()) {
    auto router = Router::load(config.router);
    if (!router) return std::unexpected(std::move(router).error().in(fmt::format("team '{}'", name)));
    auto policy = policy_of(config, *router);
    if (!policy) return std::unexpected(std::move(policy).error().in(fmt::format("team '{}'", name)));
    options.policy = *policy;
    options.router = std::make_shared<const Router>(std::move(*router));
  }
  return collab::make_routing(std::move(models), std::move(options));
}

}  // namespace bantam::server
