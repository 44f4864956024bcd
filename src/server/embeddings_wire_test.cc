#include "server/embeddings_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/tokens_wire.h"

namespace bantam::server {
namespace {

using nlohmann::json;
using testing::ElementsAre;

TEST(EmbeddingsWire, FloatsAndBase64) {
  auto r =
      read_embeddings_request(R"({"model":"m","input":["a","b"],"dimensions":2,"encoding_format":"base64"})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_THAT(r->embed.inputs, ElementsAre("a", "b"));
  EXPECT_EQ(r->embed.dimensions, 2u);
  chat::Embeddings vectors{{{1.0F, 0.0F}, {-2.0F, 0.5F}}, {7, 0, 0}, 0, {}};
  json b = json::parse(embeddings_reply(*r, vectors));
  EXPECT_EQ(b["object"], "list");
  EXPECT_EQ(b["data"][1]["index"], 1);
  EXPECT_EQ(b["data"][0]["embedding"], "AACAPwAAAAA=");  // 00 00 80 3f 00 00 00 00
  EXPECT_EQ(b["usage"]["total_tokens"], 7);
  r->base64 = false;
  EXPECT_EQ(json::parse(embeddings_reply(*r, vectors))["data"][1]["embedding"], json({-2.0, 0.5}));
}

TEST(EmbeddingsWire, RefusesByName) {
  for (auto [members, param] :
       {std::pair(R"("input":"")", "input"), std::pair(R"("input":[])", "input"),
        std::pair(R"("input":["a",""])", "input[1]"), std::pair(R"("input":[1,-2])", "input[1]"),
        std::pair(R"("input":[[1],[]])", "input[1]"),
        std::pair(R"("input":"a","dimensions":0)", "dimensions"),
        std::pair(R"("input":"a","encoding_format":"hex")", "encoding_format"),
        std::pair(R"("user":"u")", "input")}) {
    auto r = read_embeddings_request(std::string(R"({"model":"m",)") + members + "}");
    ASSERT_FALSE(r) << members;
    EXPECT_EQ(r.error().param, param) << members;
  }
}

TEST(EmbeddingsWire, InputsOfTokenIds) {
  auto r = read_embeddings_request(R"({"model":"m","input":[[1,2],[3]]})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_THAT(r->ids, ElementsAre(ElementsAre(1, 2), ElementsAre(3)));
  EXPECT_TRUE(r->embed.inputs.empty());
}

TEST(RerankWire, RanksByCosine) {
  auto r = read_rerank_request(
      R"({"model":"m","query":"q","documents":["a",{"text":"b"},"c"],"top_n":2,"return_documents":true})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_THAT(r->embed.inputs, ElementsAre("q", "a", "b", "c"));
  chat::Embeddings vectors{{{1, 0}, {0, 1}, {1, 0}, {-1, 0}}, {9, 0, 0}, 0, {}};
  json b = json::parse(rerank_reply(*r, vectors));
  ASSERT_EQ(b["results"].size(), 2u);
  EXPECT_EQ(b["results"][0]["index"], 1);
  EXPECT_EQ(b["results"][0]["relevance_score"], 1.0);
  EXPECT_EQ(b["results"][0]["document"]["text"], "b");
  EXPECT_EQ(b["results"][1]["index"], 0);
  EXPECT_EQ(b["results"][1]["relevance_score"], 0.5);
  EXPECT_FALSE(read_rerank_request(R"({"model":"m","query":"q","documents":[{"text":"b","title":"t"}]})"));
  EXPECT_FALSE(read_rerank_request(R"({"model":"m","query":"q","documents":[]})"));
}

TEST(TokensWire, BothForms) {
  auto r = read_tokenize_request(R"({"model":"m","prompt":"a b"})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_TRUE(r->ask.add_special);
  r = read_tokenize_request(R"({"model":"m","content":"a b","with_pieces":true})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_FALSE(r->ask.add_special);
  json b = json::parse(tokenize_reply(*r, {{5, 6}, {"a", "\xC3"}, 512}));
  EXPECT_EQ(b["count"], 2);
  EXPECT_EQ(b["max_model_len"], 512);
  EXPECT_EQ(b["tokens"], json::parse(R"([{"id":5,"piece":"a"},{"id":6,"piece":[195]}])"));
  r = read_tokenize_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->ask.prompt.messages[0].content, "hi");
  EXPECT_FALSE(read_tokenize_request(R"({"model":"m"})"));
  EXPECT_FALSE(read_tokenize_request(R"({"model":"m","prompt":"a","content":"b"})"));
  EXPECT_THAT(read_detokenize_request(R"({"model":"m","tokens":[1,2]})")->tokens, ElementsAre(1, 2));
  EXPECT_FALSE(read_detokenize_request(R"({"model":"m","tokens":[-1]})"));
}

}  // namespace
}  // namespace bantam::server
