#include "store/store.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/hash.h"
#include "store/fetch.h"
#include "store/partial.h"

namespace bantam::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fmt::format("{}bantam-store-{}", testing::TempDir(), ::getpid());
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& path, std::string_view text = "x") {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    ASSERT_TRUE(write_file(root_ + "/" + path, text));
  }
  std::string root_;
};

TEST_F(Folder, ListsFindsAndRemoves) {
  put("o/m/m-Q4_K_M.gguf", "four");
  put("o/m/m-Q8_0.gguf");
  put("o/m/.m-Q2_K.gguf.partial", "half");
  put("o/m/.m-Q2_K.gguf.partial.json", R"({"bytes": 8})");
  put("o/s/d/s-f16-00001-of-00002.gguf");
  put("o/s/d/s-f16-00002-of-00002.gguf");
  put(".git/x/y.gguf");
  put("o/not a name/x.gguf");
  const Store store(root_);
  const auto models = store.models();
  ASSERT_TRUE(models) << models.error().message;
  ASSERT_EQ(models->size(), 3U);
  EXPECT_EQ((*models)[0].name, "o/m:q4_k_m");
  EXPECT_EQ((*models)[0].bytes, 4U);
  EXPECT_EQ((*models)[2].name, "o/s:f16");
  EXPECT_EQ((*models)[2].files.size(), 2U);
  const auto partials = store.partials();
  ASSERT_EQ(partials->size(), 1U);
  EXPECT_EQ(partials->front().name, "o/m:m-Q2_K.gguf");
  EXPECT_EQ(partials->front().total, 8U);
  EXPECT_EQ(resolve_model("o/m", root_), root_ + "/o/m/m-Q4_K_M.gguf");
  EXPECT_EQ(resolve_model("no/such.gguf", root_), "no/such.gguf");
  EXPECT_EQ(resolve_model("plain", root_), "plain");
  EXPECT_EQ(resolve_model("no/such:q4_0", root_).error().code, Code::kNotFound);
  EXPECT_EQ(store.find({"o", "m", "q3_k"}).error().code, Code::kNotFound);
  EXPECT_EQ(store.remove({"o", "m", "m-Q2_K.gguf"}, false)->size(), 1U);
  EXPECT_TRUE(store.partials()->empty());
  EXPECT_EQ(store.remove({"o", "s", ""}, false)->size(), 2U);
  EXPECT_FALSE(fs::exists(root_ + "/o/s"));
  EXPECT_EQ(store.remove({"o", "m", ""}, true)->size(), 2U);
  EXPECT_FALSE(fs::exists(root_ + "/o/m"));
  EXPECT_EQ(store.remove({"o", "m", ""}, true).error().code, Code::kNotFound);
  EXPECT_TRUE(Store(root_ + "/nowhere").models()->empty());
}

TEST_F(Folder, LinksAreRemovedAndNotWhatTheyLeadTo) {
  put("kept.txt", "kept");
  fs::create_directories(root_ + "/o/m");
  fs::create_symlink(root_ + "/kept.txt", root_ + "/o/m/m.gguf");
  ASSERT_TRUE(Store(root_).remove({"o", "m", ""}, false));
  EXPECT_EQ(read_file(root_ + "/kept.txt"), "kept");
}

TEST_F(Folder, PartialsGoOnAndAreLocked) {
  const std::string file = root_ + "/m.gguf";
  {
    auto partial = Partial::open(file);
    ASSERT_TRUE(partial) << partial.error().message;
    PartialState state;
    state.url = "u";
    state.bytes = 6;
    ASSERT_TRUE((*partial)->set_state(state));
    ASSERT_TRUE((*partial)->append("abc"));
    EXPECT_EQ(Partial::open(file).error().code, Code::kBusy);
    EXPECT_EQ(Store(root_).remove_partials()->size(), 0U);
  }
  auto partial = Partial::open(file);
  ASSERT_TRUE(partial);
  EXPECT_EQ((*partial)->size(), 3U);
  EXPECT_EQ((*partial)->state().url, "u");
  ASSERT_TRUE((*partial)->append("def"));
  EXPECT_EQ((*partial)->sha256(), sha256_hex("abcdef"));
  ASSERT_TRUE((*partial)->finish("{}"));
  EXPECT_EQ(read_file(file), "abcdef");
  EXPECT_EQ(read_file(source_path(file)), "{}");
  EXPECT_FALSE(fs::exists(partial_path(file)) || fs::exists(state_path(file)));
}

// AtomicFile, which quantize, import and a pull's own notes write through, calls its files FILE.PID.partial.
TEST_F(Folder, OnlyPullsAreInterruptedPulls) {
  put("o/m/m.gguf");
  put("o/m/.m.gguf.partial", "of another program");
  put("o/m/m2.gguf.4711.partial");
  put("o/m/.m2.gguf.4711.partial");
  put("o/m/.labels.json.partial");
  put("o/m/.m3.gguf.partial", "abc");
  put("o/m/.m3.gguf.partial.json", "{}");
  put("o/m/.m4.gguf.partial", "");
  put("o/m/.m5.gguf.partial.json.4711.partial");
  put("o/m/.m5.gguf.source.json.4711.partial");
  const Store store(root_);
  std::vector<std::string> names;
  const auto partials = store.partials();
  for (const auto& partial : *partials) names.push_back(partial.name);
  EXPECT_THAT(names, testing::ElementsAre("o/m:m3.gguf", "o/m:m4.gguf"));
  EXPECT_EQ(store.remove_partials()->size(), 2U);
  // Half-written notes of a killed pull go with the clean-up; what others write stays, and so does its folder.
  EXPECT_FALSE(fs::exists(root_ + "/o/m/.m5.gguf.source.json.4711.partial"));
  EXPECT_FALSE(fs::exists(root_ + "/o/m/.m5.gguf.partial.json.4711.partial"));
  EXPECT_EQ(store.remove({"o", "m", ""}, true)->size(), 1U);
  for (const char* kept : {"m2.gguf.4711.partial", ".m2.gguf.4711.partial", ".labels.json.partial"})
    EXPECT_EQ(read_file(root_ + "/o/m/" + kept), "x") << kept;
  EXPECT_EQ(Partial::open(root_ + "/o/m/m.gguf").error().code, Code::kInvalidArgument);
  EXPECT_EQ(read_file(root_ + "/o/m/.m.gguf.partial"), "of another program");
}

TEST_F(Folder, NothingIsRemovedWhereOneFileIsBeingFetched) {
  put("o/m/a-q8_0-00001-of-00002.gguf");
  put("o/m/a-q8_0-00002-of-00002.gguf");
  const auto fetched = Partial::open(root_ + "/o/m/a-q8_0-00002-of-00002.gguf");
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(Store(root_).remove({"o", "m", ""}, false).error().code, Code::kBusy);
  EXPECT_TRUE(fs::exists(root_ + "/o/m/a-q8_0-00001-of-00002.gguf"));
}

TEST_F(Folder, EmptyFoldersGoButNeverTheRootNorOneAboveIt) {
  for (const char* root : {"/top/store", "/top/store/", "/top/./x/../store"}) {
    fs::create_directories(root_ + "/top/x");
    fs::create_directories(root_ + "/top/store/o/m/d");
    const Store store(root_ + root);
    store.remove_empty(store.folder({"o", "m", ""}) + "/d/m.gguf");
    EXPECT_FALSE(fs::exists(root_ + "/top/store/o")) << root;
    EXPECT_TRUE(fs::exists(root_ + "/top/store")) << root;
  }
}

TEST_F(Folder, AHashBeginsAnewWithItsFile) {
  auto partial = Partial::open(root_ + "/m.gguf");
  ASSERT_TRUE(partial);
  ASSERT_TRUE((*partial)->append("abc"));
  ASSERT_TRUE((*partial)->restart());
  EXPECT_EQ((*partial)->sha256(), sha256_hex(""));
  ASSERT_TRUE((*partial)->append("xyz"));
  EXPECT_EQ((*partial)->sha256(), sha256_hex("xyz"));
}

// The rename fails here where kill -9 would end the process: no note may then tell of the new file beside the
// old one, nor of the old one beside the new.
TEST_F(Folder, NoNoteTellsOfAnotherFile) {
  const std::string file = root_ + "/m.gguf";
  fs::create_directories(file + "/not-empty");
  ASSERT_TRUE(write_file(source_path(file), "old"));
  auto partial = Partial::open(file);
  ASSERT_TRUE(partial);
  ASSERT_TRUE((*partial)->append("abc"));
  EXPECT_FALSE((*partial)->finish("new"));
  EXPECT_FALSE(fs::exists(source_path(file)));
  fs::remove_all(file);
  ASSERT_TRUE(write_file(file, "old"));
  ASSERT_TRUE((*partial)->finish("new"));
  EXPECT_EQ(read_file(file), "abc");
  EXPECT_EQ(read_file(source_path(file)), "new");
}

TEST_F(Folder, AFileHasItsNameOnlyWhenItIsKept) {
  const std::string file = root_ + "/m.gguf";
  ASSERT_TRUE(write_file(file, "old"));
  for (const bool keep : {false, true}) {
    auto partial = Partial::open(file);
    ASSERT_TRUE(partial);
    ASSERT_TRUE((*partial)->append("new"));
    FetchedFile fetched({}, file, std::move(*partial), "{}");
    EXPECT_EQ(read_file(fetched.path()), "new");
    EXPECT_EQ(read_file(file), "old");
    if (keep) {
      ASSERT_TRUE(fetched.keep());
    } else {
      fetched.discard();
    }
    EXPECT_EQ(read_file(file), keep ? "new" : "old");
    EXPECT_EQ(fetched.path(), file);
    EXPECT_FALSE(fs::exists(partial_path(file)));
  }
}

TEST_F(Folder, OnlyWhatWasSyncedSurvivesACrash) {
  const std::string file = root_ + "/m.gguf";
  ASSERT_TRUE(write_file(partial_path(file), "abcdef"));
  ASSERT_TRUE(write_file(state_path(file), R"({"synced": 4, "boot": "of another run"})"));
  EXPECT_EQ((*Partial::open(file))->size(), 4U);
  ASSERT_TRUE(write_file(state_path(file), "garbage"));
  EXPECT_EQ((*Partial::open(file))->size(), 0U);
}

TEST(Sha256, OfPiecesIsThatOfTheWhole) {
  Sha256 hash;
  EXPECT_EQ(hash.hex(), sha256_hex(""));
  hash.update("ab");
  hash.update("c");
  EXPECT_EQ(hash.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash.hex(), hash.hex());
}

}  // namespace
}  // namespace bantam::store
