// Functions of the Berkeley Function Calling Leaderboard, where its files are at hand: their schemas compile,
// and the calls that are right there can be written.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/grammar/grammar.h"
#include "runtime/grammar/vocabulary.h"

namespace bantam::runtime {
namespace {

using Json = nlohmann::ordered_json;

/// The data's names of types are Python's.
Json schema_of(Json given) {
  static const std::map<std::string, std::string> kTypes{
      {"dict", "object"}, {"float", "number"}, {"tuple", "array"}, {"list", "array"}, {"bool", "boolean"}};
  if (given.is_array()) {
    for (Json& entry : given) entry = schema_of(entry);
  }
  if (!given.is_object()) return given;
  for (auto& [key, value] : given.items()) {
    if (key == "properties" || key == "items" || value.is_object()) value = schema_of(value);
  }
  const auto type = given.find("type");
  if (type == given.end() || !type->is_string()) return given;
  if (const auto name = kTypes.find(type->get<std::string>()); name != kTypes.end()) *type = name->second;
  if (*type == "any") given.erase("type");
  for (const char* key : {"default", "description"}) given.erase(key);
  return given;
}

Json member(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) ? object[name] : Json::object();
}

/// A right value: of several the first; in objects each member has its own, and "" is one left out.
Json resolved(const Json& value, const Json& schema) {
  Json out = value;
  if (value.is_array()) {
    for (Json& entry : out) entry = resolved(entry, member(schema, "items"));
  }
  if (!value.is_object()) return out;
  out = Json::object();
  const Json properties = member(schema, "properties");
  for (const auto& [name, property] : properties.items()) {  // in the order of the schema
    if (!value.contains(name)) continue;
    const Json& options = value[name];
    if (!options.is_array() || options.empty())
      out[name] = options;
    else if (options[0] != "")
      out[name] = resolved(options[0], property);
  }
  return out;
}

std::vector<Json> lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<Json> out;
  for (std::string line; std::getline(file, line);) out.push_back(Json::parse(line));
  return out;
}

std::shared_ptr<const grammar::Vocabulary> bytes() {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  return std::make_shared<const grammar::Vocabulary>(std::move(pieces));
}

TEST(CallGrammar, RightCallsOfTheLeaderboardCanBeWritten) {
  const std::filesystem::path root = BANTAM_SOURCE_DIR "/../shared/data/bfcl-v4";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is not there";
  const auto words = bytes();
  size_t requests = 0, compiled = 0, written = 0;
  for (const char* name :
       {"simple_python", "live_simple", "multiple", "parallel", "parallel_multiple", "live_parallel"}) {
    const std::string file = std::string("BFCL_v4_") + name + ".jsonl";
    std::map<std::string, Json> truth;
    for (const Json& line : lines(root / "possible_answer" / file)) truth[line["id"]] = line["ground_truth"];
    for (const Json& line : lines(root / file)) {
      CallRules rules;
      rules.form = {.open = "<c>{\"name\": \"",
                    .after_name = "\", \"arguments\": ",
                    .between = "}</c><c>{\"name\": \"",
                    .close = "}</c>",
                    .marker = "<c>"};
      std::map<std::string, Json> schemas;
      for (const Json& function : line["function"]) {
        schemas[function["name"]] = schema_of(function["parameters"]);
        rules.functions.push_back({function["name"], schemas[function["name"]].dump()});
      }
      ++requests;
      auto grammar = Grammar::calls(rules, words);
      if (!grammar) {
        fmt::print("{}: {}\n", line["id"].get<std::string>(), grammar.error().message);
        continue;
      }
      ++compiled;
      std::string text;
      for (const Json& call : truth[line["id"]]) {
        for (const auto& [called, arguments] : call.items()) {
          text += (text.empty() ? rules.form.open : rules.form.between) + called + rules.form.after_name +
                  resolved(arguments, schemas[called]).dump();
        }
      }
      GrammarState state(*grammar);
      const bool good = state.accept_bytes(text + rules.form.close) && state.may_end();
      written += good ? 1 : 0;
      if (!good) fmt::print("{}: {}\n", line["id"].get<std::string>(), text);
    }
  }
  fmt::print("{} requests, {} compiled, the right calls of {} can be written\n", requests, compiled, written);
  EXPECT_GT(compiled * 100, requests * 99);
  EXPECT_GT(written * 100, requests * 90);
}

}  // namespace
}  // namespace bantam::runtime
