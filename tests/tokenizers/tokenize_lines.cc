// tokenize_lines VOCABULARY TEXTS.json OUT.json [REPEAT]: the ids of each text of a JSON list, without
// special tokens, by a GGUF file's or a tokenizer.json's vocabulary; {"ids": [[…]…], "load_seconds",
// "seconds": [of each of REPEAT rounds]}. tokenize_lines --pre NAME VOCABULARY.gguf OUT.gguf: the same
// vocabulary with another tokenizer.ggml.pre. tokenize_lines --hf VOCABULARY.gguf OUT.json: as a
// tokenizer.json.

#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "text/pipeline/pipeline.h"
#include "text/pipeline/to_json.h"

using Json = nlohmann::json;
using namespace bantam;

namespace {

Result<std::unique_ptr<text::Tokenizer>> load(const std::string& path) {
  if (path.ends_with(".json")) {
    BANTAM_ASSIGN(const std::string json, read_file(path));
    return text::tokenizer_from_json(json, path);
  }
  BANTAM_ASSIGN(const auto file, formats::GgufFile::open(path));
  return text::load_tokenizer(file);
}

Status change_pre(const std::string& pre, const std::string& from, const std::string& to) {
  BANTAM_ASSIGN(const auto file, formats::GgufFile::open(from));
  formats::GgufWriter out;
  out.copy_metadata(file);
  out.set("tokenizer.ggml.pre", pre);
  return out.write(to);
}

Status write_hf(const std::string& from, const std::string& to) {
  BANTAM_ASSIGN(const auto file, formats::GgufFile::open(from));
  BANTAM_ASSIGN(const auto hf, text::tokenizer_to_hf(file, 512));
  for (const auto& note : hf.notes) fmt::print("  note: {}\n", note);
  return write_file(to, hf.tokenizer);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Status tokenize(char** argv, int repeat) {
  BANTAM_ASSIGN(const std::string text, read_file(argv[2]));
  const auto texts = Json::parse(text).get<std::vector<std::string>>();
  auto start = std::chrono::steady_clock::now();
  BANTAM_ASSIGN(const auto tokenizer, load(argv[1]));
  Json out = {{"load_seconds", seconds_since(start)}};
  for (int round = 0; round < repeat; ++round) {
    std::vector<std::vector<text::TokenId>> all;
    start = std::chrono::steady_clock::now();
    for (const auto& one : texts) {
      BANTAM_ASSIGN(auto ids, tokenizer->encode(one, {.add_special = false, .parse_special = false}));
      all.push_back(std::move(ids));
    }
    out["seconds"].push_back(seconds_since(start));
    if (round == 0) out["ids"] = all;
  }
  return write_file(argv[3], out.dump());
}

}  // namespace

int main(int argc, char** argv) {
  const bool pre = argc == 5 && std::string_view(argv[1]) == "--pre";
  const bool hf = argc == 4 && std::string_view(argv[1]) == "--hf";
  if (!pre && argc != 4 && argc != 5) return 2;
  auto status = pre  ? change_pre(argv[2], argv[3], argv[4])
                : hf ? write_hf(argv[2], argv[3])
                     : tokenize(argv, argc == 5 ? std::max(std::atoi(argv[4]), 1) : 1);
  if (!status) fmt::print(stderr, "{}\n", status.error().message);
  return status ? 0 : 1;
}
