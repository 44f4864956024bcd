#include <ctime>
#include <map>
#include <memory>

#include "cli/verbs.h"
#include "formats/gguf.h"
#include "store/store.h"

namespace bantam::cli {
namespace {

struct LsVerbOptions {
  std::string filter;
};

/// The tensor type that holds most bytes, and the architecture; a file that is none says why.
struct Kind {
  std::string type, family;
};
Kind kind_of(const store::StoredModel& model) {
  if (!model.whole) return {"-", "incomplete: shards are missing"};
  const auto file = formats::GgufFile::open(model.files.front());
  if (!file) return {"-", "unreadable"};
  std::map<std::string, uint64_t> bytes;
  for (const auto& tensor : file->tensors())
    bytes[formats::ggml_type_name(static_cast<uint32_t>(tensor.type))] += tensor.bytes;
  Kind out{"-", file->get_string("general.architecture").value_or("-")};
  uint64_t most = 0;
  for (const auto& [name, size] : bytes) {
    if (size > most) out.type = name;
    most = std::max(most, size);
  }
  return out;
}

std::string time_text(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm local{};
  ::localtime_r(&time, &local);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local)};
}

bool wanted(const LsVerbOptions& options, const std::string& name) {
  return options.filter.empty() || name.find(options.filter) != std::string::npos;
}

Json as_json(const LsVerbOptions& options, const std::string& root,
             const std::vector<store::StoredModel>& models, const std::vector<store::PartialFile>& partials) {
  Json out{{"store", root}, {"models", Json::array()}, {"interrupted", Json::array()}};
  for (const auto& model : models) {
    if (!wanted(options, model.name)) continue;
    const Kind kind = kind_of(model);
    out["models"].push_back({{"name", model.name},
                             {"bytes", model.bytes},
                             {"type", kind.type},
                             {"family", kind.family},
                             {"modified", model.modified},
                             {"whole", model.whole},
                             {"files", model.files}});
  }
  for (const auto& partial : partials) {
    if (!wanted(options, partial.name)) continue;
    out["interrupted"].push_back({{"name", partial.name},
                                  {"bytes", partial.bytes},
                                  {"of", partial.total},
                                  {"modified", partial.modified},
                                  {"path", partial.path}});
  }
  return out;
}

std::string as_text(const LsVerbOptions& options, const std::vector<store::StoredModel>& models,
                    const std::vector<store::PartialFile>& partials) {
  std::vector<std::vector<std::string>> rows = {{"name", "size", "type", "family", "modified"}};
  for (const auto& model : models) {
    if (!wanted(options, model.name)) continue;
    const Kind kind = kind_of(model);
    rows.push_back({model.name, human_bytes(model.bytes), kind.type, kind.family, time_text(model.modified)});
  }
  for (const auto& partial : partials) {
    if (!wanted(options, partial.name)) continue;
    const std::string share =
        partial.total > 0
            ? fmt::format("interrupted at {:.0f} %",
                          100.0 * static_cast<double>(partial.bytes) / static_cast<double>(partial.total))
            : "interrupted";
    rows.push_back({partial.name, human_bytes(partial.bytes), "-", share, time_text(partial.modified)});
  }
  return rows.size() == 1 ? std::string() : text_table(rows);
}

int list_models(const LsVerbOptions& options, const Common& common) {
  const store::Store store(common.store);
  const auto models = store.models();
  if (!models) return report(models.error());
  const auto partials = store.partials();
  if (!partials) return report(partials.error());
  if (common.json) return print_json(as_json(options, store.root(), *models, *partials));
  const std::string text = as_text(options, *models, *partials);
  if (text.empty() && !common.quiet) fmt::print(stderr, "no models in {}\n", store.root());
  return print_text(text);
}

}  // namespace

Action add_ls(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<LsVerbOptions>();
  verb.add_option("TEXT", options->filter, "Only names that have it in them");
  add_store(verb, common);
  add_json(verb, common);
  verb.footer("Example:\n  bantam ls");
  return [options, &common] { return list_models(*options, common); };
}

}  // namespace bantam::cli
