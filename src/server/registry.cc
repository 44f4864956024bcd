#include "server/registry.h"

#include <filesystem>

#include "chat/local.h"
#include "chat/recorded.h"

namespace bantam::server {
namespace {

using ModelPtr = std::shared_ptr<chat::ChatModel>;

Result<ModelPtr> open_local(const ModelConfig& config, size_t max_queue) {
  runtime::EngineOptions options;
  options.threads = config.threads;
  options.context_length = config.context;
  options.kv_cache = config.kv_cache;
  options.adapters = config.adapters;
  BANTAM_ASSIGN(auto engine, runtime::Engine::load(config.path, options));
  std::string name = config.name;
  if (name.empty() && engine->task()) name = engine->task()->name;
  if (name.empty()) name = std::filesystem::path(config.path).stem().string();
  return chat::make_local(std::move(engine), {.name = std::move(name),
                                              .prices = config.prices,
                                              .sessions = config.sessions,
                                              .max_waiting = max_queue,
                                              .kv_bytes = config.cache_bytes,
                                              .context_shift = config.context_shift});
}

Result<ModelPtr> open_remote(const ModelConfig& config, bool offline) {
  chat::RemoteOptions options;
  options.name = config.name;
  options.base_url = config.url;
  options.model = config.model.empty() ? config.name : config.model;
  options.key_env = config.key_env;
  options.prices = config.prices;
  options.choice_mode = config.choices;
  options.max_tokens_field = config.max_tokens_field;
  options.max_retries = config.max_retries;
  options.offline = offline;
  options.breaker = config.breaker;
  options.limits = config.limits;
  options.max_answer_tokens = config.max_answer_tokens;
  options.http.connect_timeout = config.connect_timeout;
  options.http.first_byte_timeout = config.answer_timeout;
  options.http.read_timeout = config.read_timeout;
  options.http.ca_file = config.ca_file;
  return chat::make_remote(std::move(options));
}

Result<ModelPtr> open_model(const ModelConfig& model, const ServerConfig& config) {
  if (!model.path.empty()) return open_local(model, config.max_queue);
  if (!model.url.empty()) return open_remote(model, config.offline);
  return chat::open_recorded(model.recording, {model.name, model.prices, model.pace});
}

/// `models` are those that this team may use, within its policy.
Result<ModelPtr> open_team(const TeamConfig& config, const Registry& models) {
  if (config.routing) {
    std::vector<ModelPtr> members;
    for (const std::string& name : config.routing->models) members.push_back(models.find(name));
    return open_routing(config.name, *config.routing, std::move(members));
  }
  ModelPtr slm = models.find(config.slm), llm = models.find(config.llm);
  return open_strategy(config.name, config.strategy, config.of_strategy, std::move(slm), std::move(llm));
}

}  // namespace

ModelPtr Registry::find(std::string_view name) const {
  for (const ModelPtr& model : models_) {
    if (model->name() == name) return model;
  }
  return nullptr;
}

Result<Registry> Registry::open(const ServerConfig& config) {
  Registry out({});
  BANTAM_ASSIGN(Policy policy, Policy::open(config.policy));
  out.recorder_ = policy.recorder();
  auto add = [&](Result<ModelPtr> made, const std::string& strategy) -> Status {
    if (!made) return std::unexpected(std::move(made).error());
    if (out.find((*made)->name()))
      return fail(Code::kInvalidArgument, "there are two models of the name '{}'", (*made)->name());
    out.models_.push_back(policy.accounted(std::move(*made), strategy));
    return {};
  };
  std::vector<ModelPtr> bare;
  auto members_of = [&](const std::string& team) {
    std::vector<ModelPtr> members;
    for (size_t i = 0; i < bare.size(); ++i)
      members.push_back(policy.member(bare[i], config.models[i].prices, team));
    return members;
  };
  for (const ModelConfig& model : config.models) {
    BANTAM_ASSIGN(ModelPtr opened, open_model(model, config));
    bare.push_back(opened);
    std::string name = opened->name();
    BANTAM_TRY(add(policy.member(std::move(opened), model.prices, name), config.strategy_of(name)));
  }
  for (const TeamConfig& team : config.teams)
    BANTAM_TRY(add(open_team(team, Registry(members_of(team.name))), config.strategy_of(team.name)));
  return out;
}

}  // namespace bantam::server
