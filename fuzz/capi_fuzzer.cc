// The C API with random bytes. The first byte chooses: the rest is a model with a text for it (its length
// first), or calls of one good model, a byte for each and then what it takes. Whatever comes, a call succeeds
// or says what is wrong.

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "capi/bantam.h"
#include "model/random_model.h"

namespace {

/// Takes values off the front of the input.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  float number() {  // over all exponents, and what is no number
    const int exponent = byte();
    const float sign = (exponent & 1) != 0 ? -1.0F : 1.0F;
    return exponent == 255 ? std::nanf("") : std::ldexp(sign * static_cast<float>(byte()), exponent - 128);
  }
  std::string text() {
    const size_t length = std::min<size_t>(byte(), size_);
    std::string out(reinterpret_cast<const char*>(data_), length);
    data_ += length;
    size_ -= length;
    return out;
  }
  std::string rest() {
    std::string out(reinterpret_cast<const char*>(data_), size_);
    size_ = 0;
    return out;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

void check(bantam_status status) {
  const bool told = *bantam_last_error() != '\0';
  if (status < BANTAM_OK || status > BANTAM_INTERNAL || status == BANTAM_INTERNAL) std::abort();
  if (told != (status != BANTAM_OK)) std::abort();
}

int count_text(const char* text, size_t length, void* user) {
  if (text[length] != '\0') std::abort();
  return ++*static_cast<int*>(user) > 3 ? 1 : 0;
}

/// Tokens of the text, as they are or, where there is no room, none.
std::vector<bantam_token> tokens_of(const bantam_model* model, const std::string& text, uint32_t flags) {
  std::vector<bantam_token> out(256);
  size_t count = 0;
  const bantam_status status =
      bantam_tokenize(model, text.data(), text.size(), flags, out.data(), out.size(), &count);
  check(status);
  if (status != BANTAM_OK && status != BANTAM_LIMIT && status != BANTAM_INVALID_ARGUMENT) std::abort();
  out.resize(status == BANTAM_OK ? count : 0);
  return out;
}

void generate(bantam_session* session, const std::vector<bantam_token>& prompt, Input& in) {
  const uint8_t what = in.byte();
  int pieces = 0;
  bantam_generate_options options{};
  options.size = sizeof options;
  options.max_tokens = 1 + what % 4;
  options.on_text = count_text;
  options.user = &pieces;
  options.ignore_end = what >> 2 & 1;
  options.context_shift = what >> 3 & 1;
  std::string schema, pattern, stop;
  const char* stops[] = {nullptr};
  if ((what & 16) != 0) {
    options.temperature = in.number();
    options.top_k = in.byte();
    options.top_p = in.number();
    options.min_p = in.number();
    options.repeat_penalty = in.number();
    options.seed = in.byte();
    options.context_keep = in.byte();
  }
  if ((what & 32) != 0) options.json_schema = (schema = in.text()).c_str();
  if ((what & 64) != 0) options.pattern = (pattern = in.text()).c_str();
  if ((what & 128) != 0) {
    stops[0] = (stop = in.text()).c_str();
    options.stop = stops;
    options.stop_count = 1;
  }
  bantam_result result{};
  result.size = sizeof result;
  check(bantam_generate(session, prompt.data(), prompt.size(), &options, &result));
}

void choose(bantam_session* session, const std::vector<bantam_token>& prompt, Input& in) {
  const std::string texts[] = {in.text(), in.text(), in.text()};
  const char* choices[] = {texts[0].c_str(), texts[1].c_str(), texts[2].c_str()};
  double probabilities[3] = {};
  size_t best = 0;
  const bantam_status status =
      bantam_choose(session, prompt.data(), prompt.size(), choices, 3, probabilities, &best);
  check(status);
  const double sum = probabilities[0] + probabilities[1] + probabilities[2];
  if (status == BANTAM_OK && (best > 2 || !(std::abs(sum - 1) < 1e-6))) std::abort();
}

void classify_and_embed(const bantam_model* model, bantam_session* session, const std::string& text,
                        const std::vector<bantam_token>& prompt) {
  bantam_model_info info{};
  info.size = sizeof info;
  check(bantam_model_describe(model, &info));
  std::vector<double> probabilities(info.labels);
  size_t best = 0;
  check(
      bantam_classify(session, text.data(), text.size(), probabilities.data(), probabilities.size(), &best));
  std::vector<float> vector(info.dim);
  check(bantam_embed(session, prompt.data(), prompt.size(), vector.data(), vector.size()));
}

void converse(bantam_session* session, Input& in) {
  const std::string role = in.text(), content = in.text();
  const bantam_message messages[] = {{role.c_str(), content.c_str()}, {"user", content.c_str()}};
  bantam_generate_options options{};
  options.size = sizeof options;
  options.max_tokens = 2;
  check(bantam_chat(session, messages, 1 + in.byte() % 2, &options, nullptr));
}

void back_to_text(const bantam_model* model, Input& in) {
  std::vector<bantam_token> tokens;
  for (size_t n = in.byte() % 16; n > 0; --n) tokens.push_back(static_cast<bantam_token>(in.byte()) - 2);
  char text[64];
  size_t length = 0;
  const bantam_status status = bantam_detokenize(model, tokens.data(), tokens.size(), in.byte() % 4, text,
                                                 in.byte() % sizeof text, &length);
  check(status);
  if (status == BANTAM_OK && text[length] != '\0') std::abort();
}

bantam_load_options small_options() {
  bantam_load_options options{};
  options.size = sizeof options;
  options.threads = 1;
  options.context_length = 48;
  options.batch = 8;
  return options;
}

/// A model whose file may say anything.
void foreign(Input in) {
  const std::string text = in.text(), bytes = in.rest();
  bantam_load_options options = small_options();
  bantam_model* model = nullptr;
  bantam_status status = bantam_model_load_memory(bytes.data(), bytes.size(), &options, &model);
  check(status);
  if (status == BANTAM_INVALID_ARGUMENT) {  // its context may be shorter
    options.context_length = 0;
    check(status = bantam_model_load_memory(bytes.data(), bytes.size(), &options, &model));
  }
  if (status != BANTAM_OK) return;
  bantam_session* session = nullptr;
  check(status = bantam_session_new(model, &session));
  const auto prompt = tokens_of(model, text, 0);
  if (status == BANTAM_OK) {
    Input none(nullptr, 0);
    generate(session, prompt, none);
    classify_and_embed(model, session, text, prompt);
    const bantam_message message{"user", "a"};
    check(bantam_chat(session, &message, 1, nullptr, nullptr));
  }
  bantam_model_free(model);
  bantam_session_free(session);
}

/// A good model, loaded once.
bantam_model* good_model() {
  static std::string bytes;
  static bantam_model* model = [] {
    const auto path = std::filesystem::temp_directory_path() / ("bantam-fuzz-" + std::to_string(::getpid()));
    if (!bantam::model::write_random_model(
            path, bantam::model::tiny_config(64), bantam::tensor::DType::kQ8_0, 1, {"left", "right"},
            "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"))
      std::abort();
    bytes = *bantam::read_file(path);
    std::filesystem::remove(path);
    const bantam_load_options options = small_options();
    bantam_model* out = nullptr;
    check(bantam_model_load_memory(bytes.data(), bytes.size(), &options, &out));
    return out;
  }();
  return model;
}

void calls(Input in) {
  bantam_model* model = good_model();
  static bantam_session* session = [model] {
    bantam_session* out = nullptr;
    check(bantam_session_new(model, &out));
    return out;
  }();
  std::vector<bantam_token> prompt;
  std::string text;
  for (int step = 0; step < 8 && !in.empty(); ++step) {
    switch (in.byte() % 8) {
      case 0:
        text = in.text();
        prompt = tokens_of(model, text, in.byte() % 4);
        break;
      case 1:
        for (size_t n = in.byte() % 32; n > 0; --n)
          prompt.push_back(static_cast<bantam_token>(in.byte()) * 2 - 4);
        break;
      case 2:
        generate(session, prompt, in);
        break;
      case 3:
        choose(session, prompt, in);
        break;
      case 4:
        classify_and_embed(model, session, text, prompt);
        break;
      case 5:
        converse(session, in);
        break;
      case 6:
        back_to_text(model, in);
        break;
      case 7: {
        const float scale = in.number();
        check(bantam_session_set_adapters(session, &scale, in.byte() % 2));
        bantam_cancel(session);
        break;
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  if (in.byte() % 2 == 1)
    foreign(in);
  else
    calls(in);
  return 0;
}
