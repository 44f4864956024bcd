// team_table: the models and teams of a running server beside each other on one task: accuracy, share of the
// LLM, cost, time to the first text and to the last. recipes/team/run.sh starts everything it needs.
//
// Each example is put to every model in turn before the next one, so that whatever else the machine does
// falls on all alike. Requests are streamed, one at a time, over one connection.

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "collab/agreement.h"
#include "compress/calibrate.h"
#include "eval/metrics.h"
#include "formats/labelled.h"
#include "net/http_client.h"
#include "net/json.h"
#include "net/sse.h"

namespace {

using namespace bantam;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string url, data, input = "text", answer = "answer", material, suffix, correction, out, grades;
  std::vector<std::string> models;
  std::string slm = "slm", llm = "llm", here, title, alone, match = "equal";
  size_t count = 500, skip = 0, warmup = 5;
  uint32_t max_tokens = 0;
  double target = 0;  // not 0: a threshold is chosen instead of a table printed
};

struct Answer {
  bool right = false, failed = false, llm_asked = false, by_llm = false, unverified = false;
  double first = 0, total = 0, cost = 0;  // seconds; the prices' currency
  std::optional<double> confidence;
  uint64_t drafted = 0, accepted = 0;  // tokens of speculative decoding
  std::string text, error;
};

struct Example {
  std::string material, input, answer;
};

std::string replaced(std::string text, std::string_view place, std::string_view value) {
  size_t at = text.find(place);
  return at == text.npos ? text : text.replace(at, place.size(), value);
}

json body_of(const Options& o, const std::string& model, const Example& e) {
  json messages = json::array();
  bool team = model != o.slm && model != o.llm && model != o.here;
  if (!team && !o.alone.empty()) {
    std::string text = replaced(replaced(o.alone, "{input}", e.input), "{material}", e.material);
    messages.push_back({{"role", "user"}, {"content", std::move(text)}});
  } else {
    if (!e.material.empty()) messages.push_back({{"role", "user"}, {"content", e.material}});
    messages.push_back({{"role", "user"}, {"content", e.input + o.suffix}});
  }
  json body{{"model", model}, {"messages", std::move(messages)}, {"stream", true}};
  if (o.max_tokens > 0) body["max_tokens"] = o.max_tokens;
  return body;
}

/// Whether an answer says what is expected.
bool matches(const Options& o, const std::string& said, const std::string& expected) {
  collab::Agreement agreement;
  agreement.measure = o.match == "equal"        ? collab::Measure::kEqual
                      : o.match == "normalised" ? collab::Measure::kNormalised
                                                : collab::Measure::kWords;
  return collab::compare_texts(agreement, said, true, expected, true) == collab::Match::kAgree;
}

void take_event(const Options& o, const std::string& data, Clock::time_point start, Answer& out) {
  if (data == "[DONE]") return;
  auto event = net::parse_json(data, "event");
  if (!event || event->contains("error")) {
    out.failed = true;
    out.error = data;
    return;
  }
  auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (const json& choice : event->value("choices", json::array())) {
    std::string text = choice.value("delta", json::object()).value("content", "");
    if (!text.empty() && out.text.empty()) out.first = seconds();
    out.text += text;
  }
  if (!event->contains("bantam")) return;
  const json& ours = (*event)["bantam"];
  out.cost = ours.value("cost", 0.0);
  auto is_llm = [&](const std::string& name) { return name == o.llm || (!o.here.empty() && name == o.here); };
  out.by_llm = is_llm(ours.value("answered_by", ""));
  if (ours.contains("confidence") && ours["confidence"].is_number())
    out.confidence = ours["confidence"].get<double>();
  out.unverified = ours.value("unverified", false);
  for (const json& step : ours.value("steps", json::array())) {
    out.llm_asked |= is_llm(step.value("model", ""));
    const json details =
        step.value("usage", json::object()).value("completion_tokens_details", json::object());
    out.accepted += details.value("accepted_prediction_tokens", uint64_t{0});
    out.drafted += details.value("accepted_prediction_tokens", uint64_t{0}) +
                   details.value("rejected_prediction_tokens", uint64_t{0});
  }
}

net::Awaitable<Answer> ask(net::HttpClient& client, const Options& o, std::string model, Example e) {
  Answer out;
  net::ClientRequest request;
  request.method = "POST";
  auto url = net::parse_url(o.url + "/v1/chat/completions");
  if (!url) {
    out.failed = true;
    out.error = url.error().message;
    co_return out;
  }
  request.url = *url;
  request.headers = {{"content-type", "application/json"}};
  request.body = net::to_text(body_of(o, model, e));
  net::SseParser parser;
  Clock::time_point start = Clock::now();
  request.on_body = [&](std::string_view piece) -> net::Awaitable<bool> {
    Status fed = parser.feed(piece, [&](net::SseEvent&& event) {
      take_event(o, event.data, start, out);
      return true;
    });
    co_return fed.has_value();
  };
  Result<net::ClientResponse> response = co_await client.send(request);
  out.total = std::chrono::duration<double>(Clock::now() - start).count();
  if (!response || response->status != 200) {
    out.failed = true;
    out.error = response ? response->body : response.error().message;
  }
  // What a person takes for the answer where a correction follows a draft.
  size_t corrected = o.correction.empty() ? std::string::npos : out.text.rfind(o.correction);
  std::string said =
      corrected == std::string::npos ? out.text : out.text.substr(corrected + o.correction.size());
  out.right = !out.failed && matches(o, said, e.answer);
  co_return out;
}

Result<size_t> column(const formats::CsvTable& table, const Options& o, const std::string& name) {
  auto at = std::ranges::find(table.header, name);
  if (at == table.header.end()) return fail(Code::kNotFound, "{}: found no column '{}'", o.data, name);
  return static_cast<size_t>(at - table.header.begin());
}

Result<std::vector<Example>> read_examples(const Options& o) {
  BANTAM_ASSIGN(std::string bytes, read_file(o.data, size_t{1} << 28));
  BANTAM_ASSIGN(formats::CsvTable table, formats::parse_csv(bytes, o.data));
  BANTAM_ASSIGN(size_t input, column(table, o, o.input));
  BANTAM_ASSIGN(size_t answer, column(table, o, o.answer));
  size_t material = 0;
  if (!o.material.empty()) {
    BANTAM_ASSIGN(material, column(table, o, o.material));
  }
  std::vector<Example> out;
  for (size_t i = o.skip; i < table.rows.size() && out.size() < o.count; ++i) {
    const auto& row = table.rows[i];
    out.push_back({o.material.empty() ? "" : row[material], row[input], row[answer]});
  }
  if (out.empty())
    return fail(Code::kInvalidArgument, "{}: found {} examples, expected more than {}", o.data,
                table.rows.size(), o.skip);
  return out;
}

struct Column {
  std::string model;
  std::vector<Answer> answers;
  std::vector<uint8_t> right() const {
    std::vector<uint8_t> out;
    for (const Answer& a : answers) out.push_back(a.right);
    return out;
  }
  double share(bool Answer::*flag) const {
    auto n = std::ranges::count_if(answers, [&](const Answer& a) { return a.*flag; });
    return static_cast<double>(n) / static_cast<double>(answers.size());
  }
  double quantile(double Answer::*value, double q) const {
    std::vector<double> values;
    for (const Answer& a : answers) {
      if (!a.failed) values.push_back(a.*value);
    }
    return eval::quantile(std::move(values), q);
  }
  double cost() const {
    double sum = 0;
    for (const Answer& a : answers) sum += a.cost;
    return 1000 * sum / static_cast<double>(answers.size());
  }
};

const Column* find(const std::vector<Column>& columns, const std::string& model) {
  auto at = std::ranges::find(columns, model, &Column::model);
  return at == columns.end() ? nullptr : &*at;
}

/// Speculative decoding beside the same model without it: the texts, and the time.
void print_speculation(const Column& here, const std::vector<Column>& columns) {
  for (const Column& c : columns) {
    uint64_t drafted = 0, accepted = 0;
    size_t equal = 0;
    std::vector<double> ratios;
    for (size_t i = 0; i < c.answers.size(); ++i) {
      drafted += c.answers[i].drafted;
      accepted += c.answers[i].accepted;
      equal += c.answers[i].text == here.answers[i].text;
      if (here.answers[i].total > 0) ratios.push_back(c.answers[i].total / here.answers[i].total);
    }
    if (&c == &here || drafted == 0) continue;
    fmt::print(
        "\n{}: {} of {} texts equal to {}'s; {:.3f} times its time (median); {} of {} drafted tokens kept",
        c.model, equal, c.answers.size(), here.model, eval::quantile(std::move(ratios), 0.5), accepted,
        drafted);
  }
}

void print_table(const Options& o, const std::vector<Column>& columns) {
  size_t n = columns[0].answers.size();
  fmt::print("{}\n\n", o.title.empty() ? o.data : o.title);
  fmt::print("n = {}, answered one at a time, every row's turn before the next example; times in ms\n\n", n);
  fmt::print(
      "| | accuracy (95 %) | of the LLM's (95 %) | LLM asked | LLM's answer | cost per 1,000 | first text "
      "p50 | p50 | p99 "
      "| failed |\n|---|---|---|---|---|---|---|---|---|---|\n");
  const Column* llm = find(columns, o.llm);
  for (const Column& c : columns) {
    auto right = c.right();
    auto k = static_cast<uint64_t>(std::ranges::count(right, uint8_t{1}));
    Interval i = wilson(k, n);
    std::string ratio = "-";
    if (llm && llm != &c) {
      auto reference = llm->right();
      auto paired = eval::paired_ratio(right, reference);
      ratio = fmt::format("{:.2f} % ({:.1f} to {:.1f})", 100 * paired.ratio, 100 * paired.interval.low,
                          100 * paired.interval.high);
    }
    fmt::print(
        "| {} | {:.2f} % ({:.1f} to {:.1f}) | {} | {:.1f} % | {:.1f} % | {:.4g} | {:.2f} | {:.2f} | {:.2f} | "
        "{} |\n",
        c.model, 100.0 * static_cast<double>(k) / static_cast<double>(n), 100 * i.low, 100 * i.high, ratio,
        100 * c.share(&Answer::llm_asked), 100 * c.share(&Answer::by_llm), c.cost(),
        1000 * c.quantile(&Answer::first, 0.5), 1000 * c.quantile(&Answer::total, 0.5),
        1000 * c.quantile(&Answer::total, 0.99), std::ranges::count_if(c.answers, &Answer::failed));
  }
  const Column* slm = find(columns, o.slm);
  for (const Column& c : columns) {
    if (!slm || &c == slm || c.model.find("verify") == std::string::npos) continue;
    fmt::print("\n{}: first text after {:.3f} times the SLM's (medians)", c.model,
               c.quantile(&Answer::first, 0.5) / slm->quantile(&Answer::first, 0.5));
  }
  if (const Column* here = find(columns, o.here)) print_speculation(*here, columns);
  fmt::print("\n");
}

/// Lines of graded answers as `bantam route` learns from them.
Status write_grades(const Options& o, const std::vector<Example>& examples,
                    const std::vector<Column>& columns) {
  if (o.grades.empty()) return {};
  std::ofstream file(o.grades);
  for (size_t i = 0; i < examples.size(); ++i) {
    json quality = json::object(), cost = json::object();
    for (const Column& c : columns) {
      if (c.answers[i].failed) continue;
      quality[c.model] = c.answers[i].right ? 1 : 0;
      cost[c.model] = c.answers[i].cost;
    }
    json messages = json::array({{{"role", "user"}, {"content", examples[i].input + o.suffix}}});
    file << net::to_text({{"messages", std::move(messages)},
                          {"quality", std::move(quality)},
                          {"cost", std::move(cost)}})
         << "\n";
  }
  if (!file.flush()) return fail(Code::kIo, "{}: cannot be written", o.grades);
  return {};
}

Status write_answers(const Options& o, const std::vector<Example>& examples,
                     const std::vector<Column>& columns) {
  if (o.out.empty()) return {};
  std::ofstream file(o.out);
  for (const Column& c : columns) {
    for (size_t i = 0; i < c.answers.size(); ++i) {
      const Answer& a = c.answers[i];
      file << net::to_text({{"model", c.model},
                            {"input", examples[i].input},
                            {"expected", examples[i].answer},
                            {"text", a.text},
                            {"right", a.right},
                            {"llm_asked", a.llm_asked},
                            {"first", a.first},
                            {"total", a.total},
                            {"cost", a.cost},
                            {"error", a.error}})
           << "\n";
    }
  }
  if (!file.flush()) return fail(Code::kIo, "{}: cannot be written", o.out);
  return {};
}

/// The threshold at which a cascade keeps o.target of the LLM's accuracy, from the answers of a cascade that
/// never asks the LLM (the first of the models) and of the LLM (compress/calibrate.h).
Status print_threshold(const Options& o, const std::vector<Column>& columns) {
  const Column* llm = find(columns, o.llm);
  if (!llm)
    return fail(Code::kInvalidArgument, "models: found no '{}', expected it beside the cascade", o.llm);
  std::vector<compress::PairedAnswer> answers;
  for (size_t i = 0; i < llm->answers.size(); ++i) {
    const Answer& small = columns[0].answers[i];
    answers.push_back({small.confidence.value_or(0), small.right, llm->answers[i].right});
  }
  BANTAM_ASSIGN(compress::Threshold found, compress::choose_threshold(answers, o.target));
  fmt::print("{}\n", found.threshold);
  fmt::print(
      stderr, "{}: threshold {} from {} examples: {:.1f} % stay local, {} lost and {} gained by that\n",
      columns[0].model, found.threshold, found.examples, 100 * found.local_share, found.losses, found.gains);
  return {};
}

Status run(const Options& o) {
  BANTAM_ASSIGN(auto examples, read_examples(o));
  BANTAM_ASSIGN(auto client, net::HttpClient::create({}));
  std::vector<Column> columns;
  for (const std::string& model : o.models) columns.push_back({model, {}});
  auto all = [&]() -> net::Awaitable<bool> {
    for (size_t i = 0; i < o.warmup; ++i) {
      for (Column& c : columns) co_await ask(*client, o, c.model, examples[i % examples.size()]);
    }
    for (size_t i = 0; i < examples.size(); ++i) {
      for (Column& c : columns) {
        Answer answer = co_await ask(*client, o, c.model, examples[i]);
        if (answer.failed && std::ranges::none_of(c.answers, &Answer::failed))
          fmt::print(stderr, "{}: example {}: {}\n", c.model, i, answer.error);
        c.answers.push_back(std::move(answer));
      }
    }
    co_return true;
  };
  net::wait(all());
  BANTAM_TRY(write_grades(o, examples, columns));
  if (o.target > 0) return print_threshold(o, columns);
  print_table(o, columns);
  return write_answers(o, examples, columns);
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app(
      "The models and teams of a running server beside each other on one task.\n"
      "Example: team_table --url http://127.0.0.1:8080 --data test.csv --models slm llm cascade");
  app.add_option("--url", o.url, "the server")->required();
  app.add_option("--data", o.data, "CSV with a header")->required();
  app.add_option("--input", o.input, "column of the text")->capture_default_str();
  app.add_option("--answer", o.answer, "column of the right answer")->capture_default_str();
  app.add_option("--material", o.material, "column of a message before the text");
  app.add_option("--suffix", o.suffix, "put behind each text");
  app.add_option("--alone", o.alone,
                 "the one message that the SLM and the LLM get by themselves; places {input}, {material}");
  app.add_option("--models", o.models, "names of models and teams")->required();
  app.add_option("--slm", o.slm, "which of them is the SLM")->capture_default_str();
  app.add_option("--llm", o.llm, "which of them is the LLM, by the name its steps have")
      ->capture_default_str();
  app.add_option("--here", o.here,
                 "the LLM where it runs in the server itself: speculation is held against it");
  app.add_option("--match", o.match, "when an answer is right: equal, normalised, words (docs/team.md)")
      ->check(CLI::IsMember({"equal", "normalised", "words"}))
      ->capture_default_str();
  app.add_option("--grades", o.grades, "JSON lines of graded answers, for bantam route train");
  app.add_option("--correction", o.correction, "what stands before the answer that counts, if it is there");
  app.add_option("--count", o.count, "examples")->capture_default_str();
  app.add_option("--skip", o.skip, "examples passed over at the file's beginning")->capture_default_str();
  app.add_option("--max-tokens", o.max_tokens, "of an answer; 0: the model's own");
  app.add_option(
      "--target", o.target,
      "share of the LLM's accuracy: print the threshold that keeps it, for a cascade of threshold 0 that is "
      "the first of the models");
  app.add_option("--title", o.title, "above the table");
  app.add_option("--out", o.out, "JSON lines of every answer");
  CLI11_PARSE(app, argc, argv);
  if (auto done = run(o); !done) {
    fmt::print(stderr, "team_table: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
