// generate_bookings: the free-text task of recipes/team. Writes the documents that its two models are trained
// on and the messages they are tested on.
//
// Every document ends in "=> " and what the model is to say. Lines before the message say what is wanted:
//   MESSAGE                 the booking's line
//   ~ DRAFT, MESSAGE        the same, mending a draft in which (doubtful) parts stand in brackets
//   ? FIELD, MESSAGE        yes or no: does the message say so?
//   > NAME, MESSAGE         yes or no: is the message of this person?
//   > NAME, MESSAGES...     the booking of one person

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "booking_text.h"

namespace {

using namespace bantam;
using namespace bantam::tools;

constexpr size_t kPile = 4;  // messages at most

struct Options {
  std::string out;
  size_t train = 40000, test = 2000;
  uint64_t seed = 1;
};

std::string document(std::string_view head, std::string_view body, std::string_view answer) {
  return fmt::format("{}{}\n=> {}\n<|endoftext|>\n", head, body, answer);
}

/// A draft as a small model might give it, its doubtful fields in brackets: most wrong ones, some right ones.
std::string marked_draft(const Booking& right, Rng& rng) {
  auto truth = fields_of(right), draft = fields_of(rng.chance(0.6) ? corrupted(right, rng) : right);
  std::string out;
  for (size_t i = 0; i < draft.size(); ++i) {
    bool marked = rng.chance(draft[i] == truth[i] ? 0.15 : 0.7);
    size_t value = draft[i].find('=') + 1;
    out += i ? " " : "";
    out += marked ? fmt::format("{}({})", draft[i].substr(0, value), draft[i].substr(value)) : draft[i];
  }
  return out;
}

struct Pile {
  std::vector<BookingMessage> messages;  // of different names
  size_t wanted = 0;
};

Pile draw_pile(size_t count, Rng& rng) {
  Pile out;
  std::set<std::string> names;
  while (out.messages.size() < count) {
    BookingMessage m = draw_message(rng);
    if (names.insert(m.booking.name).second) out.messages.push_back(std::move(m));
  }
  out.wanted = rng.below(count);
  return out;
}

std::string joined(const Pile& pile, std::string_view between) {
  std::string out;
  for (const BookingMessage& m : pile.messages)
    out += (out.empty() ? std::string() : std::string(between)) + m.text;
  return out;
}

std::string draw_document(Rng& rng) {
  double kind = rng.uniform();
  if (kind < 0.1) {
    Pile pile = draw_pile(2 + rng.below(kPile - 1), rng);
    const Booking& b = pile.messages[pile.wanted].booking;
    return document("> " + b.name + "\n", joined(pile, "\n"), answer_of(b));
  }
  BookingMessage m = draw_message(rng);
  if (kind < 0.5) return document("", m.text, answer_of(m.booking));
  if (kind < 0.7) return document("~ " + marked_draft(m.booking, rng) + "\n", m.text, answer_of(m.booking));
  auto truth = fields_of(m.booking);
  if (kind < 0.9) {
    auto claims = fields_of(rng.chance(0.6) ? corrupted(m.booking, rng) : m.booking);
    size_t which = rng.below(claims.size());
    return document("? " + claims[which] + "\n", m.text, claims[which] == truth[which] ? "yes" : "no");
  }
  std::string name = rng.chance(0.5) ? m.booking.name : draw_name(rng);
  return document("> " + name + "\n", m.text, name == m.booking.name ? "yes" : "no");
}

std::string csv_field(std::string_view text) {
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

Status generate(const Options& options) {
  Rng rng(options.seed, 1);
  std::string train;
  for (size_t i = 0; i < options.train; ++i) train += draw_document(rng);
  Rng test_rng(options.seed, 2);
  std::string test = "text,answer\n", piles = "material,question,answer\n";
  for (size_t i = 0; i < options.test; ++i) {
    BookingMessage m = draw_message(test_rng);
    test += fmt::format("{},{}\n", csv_field(m.text), csv_field(answer_of(m.booking)));
  }
  for (size_t i = 0; i < options.test; ++i) {
    Pile pile = draw_pile(kPile, test_rng);
    const Booking& b = pile.messages[pile.wanted].booking;
    piles +=
        fmt::format("{},{},{}\n", csv_field(joined(pile, "\n")), csv_field(b.name), csv_field(answer_of(b)));
  }
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) return fail(Code::kIo, "{}: cannot be created: {}", options.out, error.message());
  BANTAM_TRY(write_file(options.out + "/bookings.txt", train));
  BANTAM_TRY(write_file(options.out + "/bookings.csv", test));
  return write_file(options.out + "/piles.csv", piles);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Writes invented table bookings: bookings.txt to train language models on, bookings.csv (text,answer) "
      "and\n"
      "piles.csv (material,question,answer) to test them on.\n"
      "Example: generate_bookings --seed 1 --out build/bookings");
  app.add_option("--out", options.out, "the folder to write into")->required();
  app.add_option("--train", options.train, "documents to train on")->capture_default_str();
  app.add_option("--test", options.test, "messages, and piles of messages, to test on")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "the same seed gives the same files")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (auto done = generate(options); !done) {
    fmt::print(stderr, "generate_bookings: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
