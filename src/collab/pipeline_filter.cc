#include "collab/pipeline_filter.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/usage.h"
#include "collab/ask.h"
#include "collab/pass_on.h"
#include "collab/prompt_template.h"
#include "collab/trace.h"

namespace bantam::collab {
namespace {

using chat::Awaitable;
using chat::EventSink;
using chat::Reply;
using chat::Request;

constexpr std::string_view kPickPlaces[] = {"question", "text"};
constexpr std::string_view kPickNeeds[] = {"text"};
constexpr std::string_view kPassagePlaces[] = {"n", "text", "source"};
constexpr std::string_view kPassageNeeds[] = {"text"};
constexpr std::string_view kPromptPlaces[] = {"question", "passages"};
constexpr std::string_view kSelectPrompt =
    "Text:\n{text}\n\nQuestion: {question}\n\nDoes the text hold anything that helps to answer the question? "
    "Answer "
    "yes or no.";
constexpr std::string_view kQuotePrompt =
    "Text:\n{text}\n\nQuestion: {question}\n\nQuote, word for word and each on a line of its own, the "
    "sentences of the "
    "text that help to answer the question. If there are none, say NONE.";
constexpr std::string_view kAnswerPrompt =
    "Answer the question from the passages alone, and cite the passages you use by their numbers in "
    "brackets. Say so "
    "if they do not hold the answer.\n\n{passages}Question: {question}";

struct Templates {
  PromptTemplate pick, passage, prompt;
};

struct Task {
  Sources sources;
  std::string question;
};

/// Question and material of a request.
Task read_task(const Request& request) {
  Task out;
  size_t last = request.messages.size();
  for (size_t i = 0; i < request.messages.size(); ++i) {
    if (request.messages[i].role == "user") last = i;
  }
  for (size_t i = 0; i < request.messages.size(); ++i) {
    const chat::Message& m = request.messages[i];
    if (i == last || m.role == "system" || m.role == "developer" || m.content.empty()) continue;
    out.sources.texts.push_back(m.content);
    out.sources.names.push_back(fmt::format("message {} ({})", i + 1, m.role));
  }
  out.question = question_of(request);
  if (!out.sources.texts.empty()) return out;
  auto parts = paragraphs(out.question);
  if (parts.size() < 2) return out;
  std::string question(parts.back());
  out.sources.texts.emplace_back(
      out.question.substr(0, static_cast<size_t>(parts.back().data() - out.question.data())));
  out.sources.names.push_back("the message");
  out.question = std::move(question);
  return out;
}

std::vector<Chunk> parts_of(const Sources& sources, const FilterOptions& options) {
  if (!options.by_paragraph) return cut(sources.texts, options.chunk_bytes);
  std::vector<Chunk> out;
  for (size_t s = 0; s < sources.texts.size(); ++s) {
    const std::string& text = sources.texts[s];
    for (std::string_view part : paragraphs(text)) {
      size_t begin = static_cast<size_t>(part.data() - text.data());
      std::vector<std::string> one{std::string(part)};
      for (const Chunk& c : cut(one, options.chunk_bytes)) out.push_back({s, begin + c.begin, begin + c.end});
    }
  }
  return out;
}

/// A text with runs of white space as one blank, as quotes are looked for.
std::string flat(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

/// What goes on of a part.
struct Passage {
  Chunk from;
  std::string text;
};

class FilterTeam final : public chat::ChatModel {
 public:
  FilterTeam(std::shared_ptr<ChatModel> slm, std::shared_ptr<ChatModel> llm, FilterOptions options,
             Templates t)
      : options_(std::move(options)),
        slm_(std::move(slm), {OnLlmFailure::kError, {}, {}, 0}),
        llm_(std::move(llm), options_.llm),
        templates_(std::move(t)) {}

  const std::string& name() const override { return options_.name; }
  bool remote() const override { return slm_.model().remote() || llm_.model().remote(); }

  Awaitable<Result<Reply>> generate(const Request& request, EventSink sink) override {
    Task task = read_task(request);
    if (task.question.empty())
      co_return fail(Code::kInvalidArgument,
                     "messages: found no user message, expected a question about the others");
    size_t bytes = 0;
    for (const std::string& text : task.sources.texts) bytes += text.size();
    Trace trace;
    std::vector<Chunk> parts = parts_of(task.sources, options_);
    std::vector<Passage> passages;
    if (bytes <= options_.direct_bytes) {
      for (const Chunk& c : parts) passages.push_back({c, std::string(task.sources.of(c))});
    } else {
      auto picked = co_await pick(request, task, parts, trace);
      if (!picked) co_return std::unexpected(std::move(picked).error());
      passages = std::move(*picked);
    }
    co_return co_await answer(request, std::move(sink), task, passages, std::move(trace));
  }

 private:
  using Picked = Result<std::vector<Passage>>;

  Awaitable<Picked> pick(const Request& request, const Task& task, std::vector<Chunk> parts, Trace& trace) {
    std::vector<Passage> out;
    const size_t all = parts.size();
    size_t unread = 0;
    std::vector<Chunk> open = parts;
    while (!open.empty()) {
      std::vector<Request> questions;
      for (const Chunk& c : open) questions.push_back(pick_question(request, task, c));
      auto replies = co_await ask_all(slm_, std::move(questions), options_.parallel);
      std::vector<Chunk> again;
      for (size_t i = 0; i < open.size(); ++i) {
        if (replies[i]) {
          trace.add(*replies[i], "read");
          take(*replies[i], task.sources, open[i], out);
          continue;
        }
        if (request.cancel.stop_requested()) co_return std::unexpected(std::move(replies[i]).error());
        auto halves = halved(task.sources.texts[open[i].source], open[i]);
        if (replies[i].error().code == Code::kLimit && halves) {
          again.push_back(halves->first);
          again.push_back(halves->second);
          continue;
        }
        trace.add_failure(slm_.name(), "failed: " + replies[i].error().message, 0.0);
        out.push_back({open[i], std::string(task.sources.of(open[i]))});
        ++unread;
      }
      open = std::move(again);
    }
    if (out.empty() && options_.all_if_none) {
      for (const Chunk& c : parts) out.push_back({c, std::string(task.sources.of(c))});
    }
    std::ranges::sort(out, [](const Passage& a, const Passage& b) {
      return std::pair(a.from.source, a.from.begin) < std::pair(b.from.source, b.from.begin);
    });
    trace.note(fmt::format("{} of {} parts of the material were handed on{}", out.size(), all,
                           unread ? fmt::format(", {} of them unread", unread) : ""));
    co_return out;
  }

  Request pick_question(const Request& request, const Task& task, const Chunk& c) const {
    std::string prompt = templates_.pick.fill({{"question", task.question}, {"text", task.sources.of(c)}});
    std::vector<std::string> choices;
    if (options_.pick == FilterOptions::Pick::kSelect) choices = {options_.yes, options_.no};
    return side_question(request, std::move(prompt), std::move(choices));
  }

  void take(const Reply& reply, const Sources& sources, const Chunk& c, std::vector<Passage>& out) const {
    std::string_view text = sources.of(c);
    if (options_.pick == FilterOptions::Pick::kSelect) {
      if (share_of_yes(reply, options_.yes) >= options_.keep_at) out.push_back({c, std::string(text)});
      return;
    }
    std::string whole = flat(text), quoted;
    if (flat(reply.text) == options_.none) return;
    for (std::string_view line : paragraphs_of_lines(reply.text)) {
      std::string quote = flat(line);
      if (quote.empty() || quote == options_.none) continue;
      if (whole.find(quote) == std::string::npos) {
        out.push_back({c, std::string(text)});
        return;
      }
      quoted += (quoted.empty() ? "" : "\n") + quote;
    }
    if (!quoted.empty()) out.push_back({c, std::move(quoted)});
  }

  static std::vector<std::string_view> paragraphs_of_lines(std::string_view text) {
    std::vector<std::string_view> out;
    for (size_t at = 0; at <= text.size();) {
      size_t end = std::min(text.find('\n', at), text.size());
      out.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return out;
  }

  Awaitable<Result<Reply>> answer(const Request& request, EventSink sink, const Task& task,
                                  const std::vector<Passage>& passages, Trace trace) {
    std::string listed;
    for (size_t i = 0; i < passages.size(); ++i) {
      const Chunk& c = passages[i].from;
      std::string n = std::to_string(i + 1), source = task.sources.names[c.source];
      listed += templates_.passage.fill({{"n", n}, {"text", passages[i].text}, {"source", source}});
      trace.note(fmt::format("[{}] {}, bytes {} to {}", n, source, c.begin, c.end));
    }
    Request question = request;
    std::erase_if(question.messages,
                  [](const chat::Message& m) { return m.role != "system" && m.role != "developer"; });
    std::string prompt = templates_.prompt.fill({{"question", task.question}, {"passages", listed}});
    question.messages.push_back({"user", std::move(prompt)});
    question.prompt.clear();
    question.typed_events = false;
    PassOn forward(sink);
    double start = wall_seconds();
    Result<Reply> reply = co_await llm_.ask(question, forward.sink());
    if (!reply) {
      if (forward.begun() || !llm_.falls_back_from(reply.error(), request)) co_return reply;
      trace.add_failure(llm_.name(), reply.error(), start);
      Result<Reply> own = co_await slm_.ask(question, forward.sink());
      if (!own) co_return reply;
      own->unverified = true;
      reply = std::move(own);
    }
    note_citations(reply->text, passages.size(), trace);
    co_return trace.finish(std::move(*reply));
  }

  /// Numbers in brackets that are no passage's.
  static void note_citations(std::string_view text, size_t passages, Trace& trace) {
    std::set<size_t> wrong;
    for (size_t at = text.find('['); at != text.npos; at = text.find('[', at + 1)) {
      size_t n = 0, end = at + 1;
      for (; end < text.size() && end < at + 7 && text[end] >= '0' && text[end] <= '9'; ++end)
        n = n * 10 + static_cast<size_t>(text[end] - '0');
      bool number = end > at + 1 && end < text.size() && text[end] == ']';
      if (number && (n == 0 || n > passages)) wrong.insert(n);
    }
    for (size_t n : wrong)
      trace.note(fmt::format("the answer cites [{}], which is none of the {} passages", n, passages));
  }

  FilterOptions options_;
  LlmCall slm_, llm_;
  Templates templates_;
};

}  // namespace

Result<std::shared_ptr<chat::ChatModel>> make_filter(std::shared_ptr<chat::ChatModel> slm,
                                                     std::shared_ptr<chat::ChatModel> llm,
                                                     FilterOptions options) {
  BANTAM_TRY(check_models(options.name, slm, llm));
  BANTAM_TRY(check_reading(options));
  BANTAM_TRY(check_share(options.name, "keep_at", options.keep_at));
  if (options.pick_prompt.empty())
    options.pick_prompt = options.pick == FilterOptions::Pick::kSelect ? kSelectPrompt : kQuotePrompt;
  if (options.prompt.empty()) options.prompt = kAnswerPrompt;
  auto context = [&](std::string_view key) { return fmt::format("team '{}': {}", options.name, key); };
  auto pick = PromptTemplate::parse(options.pick_prompt, kPickPlaces, kPickNeeds);
  if (!pick) return std::unexpected(std::move(pick).error().in(context("pick_prompt")));
  auto passage = PromptTemplate::parse(options.passage, kPassagePlaces, kPassageNeeds);
  if (!passage) return std::unexpected(std::move(passage).error().in(context("passage")));
  auto prompt = PromptTemplate::parse(options.prompt, kPromptPlaces, kPromptPlaces);
  if (!prompt) return std::unexpected(std::move(prompt).error().in(context("prompt")));
  return std::make_shared<FilterTeam>(std::move(slm), std::move(llm), std::move(options),
                                      Templates{std::move(*pick), std::move(*passage), std::move(*prompt)});
}

}  // namespace bantam::collab
