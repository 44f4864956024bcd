#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "collab/recorder.h"
#include "server/config.h"

namespace bantam::server {

/// The models and teams a server answers for, by name. Immutable once open; safe to use from many threads.
class Registry {
 public:
  /// Loads the files, makes the clients and the teams, each within its policy (policy.h), and counted and recorded
  /// where there is a ledger. Errors: those of the parts, with the model's name, and Policy::open's.
  static Result<Registry> open(const ServerConfig& config);
  /// Of models made elsewhere.
  explicit Registry(std::vector<std::shared_ptr<chat::ChatModel>> models) : models_(std::move(models)) {}

  /// Puts something around each model; what is there already keeps what it had.
  void wrap(const std::function<std::shared_ptr<chat::ChatModel>(std::shared_ptr<chat::ChatModel>)>& around) {
    for (auto& model : models_) model = around(std::move(model));
  }

  /// Of the ledger; null where the config names none.
  const std::shared_ptr<collab::Recorder>& recorder() const { return recorder_; }

  /// Null when there is none of that name.
  std::shared_ptr<chat::ChatModel> find(std::string_view name) const;
  /// In the config's order, models before teams.
  const std::vector<std::shared_ptr<chat::ChatModel>>& all() const { return models_; }

 private:
  std::vector<std::shared_ptr<chat::ChatModel>> models_;
  std::shared_ptr<collab::Recorder> recorder_;
};

}  // namespace bantam::server
