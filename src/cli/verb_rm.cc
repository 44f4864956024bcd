#include <memory>

#include "cli/verbs.h"
#include "store/store.h"

namespace bantam::cli {
namespace {

struct RmVerbOptions {
  std::vector<std::string> names;
  bool all = false, interrupted = false;
};

/// `out` tells what was removed, whatever comes of it.
Status remove_all(const RmVerbOptions& options, const store::Store& store, std::vector<store::Removed>& out) {
  std::vector<store::ModelName> names;
  for (const auto& text : options.names) {  // nothing is removed where one is no name
    BANTAM_ASSIGN(auto name, store::parse_name(text));
    names.push_back(std::move(name));
  }
  for (const auto& name : names) {
    BANTAM_ASSIGN(const auto removed, store.remove(name, options.all));
    out.insert(out.end(), removed.begin(), removed.end());
  }
  if (options.interrupted) {
    BANTAM_ASSIGN(const auto removed, store.remove_partials());
    out.insert(out.end(), removed.begin(), removed.end());
  }
  return {};
}

int remove_models(const RmVerbOptions& options, const Common& common) {
  if (options.names.empty() && !options.interrupted)
    return report_misuse("rm", "expected a model's name or --interrupted");
  std::vector<store::Removed> removed;
  const Status done = remove_all(options, store::Store(common.store), removed);
  if (!done && removed.empty()) return report(done.error());
  uint64_t bytes = 0;
  Json files = Json::array();
  std::string text;
  for (const auto& file : removed) {
    bytes += file.bytes;
    files.push_back({{"path", file.path}, {"bytes", file.bytes}});
    text += fmt::format("removed {} ({})\n", file.path, human_bytes(file.bytes));
  }
  if (removed.size() > 1) text += fmt::format("{} files, {}\n", removed.size(), human_bytes(bytes));
  const int printed = common.json ? print_json({{"removed", files}, {"bytes", bytes}}) : print_text(text);
  return done ? printed : report(done.error());
}

}  // namespace

Action add_rm(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<RmVerbOptions>();
  verb.add_option("MODEL", options->names, "OWNER/NAME[:QUANT or :FILE], as `bantam ls` prints them");
  verb.add_flag("--all", options->all, "Every file of OWNER/NAME");
  verb.add_flag("--interrupted", options->interrupted, "What interrupted pulls left");
  add_store(verb, common);
  add_json(verb, common);
  verb.footer("Examples:\n  bantam rm owner/model:q4_k_m\n  bantam rm --interrupted");
  return [options, &common] { return remove_models(*options, common); };
}

}  // namespace bantam::cli
