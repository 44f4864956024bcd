#include "store/name.h"

#include <gmock/gmock.h>

namespace bantam::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ModelName, IsOwnerNameAndSelector) {
  const auto name = parse_name("owner/Model-1.5b_x:Q4_K_M");
  ASSERT_TRUE(name) << name.error().message;
  EXPECT_EQ(name->owner, "owner");
  EXPECT_EQ(name->name, "Model-1.5b_x");
  EXPECT_EQ(name->selector, "Q4_K_M");
  EXPECT_EQ(name->text(), "owner/Model-1.5b_x:Q4_K_M");
  EXPECT_EQ(parse_name("a/b:latest")->selector, "");
  EXPECT_EQ(parse_name("a/b:sub/file.gguf")->selector, "sub/file.gguf");
}

// CVE-2024-37032: a name became a path outside of the store.
TEST(ModelName, CannotLeaveItsFolder) {
  for (const char* bad : {"",
                          "a",
                          "/",
                          "a/",
                          "/b",
                          "a/b/c",
                          "../b",
                          "a/..",
                          "./b",
                          "a/.b",
                          ".a/b",
                          "a/b..c",
                          "a/b.",
                          "-a/b",
                          "a/-b",
                          "a b/c",
                          "a/b\\c",
                          "a/b%2e",
                          "a/b\n",
                          "a/b:../x.gguf",
                          "a/b:x/../y.gguf",
                          "a/b:/etc/passwd",
                          "a/b:.hidden",
                          "a/b:x//y",
                          "a/b:x/",
                          "a/b:c\\..\\d",
                          "a/b:c:d",
                          "a/b:\x01",
                          "a/b:1/2/3/4/5/6/7/8/9"})
    EXPECT_FALSE(parse_name(bad)) << bad;
  EXPECT_FALSE(parse_name(std::string("a/b\0c", 5)));
  EXPECT_FALSE(parse_name("a/" + std::string(97, 'x')));
  EXPECT_FALSE(check_file_path(std::string(256, 'x')));
  EXPECT_TRUE(check_file_path("Q4_K_M/model-00001-of-00002.gguf"));
}

TEST(Shards, AreReadAndNamed) {
  const auto shard = parse_shard("dir/m-q8_0-00002-of-00003.gguf");
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->stem, "dir/m-q8_0");
  EXPECT_EQ(shard->index, 2U);
  EXPECT_EQ(shard->count, 3U);
  EXPECT_EQ(shard_path(*shard, 3), "dir/m-q8_0-00003-of-00003.gguf");
  for (const char* none :
       {"m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-0000x-of-00003.gguf",
        "-00001-of-00002.gguf", "m-00001-of-00002.bin", "m-+0001-of-00002.gguf"})
    EXPECT_FALSE(parse_shard(none)) << none;
}

TEST(Quant, IsReadFromNames) {
  const std::pair<const char*, const char*> names[] = {{"SmolLM2-135M-Instruct-Q4_K_M.gguf", "q4_k_m"},
                                                       {"model.Q8_0.gguf", "q8_0"},
                                                       {"ggml-model-f16.gguf", "f16"},
                                                       {"x_iq4_nl.gguf", "iq4_nl"},
                                                       {"Qwen2.5-0.5B-IQ2_XXS.gguf", "iq2_xxs"},
                                                       {"x-UD-Q4_K_XL.gguf", "q4_k_xl"},
                                                       {"d/x-bf16-00001-of-00002.gguf", "bf16"},
                                                       {"x-TQ1_0.gguf", "tq1_0"},
                                                       {"stories260K.gguf", ""},
                                                       {"Qwen3.gguf", ""}};
  for (const auto& [file, quant] : names) EXPECT_EQ(quant_of(file), quant) << file;
}

std::vector<FileGroup> several() {
  return group_files({"m-Q8_0.gguf", "m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf",
                      "mmproj-m-f16.gguf", "README.md", "big/m-f16.gguf", "m-UD-Q8_0.gguf"});
}

std::string selected(std::string_view selector) {
  const auto found = select_files(several(), selector, "o/m");
  return found ? found->first() : "error: " + found.error().message;
}

TEST(Select, ByQuantisationFileOrDefault) {
  const auto groups = several();
  ASSERT_EQ(groups.size(), 5U);
  EXPECT_THAT(groups[1].files, ElementsAre("m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf"));
  EXPECT_EQ(selected(""), "m-Q4_K_M-00001-of-00002.gguf");
  EXPECT_EQ(selected("q4_k_m"), "m-Q4_K_M-00001-of-00002.gguf");
  EXPECT_EQ(selected("F16"), "big/m-f16.gguf");
  EXPECT_EQ(selected("ud-q8_0"), "m-UD-Q8_0.gguf");
  EXPECT_EQ(selected("m-q8_0"), "m-Q8_0.gguf");
  EXPECT_EQ(selected("mmproj-m-f16.gguf"), "mmproj-m-f16.gguf");
  EXPECT_THAT(selected("q8_0"),
              HasSubstr("o/m: found 2 of \"q8_0\", expected one to be named: m-Q8_0, m-UD-Q8_0"));
  EXPECT_THAT(selected("q2_k"), HasSubstr("found none of \"q2_k\" among"));
  EXPECT_EQ(select_files({}, "", "o/m").error().code, Code::kNotFound);
  const auto two = group_files({"a.gguf", "b.gguf"});
  EXPECT_THAT(select_files(two, "", "o/m").error().message, HasSubstr("found 2 models and none of q4_k_m"));
  EXPECT_EQ(select_files(std::vector<FileGroup>{{{"only.gguf"}}}, "", "o/m")->first(), "only.gguf");
}

TEST(Select, TheShortestNameFindsItsFile) {
  const auto groups = several();
  for (const auto& group : groups)
    EXPECT_EQ(select_files(groups, selector_of(group, groups), "")->first(), group.first());
  EXPECT_EQ(selector_of(groups[1], groups), "q4_k_m");
}

}  // namespace
}  // namespace bantam::store
