#include <unistd.h>

#include <iostream>
#include <memory>

#include "base/file.h"
#include "cli/interrupt.h"
#include "cli/responder.h"
#include "cli/verbs.h"

namespace bantam::cli {
namespace {

struct RunVerbOptions {
  std::string model, prompt, draft;
  CLI::Option* prompt_given = nullptr;
  RunOptions run;
  std::string load_state, save_state;
  bool context_shift = false;
  uint32_t keep = 0;
  CLI::Option* keep_given = nullptr;
  runtime::EngineOptions engine;
};

Json as_json(const Answer& answer) {
  Json out = {{"text", answer.text},
              {"finish", answer.finish},
              {"prompt_tokens", answer.prompt_tokens},
              {"completion_tokens", answer.completion_tokens}};
  if (answer.drafted_tokens > 0) {
    out["drafted_tokens"] = answer.drafted_tokens;
    out["accepted_tokens"] = answer.accepted_tokens;
  }
  if (!answer.tokens.empty()) out["tokens"] = answer.tokens;
  if (answer.confidence) out["confidence"] = *answer.confidence;
  if (answer.threshold) {
    out["threshold"] = *answer.threshold;
    out["kept"] = *answer.confidence >= *answer.threshold;
  }
  if (!answer.probabilities.empty()) {
    Json& list = out["probabilities"] = Json::array();
    for (const auto& [label, probability] : answer.probabilities) {
      list.push_back({{"label", label}, {"probability", probability}});
    }
  }
  if (!answer.notes.empty()) out["notes"] = answer.notes;
  out["seconds"] = answer.seconds;
  return out;
}

/// What is worth knowing beside the answer, for a person at a terminal.
void print_note(const Answer& answer) {
  std::string note = fmt::format("{} + {} tokens in {:.2f} s", answer.prompt_tokens, answer.completion_tokens,
                                 answer.seconds);
  if (answer.drafted_tokens > 0)
    note += fmt::format(", {} of {} drafted tokens kept", answer.accepted_tokens, answer.drafted_tokens);
  if (answer.confidence) note += fmt::format(", confidence {:.3f}", *answer.confidence);
  if (answer.threshold) {
    note += fmt::format(" ({} the calibrated threshold {:.3f})",
                        *answer.confidence >= *answer.threshold ? "at or above" : "below", *answer.threshold);
  }
  if (answer.finish == "length") note += ", ended by --max-tokens or the context's end";
  fmt::print(stderr, "[{}]\n", note);
}

bool print_part(std::string_view text) { return print_text(text) == kDone; }

int answer_once(Responder& responder, const std::string& prompt, const Common& common) {
  auto answer = responder.ask(prompt, common.json ? TextSink{} : TextSink{print_part});
  if (!answer) return report(answer.error());
  int code = common.json ? print_json(as_json(*answer)) : print_text("\n");
  if (answer->finish == "cancelled") return kInterrupted;
  for (const std::string& note : answer->notes) {
    if (!common.quiet) fmt::print(stderr, "bantam: {}\n", note);
  }
  if (!common.json && !common.quiet && ::isatty(STDERR_FILENO) == 1) print_note(*answer);
  return code;
}

int converse(Responder& responder, const Common& common) {
  if (!common.quiet)
    fmt::print(stderr, "{}\nEnd with Ctrl-D; /reset forgets the conversation.\n", responder.description());
  std::string line;
  while (true) {
    fmt::print(stderr, "> ");
    Interrupt::idle(true);
    bool got = static_cast<bool>(std::getline(std::cin, line));
    Interrupt::idle(false);
    if (!got) break;
    if (line.empty()) continue;
    if (line == "/reset") {
      responder.reset();
      continue;
    }
    int code = answer_once(responder, line, common);
    if (code == kInterrupted) Interrupt::reset();  // Ctrl-C ends the answer, not the conversation
  }
  fmt::print(stderr, "\n");
  return kDone;
}

Result<std::shared_ptr<runtime::DraftSource>> draft_source(const RunVerbOptions& options,
                                                           const runtime::Engine& target) {
  if (options.draft.empty()) return nullptr;
  if (options.draft == "lookup") return runtime::make_lookup_source();
  runtime::EngineOptions engine = options.engine;
  engine.adapters.clear();    // they are the large one's
  engine.context_length = 0;  // its own, which may be shorter: past it nothing is drafted
  BANTAM_ASSIGN(auto draft, runtime::Engine::load(options.draft, engine));
  auto source = runtime::make_draft_source(std::move(draft), target);
  if (!source) return std::unexpected(std::move(source).error().in("--draft"));
  return source;
}

/// The prompt's answer, or a conversation on a terminal.
int answer(const RunVerbOptions& options, Responder& responder, const Common& common) {
  if (options.prompt_given->count() > 0) return answer_once(responder, options.prompt, common);
  if (::isatty(STDIN_FILENO) == 1) return converse(responder, common);
  auto piped = read_file("/dev/stdin");
  if (!piped) return report(piped.error());
  return answer_once(responder, *piped, common);
}

int run_model(RunVerbOptions options, const Common& common) {
  if (Status sampling = runtime::check(options.run.sampling); !sampling) {
    return report_misuse("run", sampling.error().message);
  }
  if (options.keep_given->count() > 0 && !options.context_shift)
    return report_misuse("run", "--keep: expected --context-shift beside it");
  if (options.context_shift) options.run.shift = runtime::ContextShift{options.keep};
  Interrupt interrupt;
  auto engine = runtime::Engine::load(options.model, options.engine);
  if (!engine) return report(engine.error());
  auto draft = draft_source(options, **engine);
  if (!draft) return report(draft.error());
  options.run.draft = std::move(*draft);
  auto responder = make_responder(*engine, options.run);
  if (!responder) return report(responder.error());
  if (!options.load_state.empty()) {
    if (Status loaded = (*responder)->load_state(options.load_state); !loaded) return report(loaded.error());
  }
  const int code = answer(options, **responder, common);
  if (options.save_state.empty() || code != kDone) return code;
  Status saved = (*responder)->save_state(options.save_state);
  return saved ? code : report(saved.error());
}

void add_generation(CLI::App& verb, RunOptions& run) {
  verb.add_option("-n,--max-tokens", run.max_tokens, "Longest answer, in tokens")->capture_default_str();
  verb.add_option("--stop", run.stop, "End before this text (may be repeated)")->type_name("TEXT");
  verb.add_option("--choices", run.choices, "The answer is one of these, with its probability")
      ->delimiter(',')
      ->type_name("A,B,…");
  auto* schema = verb.add_option("--json-schema", run.schema,
                                 "The answer is JSON that this schema accepts ({}: any object)")
                     ->type_name("SCHEMA");
  verb.add_option_function<std::string>(
          "--json-schema-file",
          [&run](const std::string& path) {
            auto text = read_file(path);
            if (!text) throw CLI::ValidationError("--json-schema-file", text.error().message);
            run.schema = std::move(*text);
          },
          "The same, read from a file")
      ->type_name("FILE")
      ->excludes(schema);
  verb.add_option("--regex", run.pattern, "The answer matches this pattern of ECMA-262 as a whole")
      ->excludes(schema);
  verb.add_flag("--raw", run.raw, "Continue the prompt as it is: no task, no chat template");
  verb.add_flag("--parse-special", run.parse_special,
                "With --raw: control tokens written in the prompt are parsed");
}

}  // namespace

Action add_run(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<RunVerbOptions>();
  verb.add_option("MODEL", options->model, "Model: a file (.gguf) or a name of the store")->required();
  takes_model(verb, common, options->model);
  options->prompt_given = verb.add_option(
      "PROMPT", options->prompt, "The prompt (default: standard input; a conversation on a terminal)");
  add_generation(verb, options->run);
  add_sampling_options(verb, options->run.sampling);
  verb.add_option(
          "--draft", options->draft,
          "A smaller model with the same vocabulary that proposes tokens, or \"lookup\": what followed the "
          "same words before.\n"
          "The text is the same, it only comes sooner")
      ->type_name("MODEL|lookup");
  takes_model(verb, common, options->draft);
  verb.add_option("--save-state", options->save_state,
                  "Afterwards write the text's keys and values to this file")
      ->type_name("FILE");
  verb.add_option(
          "--load-state", options->load_state,
          "Begin with the keys and values of this file: a prompt that begins as its text did is read sooner")
      ->type_name("FILE");
  verb.add_flag("--context-shift", options->context_shift,
                "At the context's end forget the oldest half of the text but its first tokens, and go on (a "
                "note says so)");
  options->keep_given =
      verb.add_option("--keep", options->keep, "With --context-shift: the first N tokens stay")
          ->type_name("N");
  add_engine_options(verb, options->engine);
  add_json(verb, common);
  verb.footer(
      "A model made for a task answers with one of its labels; a model with a chat template converses; any "
      "other continues the\n"
      "text.\n"
      "Examples:\n"
      "  bantam run tickets.gguf 'I was charged twice' --json\n"
      "  bantam run large.gguf 'Write a letter' --draft small.gguf\n"
      "  bantam run stories.gguf 'Once upon a time' --max-tokens 100 --temp 0.8 --seed 7\n"
      "  cat letter.txt | bantam run model.gguf --choices complaint,praise,question\n"
      "  bantam run model.gguf 'Name, age: Ann is 31' --json-schema-file person.json");
  return [options, &common] { return run_model(*options, common); };
}

}  // namespace bantam::cli
