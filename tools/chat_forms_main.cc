// chat_forms: conversations for the second stage of a base model (recipes/base/chat.toml), as JSON lines in
// the form of hosted fine-tuning.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fstream>
#include <nlohmann/json.hpp>

#include "chat_forms.h"
#include "formats/documents.h"

namespace {

using namespace bantam;
using nlohmann::json;

struct Options {
  std::string calls, out;
  std::vector<std::string> talks, explains;
  uint64_t seed = 1;
  uint32_t held_back_one_in = 10;
};

class Writer {
 public:
  explicit Writer(const std::string& path) : out_(path, std::ios::binary) {}
  void add(const std::string& kind, const forms::Conversation& conversation) {
    if (conversation.empty()) return;
    json messages = json::array();
    for (const auto& turn : conversation)
      messages.push_back({{"role", turn.role}, {"content", turn.content}});
    out_ << json{{"messages", std::move(messages)}}.dump(-1, ' ', false, json::error_handler_t::replace)
         << '\n';
    ++counts_[kind];
  }
  bool finish() {
    out_.close();
    for (const auto& [kind, count] : counts_) fmt::print("{}: {} conversations\n", kind, count);
    return out_.good();
  }

 private:
  std::ofstream out_;
  std::map<std::string, size_t> counts_;
};

/// Calls each(document, rng) for what pretraining learns from: the documents it holds back stay held back.
template <class Each>
Status each_document(const std::string& path, const Options& options, const Each& each) {
  BANTAM_ASSIGN(auto reader, formats::DocumentReader::open(path));
  uint64_t index = 0;
  for (std::string document;;) {
    BANTAM_ASSIGN(const bool more, reader.next(document));
    if (!more) return {};
    ++index;
    Rng rng(options.seed, 0x666f726d73, index);
    if (options.held_back_one_in == 0 || index % options.held_back_one_in != 0) each(document, rng);
  }
}

Status make(const Options& options) {
  Writer writer(options.out);
  for (const std::string& path : options.talks) {
    BANTAM_TRY(each_document(path, options, [&](const std::string& document, Rng&) {
      writer.add("talk", forms::talk(document));
    }));
  }
  for (const std::string& path : options.explains) {
    BANTAM_TRY(each_document(path, options, [&](const std::string& document, Rng& rng) {
      for (const auto& c : forms::explain(document, 4, rng)) writer.add("explain", c);
    }));
  }
  if (!options.calls.empty()) {
    forms::Services services;
    Options all = options;
    all.held_back_one_in = 0;  // the file has a split of its own
    BANTAM_TRY(each_document(options.calls, all, [&](const std::string& line, Rng& rng) {
      const json entry = json::parse(line, nullptr, false);
      if (!entry.is_object() || entry.value("split", "") == "test") return;
      if (entry.value("type", "") == "schema") services.add(entry);
      if (entry.value("type", "") != "dialogue") return;
      for (const auto& c : services.ask(entry, rng)) writer.add("forms", c);
    }));
  }
  if (!writer.finish()) return fail(Code::kIo, "{}: cannot be written", options.out);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Conversations from text collections and annotated dialogues, as JSON lines"};
  app.add_option("--talk", options.talks, "Collections of dialogues with \"User:\" and \"Assistant:\" lines")
      ->type_name("FILE");
  app.add_option("--explain", options.explains, "Collections of texts with glossaries and facts")
      ->type_name("FILE");
  app.add_option("--calls", options.calls, "Annotated dialogues with schemas (sgd-calls.jsonl.xz)")
      ->type_name("FILE");
  app.add_option("--held-back-one-in", options.held_back_one_in,
                 "Documents of the collections left out: every so many one; 0: none")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is drawn")->capture_default_str();
  app.add_option("--out", options.out, "File to write (.jsonl)")->required()->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  if (auto made = make(options); !made) {
    fmt::print(stderr, "chat_forms: {}\n", made.error().message);
    return 1;
  }
  return 0;
}
