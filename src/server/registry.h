#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_model.h"
#include "server/config.h"

namespace bantam::server {

/// The models and teams a server answers for, by name. Immutable once open; safe to use from many threads.
class Registry {
 public:
  /// Loads the files, makes the clients and the teams. Errors: those of the parts, with the model's name.
  static Result<Registry> open(const ServerConfig& config);
  /// Of models made elsewhere.
  explicit Registry(std::vector<std::shared_ptr<chat::ChatModel>> models) : models_(std::move(models)) {}

  /// Puts something around each model; what is there already keeps what it had.
  void wrap(const std::function<std::shared_ptr<chat::ChatModel>(std::shared_ptr<chat::ChatModel>)>& around) {
    for (auto& model : models_) model = around(std::move(model));
  }

  /// Null when there is none of that name.
  std::shared_ptr<chat::ChatModel> find(std::string_view name) const;
  /// In the config's order, models before teams.
  const std::vector<std::shared_ptr<chat::ChatModel>>& all() const { return models_; }

 private:
  std::vector<std::shared_ptr<chat::ChatModel>> models_;
};

}  // namespace bantam::server
