#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "capi/bantam.h"
#include "model/adapter_for_test.h"
#include "model/random_model.h"

namespace {

using bantam::model::tiny_config;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kTemplate =
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt "
    "%}assistant:{% endif %}";

/// The bytes of a random model.
std::string model_bytes(const std::vector<std::string>& labels = {}, const std::string& chat_template = {}) {
  const auto path =
      std::filesystem::temp_directory_path() / ("bantam-capi-" + std::to_string(::getpid()) + ".gguf");
  const auto written = bantam::model::write_random_model(path, tiny_config(), bantam::tensor::DType::kF32, 1,
                                                         labels, chat_template);
  EXPECT_TRUE(written) << written.error().message;
  auto bytes = bantam::read_file(path);
  std::filesystem::remove(path);
  EXPECT_TRUE(bytes);
  return bytes.value_or("");
}

/// A model in memory and a session.
struct Loaded {
  explicit Loaded(const std::vector<std::string>& labels = {}, const std::string& chat_template = {})
      : bytes(model_bytes(labels, chat_template)) {
    bantam_load_options options{};
    options.size = sizeof options;
    options.threads = 1;
    EXPECT_EQ(bantam_model_load_memory(bytes.data(), bytes.size(), &options, &model), BANTAM_OK)
        << bantam_last_error();
    EXPECT_EQ(bantam_session_new(model, &session), BANTAM_OK) << bantam_last_error();
  }
  ~Loaded() {
    bantam_model_free(model);  // before its session
    bantam_session_free(session);
  }
  std::vector<bantam_token> tokens(const char* text) const {
    size_t count = 0;
    EXPECT_EQ(bantam_tokenize(model, text, BANTAM_NUL, 0, nullptr, 0, &count), BANTAM_OK);
    std::vector<bantam_token> out(count);
    EXPECT_EQ(bantam_tokenize(model, text, BANTAM_NUL, 0, out.data(), count, &count), BANTAM_OK);
    return out;
  }

  std::string bytes;
  bantam_model* model = nullptr;
  bantam_session* session = nullptr;
};

int append(const char* text, size_t length, void* user) {
  EXPECT_EQ(text[length], '\0');
  static_cast<std::string*>(user)->append(text, length);
  return 0;
}

TEST(CApi, TellsItsVersion) {
  EXPECT_EQ(bantam_api_version(), uint32_t{BANTAM_API_VERSION});
  EXPECT_STRNE(bantam_release(), "");
}

TEST(CApi, DescribesAModel) {
  Loaded loaded({"refund", "login"});
  bantam_model_info info{};
  info.size = sizeof info;
  ASSERT_EQ(bantam_model_describe(loaded.model, &info), BANTAM_OK) << bantam_last_error();
  EXPECT_EQ(info.size, sizeof info);
  EXPECT_EQ(info.context_length, tiny_config().context_length);
  EXPECT_EQ(info.dim, tiny_config().dim);
  EXPECT_EQ(info.labels, 2u);
  EXPECT_GT(info.memory, loaded.bytes.size() / 2);
  EXPECT_STREQ(bantam_model_label(loaded.model, 1), "login");
  EXPECT_EQ(bantam_model_label(loaded.model, 2), nullptr);
  EXPECT_THAT(bantam_last_error(), HasSubstr("expected less than the 2 labels"));
  // An older caller's struct is shorter: nothing behind it is touched.
  bantam_model_info old{};
  old.size = 8;
  old.vocabulary = 77;
  ASSERT_EQ(bantam_model_describe(loaded.model, &old), BANTAM_OK);
  EXPECT_EQ(old.context_length, info.context_length);
  EXPECT_EQ(old.vocabulary, 77u);
  EXPECT_EQ(old.size, 8u);
}

TEST(CApi, RefusesWhatIsNoModel) {
  bantam_model* model = nullptr;
  EXPECT_EQ(bantam_model_load("no/such.gguf", nullptr, &model), BANTAM_NOT_FOUND);
  EXPECT_THAT(bantam_last_error(), StartsWith("no/such.gguf"));
  EXPECT_EQ(bantam_model_load(nullptr, nullptr, &model), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_model_load("x", nullptr, nullptr), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_model_load_memory("GGUF", 4, nullptr, &model), BANTAM_CORRUPT);
  EXPECT_EQ(bantam_model_load_memory(nullptr, 4, nullptr, &model), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(model, nullptr);
  const std::string bytes = model_bytes();
  for (const size_t length : {bytes.size() - 1, bytes.size() / 2, size_t{100}}) {
    EXPECT_NE(bantam_model_load_memory(bytes.data(), length, nullptr, &model), BANTAM_OK);
    EXPECT_STRNE(bantam_last_error(), "");
    EXPECT_EQ(model, nullptr);
  }
  bantam_session* session = nullptr;
  EXPECT_EQ(bantam_session_new(nullptr, &session), BANTAM_INVALID_ARGUMENT);
  bantam_model_free(nullptr);
  bantam_session_free(nullptr);
  bantam_cancel(nullptr);
}

TEST(CApi, StructsOfOtherVersionsAreToldApart) {
  const std::string bytes = model_bytes();
  bantam_model* model = nullptr;
  struct {
    bantam_load_options known;
    uint32_t newer[2];
  } options{};
  options.known.size = sizeof options;
  ASSERT_EQ(bantam_model_load_memory(bytes.data(), bytes.size(), &options.known, &model), BANTAM_OK);
  bantam_model_free(model);
  options.newer[1] = 1;
  EXPECT_EQ(bantam_model_load_memory(bytes.data(), bytes.size(), &options.known, &model), BANTAM_UNSUPPORTED);
  options.known.size = 0;
  EXPECT_EQ(bantam_model_load_memory(bytes.data(), bytes.size(), &options.known, &model),
            BANTAM_INVALID_ARGUMENT);
  EXPECT_THAT(bantam_last_error(), HasSubstr("sizeof(bantam_load_options)"));
}

TEST(CApi, TokensAndBack) {
  Loaded loaded;
  const auto ids = loaded.tokens("the quick fox");
  ASSERT_FALSE(ids.empty());
  size_t count = 0;
  bantam_token one = -7;
  EXPECT_EQ(bantam_tokenize(loaded.model, "the quick fox", 13, 0, &one, 0, &count), BANTAM_LIMIT);
  EXPECT_EQ(count, ids.size());
  EXPECT_EQ(one, -7) << "nothing is written to a buffer that is too small";
  char text[64];
  size_t length = 0;
  ASSERT_EQ(bantam_detokenize(loaded.model, ids.data(), ids.size(), 0, text, sizeof text, &length),
            BANTAM_OK);
  EXPECT_STREQ(text, "the quick fox");
  EXPECT_EQ(length, 13u);
  EXPECT_EQ(bantam_detokenize(loaded.model, ids.data(), ids.size(), 0, text, 13, &length), BANTAM_LIMIT)
      << "no room for the zero byte";
  const bantam_token foreign[] = {1 << 30, -1};
  EXPECT_EQ(bantam_detokenize(loaded.model, foreign, 1, 0, text, sizeof text, &length),
            BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_detokenize(loaded.model, foreign + 1, 1, 0, text, sizeof text, &length),
            BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_tokenize(loaded.model, "x", BANTAM_NUL, 64, nullptr, 0, &count), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_tokenize(loaded.model, nullptr, BANTAM_NUL, 0, nullptr, 0, &count),
            BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_tokenize(loaded.model, "x", 1, 0, nullptr, 0, nullptr), BANTAM_INVALID_ARGUMENT);
}

TEST(CApi, GeneratesTheSameTwice) {
  Loaded loaded;
  const auto prompt = loaded.tokens("the quick");
  std::string first, second;
  bantam_generate_options options{};
  options.size = sizeof options;
  options.max_tokens = 20;
  options.temperature = 1;
  options.seed = 7;
  options.on_text = append;
  options.user = &first;
  bantam_result result{};
  result.size = sizeof result;
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, &result), BANTAM_OK)
      << bantam_last_error();
  EXPECT_STREQ(bantam_last_error(), "");
  EXPECT_EQ(result.prompt_tokens, prompt.size());
  EXPECT_EQ(result.cached_tokens, 0u);
  EXPECT_LE(result.tokens, 20u);
  options.user = &second;
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, &result), BANTAM_OK);
  EXPECT_EQ(first, second);
  EXPECT_EQ(result.cached_tokens, prompt.size() - 1);
  EXPECT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), nullptr, nullptr), BANTAM_OK);
}

TEST(CApi, RefusesWhatMakesNoSense) {
  Loaded loaded;
  const auto prompt = loaded.tokens("the quick");
  bantam_generate_options options{};
  options.size = sizeof options;
  const auto generate = [&] {
    return bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, nullptr);
  };
  options.temperature = std::nanf("");
  EXPECT_EQ(generate(), BANTAM_INVALID_ARGUMENT);
  EXPECT_THAT(bantam_last_error(), HasSubstr("temperature"));
  options.temperature = 0;
  options.stop_count = 3;
  EXPECT_EQ(generate(), BANTAM_INVALID_ARGUMENT);
  options.stop_count = 0;
  options.json_schema = "{";
  EXPECT_EQ(generate(), BANTAM_INVALID_ARGUMENT);
  options.json_schema = "{}";
  options.pattern = "a+";
  EXPECT_EQ(generate(), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_generate(loaded.session, nullptr, 0, nullptr, nullptr), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_generate(loaded.session, nullptr, 5, nullptr, nullptr), BANTAM_INVALID_ARGUMENT);
  const std::vector<bantam_token> many(1000, 5), foreign{300000};
  EXPECT_EQ(bantam_generate(loaded.session, many.data(), many.size(), nullptr, nullptr), BANTAM_LIMIT);
  EXPECT_THAT(bantam_last_error(), HasSubstr("1000 tokens"));
  EXPECT_EQ(bantam_generate(loaded.session, foreign.data(), 1, nullptr, nullptr), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_generate(nullptr, foreign.data(), 1, nullptr, nullptr), BANTAM_INVALID_ARGUMENT);
}

TEST(CApi, KeepsToASchemaAndAPattern) {
  Loaded loaded;
  const auto prompt = loaded.tokens("the quick");
  std::string text;
  bantam_generate_options options{};
  options.size = sizeof options;
  options.on_text = append;
  options.user = &text;
  options.json_schema = R"({"enum":["left","right"]})";
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, nullptr), BANTAM_OK)
      << bantam_last_error();
  EXPECT_THAT(text, testing::AnyOf("\"left\"", "\"right\""));
  text.clear();
  options.json_schema = nullptr;
  options.pattern = "[0-9]{3}";
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, nullptr), BANTAM_OK);
  EXPECT_THAT(text, testing::MatchesRegex("[0-9][0-9][0-9]"));
}

TEST(CApi, TheCallbackMayEndAndMayNotCallBack) {
  Loaded loaded;
  const auto prompt = loaded.tokens("the quick");
  bantam_generate_options options{};
  options.size = sizeof options;
  options.ignore_end = 1;
  options.user = &loaded;
  bantam_result result{};
  result.size = sizeof result;
  options.on_text = [](const char*, size_t, void*) { return 1; };
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, &result), BANTAM_OK);
  EXPECT_EQ(result.finish, BANTAM_FINISH_CANCELLED);
  options.on_text = [](const char*, size_t, void* user) {
    const bantam_token token = 1;
    EXPECT_EQ(bantam_generate(static_cast<Loaded*>(user)->session, &token, 1, nullptr, nullptr), BANTAM_BUSY);
    bantam_cancel(static_cast<Loaded*>(user)->session);
    return 0;
  };
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, &result), BANTAM_OK);
  EXPECT_EQ(result.finish, BANTAM_FINISH_CANCELLED);
  EXPECT_LT(result.tokens, 10u);
}

TEST(CApi, BytesOfTheCallerStayAsTheyAre) {
  const auto path =
      std::filesystem::temp_directory_path() / ("bantam-bytes-" + std::to_string(::getpid()) + ".gguf");
  for (const auto type :
       {bantam::tensor::DType::kF32, bantam::tensor::DType::kQ8_0}) {  // in place; copied as panels
    ASSERT_TRUE(bantam::model::write_random_model(path, tiny_config(), type, 1));
    const std::string before = *bantam::read_file(path), bytes = before;
    bantam_load_options options{};
    options.size = sizeof options;
    options.threads = 1;
    std::string text[2];
    for (int from_memory = 0; from_memory < 2; ++from_memory) {
      bantam_model* model = nullptr;
      bantam_session* session = nullptr;
      ASSERT_EQ(from_memory ? bantam_model_load_memory(bytes.data(), bytes.size(), &options, &model)
                            : bantam_model_load(path.c_str(), &options, &model),
                BANTAM_OK);
      ASSERT_EQ(bantam_session_new(model, &session), BANTAM_OK);
      bantam_generate_options how{};
      how.size = sizeof how;
      how.max_tokens = 20;
      how.ignore_end = 1;
      how.temperature = 1;
      how.on_text = append;
      how.user = &text[from_memory];
      const bantam_token prompt[] = {3, 4};
      EXPECT_EQ(bantam_generate(session, prompt, 2, &how, nullptr), BANTAM_OK);
      bantam_session_free(session);
      bantam_model_free(model);
    }
    EXPECT_EQ(text[0], text[1]);
    EXPECT_FALSE(text[0].empty());
    EXPECT_TRUE(bytes == before);
  }
  std::filesystem::remove(path);
}

TEST(CApi, CancelsFromAnotherThread) {
  Loaded loaded;
  const auto prompt = loaded.tokens("the quick");
  bantam_generate_options options{};
  options.size = sizeof options;
  options.ignore_end = 1;
  options.max_tokens = 200;
  bantam_result result{};
  result.size = sizeof result;
  std::jthread other([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) bantam_cancel(loaded.session);
  });
  do {  // the call may be over before the other thread begins
    ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, &result), BANTAM_OK);
  } while (result.finish != BANTAM_FINISH_CANCELLED);
}

TEST(CApi, AnswersAConversation) {
  Loaded loaded({}, kTemplate);
  const bantam_message messages[] = {{"system", "be kind"}, {"user", "the fox"}};
  std::string text;
  bantam_generate_options options{};
  options.size = sizeof options;
  options.max_tokens = 8;
  options.on_text = append;
  options.user = &text;
  bantam_result result{};
  result.size = sizeof result;
  ASSERT_EQ(bantam_chat(loaded.session, messages, 2, &options, &result), BANTAM_OK) << bantam_last_error();
  EXPECT_GT(result.prompt_tokens, 10u);
  EXPECT_EQ(bantam_chat(loaded.session, messages, 0, &options, &result), BANTAM_INVALID_ARGUMENT);
  const bantam_message broken[] = {{"user", nullptr}};
  EXPECT_EQ(bantam_chat(loaded.session, broken, 1, &options, &result), BANTAM_INVALID_ARGUMENT);
  Loaded plain;
  EXPECT_EQ(bantam_chat(plain.session, messages, 2, &options, &result), BANTAM_UNSUPPORTED);
}

TEST(CApi, ChoosesAndClassifies) {
  Loaded loaded({"refund", "login", "other"});
  const auto prompt = loaded.tokens("the quick");
  const char* choices[] = {"yes", "no", "yes please"};
  double probabilities[3];
  size_t best = 9;
  ASSERT_EQ(bantam_choose(loaded.session, prompt.data(), prompt.size(), choices, 3, probabilities, &best),
            BANTAM_OK)
      << bantam_last_error();
  EXPECT_NEAR(probabilities[0] + probabilities[1] + probabilities[2], 1, 1e-9);
  ASSERT_LT(best, 3u);
  for (const double p : probabilities) EXPECT_LE(p, probabilities[best]);
  EXPECT_EQ(bantam_choose(loaded.session, prompt.data(), prompt.size(), choices, 0, probabilities, &best),
            BANTAM_INVALID_ARGUMENT);
  ASSERT_EQ(bantam_classify(loaded.session, "money back", BANTAM_NUL, probabilities, 3, &best), BANTAM_OK);
  EXPECT_NEAR(probabilities[0] + probabilities[1] + probabilities[2], 1, 1e-9);
  EXPECT_EQ(bantam_classify(loaded.session, "money back", BANTAM_NUL, probabilities, 2, &best), BANTAM_LIMIT);
  ASSERT_EQ(bantam_classify(loaded.session, "money back", 5, nullptr, 0, &best), BANTAM_OK);
  Loaded plain;
  EXPECT_EQ(bantam_classify(plain.session, "money", BANTAM_NUL, probabilities, 3, &best),
            BANTAM_INVALID_ARGUMENT);
}

TEST(CApi, Embeds) {
  Loaded loaded;
  const auto tokens = loaded.tokens("the quick");
  std::vector<float> vector(tiny_config().dim);
  ASSERT_EQ(bantam_embed(loaded.session, tokens.data(), tokens.size(), vector.data(), vector.size()),
            BANTAM_OK)
      << bantam_last_error();
  double squares = 0;
  for (const float x : vector) squares += x * x;
  EXPECT_NEAR(squares, 1, 1e-5);
  EXPECT_EQ(bantam_embed(loaded.session, tokens.data(), tokens.size(), vector.data(), 3), BANTAM_LIMIT);
  EXPECT_EQ(bantam_embed(loaded.session, tokens.data(), tokens.size(), nullptr, 0), BANTAM_INVALID_ARGUMENT);
}

/// A file of a test's own, gone at its end.
struct Scratch {
  explicit Scratch(const char* name)
      : path((std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + name)).string()) {}
  ~Scratch() { std::filesystem::remove(path); }
  std::string path;
};

TEST(CApi, SavesAndRestoresASession) {
  Loaded loaded;
  const Scratch state("-capi.state");
  const auto prompt = loaded.tokens("the quick brown fox");
  bantam_generate_options options{};
  options.size = sizeof options;
  options.max_tokens = 1;
  bantam_result result{};
  result.size = sizeof result;
  EXPECT_EQ(bantam_session_save(loaded.session, state.path.c_str()), BANTAM_INVALID_ARGUMENT) << "nothing to save";
  ASSERT_EQ(bantam_generate(loaded.session, prompt.data(), prompt.size(), &options, &result), BANTAM_OK);
  EXPECT_EQ(result.cached_tokens, 0u);
  ASSERT_EQ(bantam_session_save(loaded.session, state.path.c_str()), BANTAM_OK) << bantam_last_error();
  bantam_session* other = nullptr;
  ASSERT_EQ(bantam_session_new(loaded.model, &other), BANTAM_OK);
  ASSERT_EQ(bantam_session_restore(other, state.path.c_str()), BANTAM_OK) << bantam_last_error();
  ASSERT_EQ(bantam_generate(other, prompt.data(), prompt.size(), &options, &result), BANTAM_OK);
  EXPECT_EQ(result.cached_tokens, prompt.size() - 1);
  EXPECT_EQ(bantam_session_restore(other, "a/missing.state"), BANTAM_NOT_FOUND);
  EXPECT_THAT(bantam_last_error(), HasSubstr("a/missing.state"));
  EXPECT_EQ(bantam_session_save(other, nullptr), BANTAM_INVALID_ARGUMENT);
  bantam_session_free(other);
}

TEST(CApi, LoadsAdaptersAndSetsTheirScales) {
  const Scratch model("-capi-adapted.gguf"), adapter("-capi-adapter.gguf");
  ASSERT_TRUE(bantam::model::write_random_model(model.path, tiny_config(), bantam::tensor::DType::kF32, 1));
  auto base = bantam::formats::GgufFile::open(model.path);
  ASSERT_TRUE(base);
  bantam::model::AdapterDraft draft;
  draft.all(*base, 2);
  ASSERT_TRUE(draft.file.write(adapter.path));
  const std::string strong = adapter.path + ":2";
  const char* adapters[] = {strong.c_str()};
  bantam_load_options options{};
  options.size = sizeof options;
  options.threads = 1;
  options.adapters = adapters;
  options.adapter_count = 1;
  bantam_model* loaded = nullptr;
  ASSERT_EQ(bantam_model_load(model.path.c_str(), &options, &loaded), BANTAM_OK) << bantam_last_error();
  bantam_model_info info{};
  info.size = sizeof info;
  ASSERT_EQ(bantam_model_describe(loaded, &info), BANTAM_OK);
  EXPECT_EQ(info.adapters, 1u);
  const bantam_token prompt[] = {5, 6, 7};
  const auto vector = [&](std::vector<float> scales) {
    bantam_session* session = nullptr;
    EXPECT_EQ(bantam_session_new(loaded, &session), BANTAM_OK);
    if (!scales.empty()) {
      EXPECT_EQ(bantam_session_set_adapters(session, scales.data(), scales.size()), BANTAM_OK);
    }
    std::vector<float> out(info.dim);
    EXPECT_EQ(bantam_embed(session, prompt, 3, out.data(), out.size()), BANTAM_OK) << bantam_last_error();
    bantam_session_free(session);
    return out;
  };
  EXPECT_EQ(vector({}), vector({2})) << "the scale of loading";
  EXPECT_NE(vector({}), vector({0}));
  EXPECT_NE(vector({}), vector({1}));
  bantam_session* session = nullptr;
  ASSERT_EQ(bantam_session_new(loaded, &session), BANTAM_OK);
  const float two[] = {1, 1};
  EXPECT_EQ(bantam_session_set_adapters(session, two, 2), BANTAM_INVALID_ARGUMENT);
  EXPECT_EQ(bantam_session_set_adapters(session, nullptr, 1), BANTAM_INVALID_ARGUMENT);
  bantam_session_free(session);
  bantam_model_free(loaded);
  adapters[0] = "a/missing.gguf:1";
  EXPECT_EQ(bantam_model_load(model.path.c_str(), &options, &loaded), BANTAM_NOT_FOUND);
}

TEST(CApi, ErrorsAreEachThreadsOwn) {
  bantam_model* model = nullptr;
  EXPECT_EQ(bantam_model_load("a/missing.gguf", nullptr, &model), BANTAM_NOT_FOUND);
  std::jthread([] { EXPECT_STREQ(bantam_last_error(), ""); }).join();
  EXPECT_THAT(bantam_last_error(), StartsWith("a/missing.gguf"));
}

}  // namespace
