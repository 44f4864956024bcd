#include "cli/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "base/file.h"

namespace bantam::cli {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::CaptureStdout;
using testing::internal::GetCapturedStderr;
using testing::internal::GetCapturedStdout;

/// What the verb "work" of these tests was called with last.
struct Seen {
  int calls = 0;
  std::string model;
  unsigned threads = 0;
  std::vector<std::string> stop;
  bool json = false, quiet = false, fast = false;
};
Seen seen;

Action add_work(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<Seen>();
  verb.add_option("MODEL", options->model)->required();
  takes_model(verb, common, options->model);
  verb.add_option("--threads", options->threads)->check(CLI::Range(1, 64));
  verb.add_option("--stop", options->stop);
  verb.add_flag("--fast", options->fast);
  add_json(verb, common);
  return [options, &common] {
    int calls = seen.calls;
    seen = *options;
    seen.calls = calls + 1;
    seen.json = common.json;
    seen.quiet = common.quiet;
    return kDone;
  };
}

Action add_other(CLI::App& verb, const Common&) {
  auto depth = std::make_shared<int>(0);
  verb.add_option("--depth", *depth);
  return [depth] { return kFailed; };
}

constexpr Verb kVerbs[] = {{"work", "Works", add_work}, {"other", "Fails", add_other}};
constexpr Verb kListed[] = {{"far", "Elsewhere", nullptr}};

class App : public testing::Test {
 protected:
  void SetUp() override {
    seen = {};
    for (const char* name :
         {"BANTAM_THREADS", "BANTAM_JSON", "BANTAM_CONFIG", "BANTAM_STOP", "BANTAM_FAST", "BANTAM_STORE"})
      unsetenv(name);
    folder_ = testing::TempDir() + "bantam_app_test";
    setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
  }

  /// The exit code of these arguments; what was printed is in out_ and err_.
  int call(std::vector<const char*> arguments, const OtherProgram& other = {}) {
    arguments.insert(arguments.begin(), "bantam");
    CaptureStdout();
    CaptureStderr();
    int code =
        run_app(static_cast<int>(arguments.size()), arguments.data(), "About.", kVerbs, kListed, other);
    out_ = GetCapturedStdout();
    err_ = GetCapturedStderr();
    return code;
  }

  std::string config(std::string_view content) {
    std::string path = testing::TempDir() + "bantam_app_test.toml";
    EXPECT_TRUE(write_file(path, content));
    return path;
  }

  std::string folder_, out_, err_;
};

TEST_F(App, FlagBeatsEnvironmentBeatsConfig) {
  std::string path = config("threads = 3\n");
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kDone);
  EXPECT_EQ(seen.threads, 3U);
  setenv("BANTAM_THREADS", "5", 1);
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kDone);
  EXPECT_EQ(seen.threads, 5U);
  EXPECT_EQ(call({"work", "m", "--threads", "7", "--config", path.c_str()}), kDone);
  EXPECT_EQ(seen.threads, 7U);
}

TEST_F(App, VerbTableBeatsSharedKeys) {
  std::string path = config(
      "threads = 3\njson = true\n[work]\nthreads = 4\nstop = [\"a\", \"b\"]\nfast = true\n"
      "[other]\ndepth = 2\n");
  setenv("BANTAM_CONFIG", path.c_str(), 1);
  EXPECT_EQ(call({"work", "m", "-q"}), kDone) << err_;
  EXPECT_EQ(seen.threads, 4U);
  EXPECT_EQ(seen.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(seen.fast && seen.json && seen.quiet);
}

TEST_F(App, ConfigErrorsNameFileLineAndKey) {
  std::string path = config("\ntreads = 3\n");
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kMisuse);
  EXPECT_THAT(err_, HasSubstr(path + ":2: treads"));
  path = config("[work]\ndepth = 3\n");
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kMisuse);
  EXPECT_THAT(err_, HasSubstr("bantam work has no flag --depth"));
  path = config("threads = \"many\"\n");
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kMisuse);
  EXPECT_THAT(err_, HasSubstr(path + ":1: threads"));
  path = config("[wrok]\nthreads = 1\n");
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kMisuse);
  EXPECT_THAT(err_, HasSubstr("wrok"));
  path = config("threads = \n");
  EXPECT_EQ(call({"work", "m", "--config", path.c_str()}), kMisuse);
  EXPECT_THAT(err_, HasSubstr(path + ":1"));
  EXPECT_EQ(call({"work", "m", "--config", "/nowhere/at/all.toml"}), kMisuse);
  EXPECT_THAT(err_, HasSubstr("/nowhere/at/all.toml"));
  EXPECT_EQ(seen.calls, 0);
}

// A typo must not pass for the other program's, whose names are known.
TEST_F(App, KeysOfTheOtherProgramAreItsOwnAndTyposNobodys) {
  constexpr std::string_view kFarVerbs[] = {"far"}, kFarFlags[] = {"epochs"};
  const OtherProgram far{kFarVerbs, kFarFlags};
  const auto call_with = [&](std::string_view content) {
    return call({"work", "m", "--config", config(content).c_str()}, far);
  };
  EXPECT_EQ(call_with("epochs = 3\nthreads = 2\n[far]\nx = 1\n"), kDone) << err_;
  EXPECT_EQ(seen.threads, 2U);
  const std::pair<const char*, const char*> typos[] = {
      {"treads = 3\n", ":1: treads: no verb has a flag --treads, expected perhaps threads"},
      {"epoch = 3\n", ":1: epoch: no verb has a flag --epoch, expected perhaps epochs"},
      {"[fra]\nx = 1\n", ":1: fra: no verb has this name, expected perhaps far"},
      {"[wokr]\n", ":1: wokr: no verb has this name, expected perhaps work"},
      {"[work]\nstpo = 1\n", ":2: work.stpo: bantam work has no flag --stpo, expected perhaps stop"}};
  for (const auto& [content, message] : typos) {
    EXPECT_EQ(call_with(content), kMisuse) << content;
    EXPECT_THAT(err_, HasSubstr(message));
  }
  EXPECT_EQ(call_with("nothing-like-it = 3\n"), kMisuse);
  EXPECT_THAT(err_, testing::Not(HasSubstr("perhaps")));
}

TEST_F(App, ModelsMayBeNamesOfTheStore) {
  const std::string store = folder_ + "/store", file = store + "/o/m/m-q8_0.gguf";
  std::filesystem::create_directories(store + "/o/m");
  ASSERT_TRUE(write_file(file, "x"));
  EXPECT_EQ(call({"work", "o/m:q8_0", "--store", store.c_str()}), kDone) << err_;
  EXPECT_EQ(seen.model, file);
  const std::string path = config("store = \"" + store + "\"\n");
  EXPECT_EQ(call({"work", "o/m", "--config", path.c_str()}), kDone) << err_;
  EXPECT_EQ(seen.model, file);
  setenv("BANTAM_STORE", "/nowhere", 1);
  EXPECT_EQ(call({"work", "o/m", "--config", path.c_str()}), kFailed);
  EXPECT_THAT(err_, HasSubstr("o/m: found no such model in the store /nowhere"));
  EXPECT_EQ(call({"work", file.c_str()}), kDone);
  EXPECT_EQ(seen.model, file);
}

TEST_F(App, WrongUseIsTwoAndNamesTheVerb) {
  EXPECT_EQ(call({}), kMisuse);
  EXPECT_EQ(call({"wrok"}), kMisuse);
  EXPECT_EQ(call({"work"}), kMisuse);
  EXPECT_THAT(err_, HasSubstr("bantam work --help"));
  EXPECT_EQ(call({"work", "m", "--threads", "0"}), kMisuse);
  EXPECT_EQ(call({"work", "m", "--threads", "x"}), kMisuse);
  EXPECT_EQ(call({"work", "m", "surplus"}), kMisuse);
  EXPECT_EQ(call({"other", "--json"}), kMisuse);
  setenv("BANTAM_THREADS", "x", 1);
  EXPECT_EQ(call({"work", "m"}), kMisuse);
  EXPECT_EQ(seen.calls, 0);
  EXPECT_EQ(out_, "");
}

TEST_F(App, HelpAndVersionAreResults) {
  EXPECT_EQ(call({"--help"}), kDone);
  EXPECT_THAT(out_, HasSubstr("far"));
  EXPECT_EQ(call({"work", "--help"}), kDone);
  EXPECT_THAT(out_, HasSubstr("BANTAM_THREADS"));
  EXPECT_EQ(call({"--version"}), kDone);
  EXPECT_EQ(out_, "bantam " BANTAM_VERSION "\n");
  EXPECT_EQ(err_, "");
}

TEST_F(App, ActionsDecideTheExitCode) {
  EXPECT_EQ(call({"other"}), kFailed);
  setenv("BANTAM_THREADS", "x", 1);  // a twin of another verb's flag
  EXPECT_EQ(call({"other"}), kFailed);
}

}  // namespace
}  // namespace bantam::cli
