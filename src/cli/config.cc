#include "cli/config.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <sstream>

// The header-only form with exceptions: they end in this file.
#include <toml++/toml.h>

namespace bantam::cli {
namespace {

CLI::Option* find_option(const CLI::App& verb, std::string_view name) {
  for (CLI::Option* option : const_cast<CLI::App&>(verb).get_options()) {
    if (option->check_lname(std::string(name)) && name != "help" && name != "config") return option;
  }
  return nullptr;
}

/// Names of which one may be meant by a wrong one.
void add_flags(const CLI::App& verb, std::vector<std::string>& names) {
  for (const CLI::Option* option : const_cast<CLI::App&>(verb).get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help" && name != "config") names.push_back(name);
    }
  }
}

/// Letters to put in, take out, change or swap with the next (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last.back();
}

/// ", expected perhaps NAME" where one of `names` is near, else nothing.
std::string perhaps(std::string_view wrong, const std::vector<std::string>& names) {
  const auto near = [&](const std::string& name) { return distance(wrong, name); };
  const auto best = std::ranges::min_element(names, {}, near);
  if (best == names.end() || near(*best) > std::max<size_t>(1, best->size() / 3)) return {};
  return fmt::format(", expected perhaps {}", *best);
}

/// The value as the strings the command line would have given.
Result<std::vector<std::string>> as_arguments(const toml::node& node, const std::string& where) {
  std::vector<std::string> out;
  if (auto text = node.value_exact<std::string>()) {
    out.push_back(*text);
  } else if (auto integer = node.value_exact<int64_t>()) {
    out.push_back(std::to_string(*integer));
  } else if (auto real = node.value_exact<double>()) {
    out.push_back(fmt::format("{}", *real));
  } else if (auto flag = node.value_exact<bool>()) {
    out.emplace_back(*flag ? "true" : "false");
  } else if (const toml::array* list = node.as_array()) {
    for (const toml::node& item : *list) {
      if (item.is_array()) return fail(Code::kInvalidArgument, "{}: found a list in a list", where);
      BANTAM_ASSIGN(auto values, as_arguments(item, where));
      out.insert(out.end(), values.begin(), values.end());
    }
  } else {
    return fail(Code::kInvalidArgument, "{}: expected a string, number, true, false or a list of them",
                where);
  }
  return out;
}

Status set_option(CLI::Option& option, const toml::node& node, const std::string& where) {
  if (option.count() > 0) return {};  // the command line or the environment spoke
  BANTAM_ASSIGN(auto values, as_arguments(node, where));
  try {
    for (const std::string& value : values) option.add_result(value);
    option.run_callback();
  } catch (const CLI::Error& error) {
    return fail(Code::kInvalidArgument, "{}: {}", where, error.what());
  }
  return {};
}

struct Applier {
  const std::string& path;
  CLI::App& verb;
  const std::vector<CLI::App*>& all;
  const OtherProgram& other;

  std::string where(const std::string& key, const toml::node& node) const {
    return fmt::format("{}:{}: {}", path, node.source().begin.line, key);
  }

  Status apply_verb_table(const std::string& name, const toml::table& table) const {
    const CLI::App* owner = nullptr;
    for (const CLI::App* candidate : all) {
      if (candidate->get_name() == name) owner = candidate;
    }
    if (owner == nullptr && std::ranges::find(other.verbs, name) != other.verbs.end()) return {};
    if (owner == nullptr) {
      std::vector<std::string> verbs(other.verbs.begin(), other.verbs.end());
      for (const CLI::App* candidate : all) verbs.push_back(candidate->get_name());
      return fail(Code::kInvalidArgument, "{}: no verb has this name{}", where(name, table),
                  perhaps(name, verbs));
    }
    for (const auto& [key, node] : table) {
      std::string full = fmt::format("{}.{}", name, key.str());
      if (find_option(*owner, key.str()) == nullptr) {
        std::vector<std::string> flags;
        add_flags(*owner, flags);
        return fail(Code::kInvalidArgument, "{}: bantam {} has no flag --{}{}", where(full, node), name,
                    key.str(), perhaps(key.str(), flags));
      }
      if (owner == &verb) BANTAM_TRY(set_option(*find_option(verb, key.str()), node, where(full, node)));
    }
    return {};
  }

  Status apply_shared_key(const std::string& key, const toml::node& node) const {
    bool known = std::ranges::find(other.flags, key) != other.flags.end();
    for (const CLI::App* candidate : all) known = known || find_option(*candidate, key) != nullptr;
    if (!known) {
      std::vector<std::string> flags(other.flags.begin(), other.flags.end());
      for (const CLI::App* candidate : all) add_flags(*candidate, flags);
      return fail(Code::kInvalidArgument, "{}: no verb has a flag --{}{}", where(key, node), key,
                  perhaps(key, flags));
    }
    CLI::Option* option = find_option(verb, key);
    return option == nullptr ? Status{} : set_option(*option, node, where(key, node));
  }

  Status apply(const toml::table& root) const {
    // Tables first: what they set is then not empty any more, and the shared keys leave it alone.
    for (const auto& [key, node] : root) {
      if (const toml::table* table = node.as_table(); table != nullptr) {
        BANTAM_TRY(apply_verb_table(std::string(key.str()), *table));
      }
    }
    for (const auto& [key, node] : root) {
      if (!node.is_table()) BANTAM_TRY(apply_shared_key(std::string(key.str()), node));
    }
    return {};
  }
};

}  // namespace

std::string default_config_path() {
  namespace fs = std::filesystem;
  fs::path folder;
  if (const char* xdg = std::getenv("XDG_CONFIG_HOME"); xdg != nullptr && *xdg != '\0') {
    folder = xdg;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    folder = fs::path(home) / ".config";
  } else {
    return "";
  }
  fs::path path = folder / "bantam" / "config.toml";
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? path.string() : "";
}

Status apply_config(const std::string& path, const std::string& toml, CLI::App& verb,
                    const std::vector<CLI::App*>& all, const OtherProgram& other) {
  try {
    toml::table root = toml::parse(toml, path);
    return Applier{path, verb, all, other}.apply(root);
  } catch (const toml::parse_error& error) {
    return fail(Code::kInvalidArgument, "{}:{}: {}", path, error.source().begin.line,
                std::string(error.description()));
  }
}

}  // namespace bantam::cli
