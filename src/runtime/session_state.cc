// Sessions to files and back.

#include <cstring>

#include "base/file.h"
#include "base/hash.h"
#include "runtime/session.h"
#include "runtime/state_file.h"

namespace bantam::runtime {
namespace {

const std::string& model_fingerprint(const Engine::Impl& engine) {
  std::call_once(engine.fingerprint_made, [&engine] { engine.fingerprint = fingerprint(engine.file); });
  return engine.fingerprint;
}

/// Of the adapters at work: keys and values depend on them and on their scales.
std::string adapters_fingerprint(const Session::State& state) {
  std::string parts;
  for (size_t i = 0; i < state.scales.size(); ++i) {
    if (state.scales[i] != 0)
      parts += fmt::format("{} {:a}\n", fingerprint(state.engine->adapters.file(i).file()), state.scales[i]);
  }
  return sha256_hex(parts);
}

StateKey key_of(const Session::State& state) {
  const auto& config = state.engine->config;
  const uint32_t original = config.rope_scaling.original_context;
  return {.model = model_fingerprint(*state.engine),
          .adapters = adapters_fingerprint(state),
          .type = static_cast<uint32_t>(state.cache.type),
          .layers = config.layers,
          .heads = config.kv_heads,
          .row_bytes = static_cast<uint32_t>(state.row_bytes()),
          .long_text = original > 0 && state.engine->options.context_length > original};
}

/// Errors: kInvalidArgument saying what differs.
Status check_key(const StateKey& found, const StateKey& expected, const std::string& name,
                 const std::string& model) {
  const auto refuse = [&](std::string_view what, const auto& was, const auto& is) {
    return fail(Code::kInvalidArgument, "{}: found the state of {} {}, expected {} as {} has it", name, what,
                was, is, model);
  };
  if (found.model != expected.model)
    return refuse("another model,", found.model.substr(0, 12), expected.model.substr(0, 12));
  if (found.adapters != expected.adapters)
    return refuse("other adapters,", found.adapters.substr(0, 12), expected.adapters.substr(0, 12));
  if (found.type != expected.type)
    return refuse("a KV cache of type", formats::ggml_type_name(found.type),
                  formats::ggml_type_name(expected.type));
  if (found.long_text != expected.long_text)
    return refuse("a context", found.long_text ? "longer than the trained one" : "within the trained one",
                  expected.long_text ? "a longer one" : "one within it");
  if (found != expected) return refuse("a cache of another shape,", found.row_bytes, expected.row_bytes);
  return {};
}

}  // namespace

Status Session::save(const std::string& path) const {
  const State& state = *state_;
  BANTAM_TRY(state.check_decoder());
  if (state.past.empty())
    return fail(Code::kInvalidArgument, "{}: found a session without tokens, expected some to save", path);
  BANTAM_ASSIGN(auto file, AtomicFile::create(path));
  Checksum checksum;
  const auto write = [&](std::span<const std::byte> bytes) {
    checksum.add(bytes);
    return file.write(bytes);
  };
  const std::string header = state_header(key_of(state), state.past);
  BANTAM_TRY(write(std::as_bytes(std::span(header))));
  BANTAM_TRY(state.for_rows(state.past.size(), [&](const std::byte* rows, size_t bytes) { return write({rows, bytes}); }));
  const uint64_t sum = checksum.value();
  BANTAM_TRY(file.write(std::as_bytes(std::span(&sum, 1))));
  return file.commit();
}

Status Session::restore(const std::string& path) {
  State& state = *state_;
  BANTAM_TRY(state.check_decoder());
  BANTAM_ASSIGN(const auto file, MappedFile::open(path));
  BANTAM_ASSIGN(const StateView saved, parse_state(file.bytes(), path));
  BANTAM_TRY(check_key(saved.key, key_of(state), path, state.engine->file.path()));
  if (Status tokens = state.check_tokens(saved.tokens, 0); !tokens)
    return std::unexpected(std::move(tokens).error().in(path));
  state.rewind(0);
  state.make_writable(saved.tokens.size());
  const std::byte* from = saved.keys.data();  // the values follow
  BANTAM_TRY(state.for_rows(saved.tokens.size(), [&](std::byte* rows, size_t bytes) -> Status {
    std::memcpy(rows, from, bytes);
    from += bytes;
    return {};
  }));
  state.past = saved.tokens;
  return {};
}

std::span<const TokenId> Session::tokens() const { return state_->past; }

}  // namespace bantam::runtime
