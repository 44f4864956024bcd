#pragma once
// [[teams]] with strategy = "routing": their keys, and the team made of them.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collab/routing.h"
#include "formats/toml_reader.h"

namespace bantam::server {

struct RoutingConfig {
  std::vector<std::string> models;  // names, of which there are at least two
  std::string router;               // of `bantam route train`; empty: rules alone
  /// At most one of these; none: the best model for each request.
  std::optional<double> accuracy;  // wanted mean quality, from the router's held-out curve
  std::optional<double> budget;    // mean cost of a request at most
  std::optional<double> quality;   // of each request: the cheapest model expected to reach it
  collab::RoutingOptions options;  // its name, router and policy are set by open_routing()
};

/// Errors are recorded at the table. Paths are relative to `directory`.
RoutingConfig read_routing(formats::TomlTable& table, const std::string& directory);

/// `models`: those that the config names, null where there is none. Errors: those of Router::load and
/// make_routing; kInvalidArgument for an accuracy or budget that the router's curve cannot give.
Result<std::shared_ptr<chat::ChatModel>> open_routing(const std::string& name, const RoutingConfig& config,
                                                      std::vector<std::shared_ptr<chat::ChatModel>> models);

}  // namespace bantam::server
