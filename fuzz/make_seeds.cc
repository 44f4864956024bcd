// make_seeds DIR: writes small valid inputs to DIR/<fuzzer>/ for the fuzzers to vary.

#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "model/ngram_part.h"
#include "seeds.h"
#include "text/bpe.h"

namespace {

using bantam::Result;
using bantam::Status;
using bantam::formats::GgmlType;
using bantam::formats::GgufArray;
using bantam::formats::GgufWriter;

std::span<const std::byte> bytes_of(const auto& items) { return std::as_bytes(std::span(items)); }

Status gguf_seeds(const std::string& folder) {
  GgufWriter every;
  every.set("general.architecture", "llama");
  every.set("general.alignment", uint32_t{32});
  every.set("a", uint8_t{1});
  every.set("b", int8_t{-1});
  every.set("c", uint16_t{1});
  every.set("d", int16_t{-1});
  every.set("e", int32_t{-1});
  every.set("f", 0.5F);
  every.set("g", true);
  every.set("h", uint64_t{1});
  every.set("i", int64_t{-1});
  every.set("j", 0.5);
  every.set("k", GgufArray(std::vector<std::string>{"x", "", "yz"}));
  every.set("l", GgufArray(std::vector<float>{1, 2}));
  every.set("m", GgufArray(std::vector<bool>{true, false}));
  every.set("n", GgufArray(std::vector<int64_t>{-1, 2}));
  std::vector<float> values(6, 1.5F);
  std::vector<std::byte> blocks(36);
  BANTAM_TRY(every.add_tensor("w", GgmlType::kF32, {3, 2}, bytes_of(values)));
  BANTAM_TRY(every.add_tensor("q", GgmlType::kQ4_0, {32, 2}, blocks));
  BANTAM_TRY(every.add_tensor("r", GgmlType::kQ8_0, {32}, std::span(blocks).first(34)));
  BANTAM_TRY(every.add_tensor("s", GgmlType::kF16, {2, 1, 3, 1}, std::span(blocks).first(12)));
  BANTAM_TRY(every.write(folder + "/every_type"));
  GgufWriter small;
  small.set("x", "y");
  return small.write(folder + "/small");
}

Status safetensors_seeds(const std::string& folder) {
  std::vector<float> values(6, 1.5F);
  std::vector<uint8_t> bytes = {1, 2, 3};
  BANTAM_TRY(bantam::formats::write_safetensors(folder + "/several",
                                                {{"w", "F32", {2, 3}, bytes_of(values)},
                                                 {"b", "U8", {3}, bytes_of(bytes)},
                                                 {"none", "F16", {0, 2}, {}}},
                                                {{"step", "1"}}));
  return bantam::formats::write_safetensors(folder + "/small", {{"b", "U8", {3}, bytes_of(bytes)}});
}

Status csv_seeds(const std::string& folder) {
  BANTAM_TRY(bantam::write_file(folder + "/plain", "text,label\nhello,a\r\nbye,b\n"));
  return bantam::write_file(folder + "/quoted",
                            "\xEF\xBB\xBF"
                            "text,label\n\"a, \"\"b\"\"\nc\",x\n\n,\n");
}

Status tokenizer_seeds(const std::string& folder) {
  std::vector<std::string> texts = {"the card the card", "12 cards, 12 cards"};
  BANTAM_ASSIGN(auto bpe,
                bantam::text::train_bpe(
                    texts, {.vocab_size = 275, .control = {"<|end|>", "<|im_start|>"}, .whole = {"card x"}}));
  for (const char* pre : {"gpt-2", "default", "llama-bpe"}) {
    GgufWriter file;
    bpe->save(file);
    file.set("tokenizer.ggml.pre", pre);
    file.set("tokenizer.chat_template",
             "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}");
    BANTAM_TRY(file.write(folder + "/" + pre));
  }
  GgufWriter scored;
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>",   "\xE2\x96\x81", "a",
                                     "b",     "ab",  "<keep>", "<0x0A>"};
  scored.set("tokenizer.ggml.model", "llama");
  scored.set("tokenizer.ggml.tokens", GgufArray(tokens));
  scored.set("tokenizer.ggml.scores", GgufArray(std::vector<float>{0, 0, 0, -1, -1, -1, -2, 0, 0}));
  scored.set("tokenizer.ggml.token_type", GgufArray(std::vector<int32_t>{2, 3, 3, 1, 1, 1, 1, 4, 6}));
  return scored.write(folder + "/scored");
}

/// The first byte is wire_fuzzer's choice of a reader, a stream's second the size of its pieces less one.
Status wire_seeds(const std::string& folder) {
  const std::string message =
      R"({"content":"hi","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]})";
  const std::string logprobs =
      R"({"content":[{"token":"h","logprob":-1,"top_logprobs":[{"token":"a","logprob":-2}]}]})";
  const std::string usage =
      R"("usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}})";
  const std::string choice = R"("logprobs":)" + logprobs + R"(,"finish_reason":"stop"}],)" + usage + "}";
  const std::string events =
      R"(data: {"choices":[{"delta":{"content":"h"}}]})"
      "\n\n"
      R"(data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]}}]})"
      "\n\n"
      R"(data: {"choices":[{"text":"h","delta":{},)" +
      choice + "\n\ndata: [DONE]\n\n";
  const std::string bodies[] = {
      std::string(1, 0) + '\4' + events,
      std::string(1, 1) + '\4' + events,
      '\2' + (R"({"choices":[{"message":)" + message + ",") + choice,
      '\3' + (R"({"choices":[{"text":"hi",)" + choice),
      '\4' + (R"({"data":[{"index":1,"embedding":[1,2]},{"index":0,"embedding":[0.5,1e-3]}],)" + usage) + "}",
      std::string("\5") + R"({"error":{"message":"no","code":"context_length_exceeded"}})",
      std::string("\6") + R"({"prompt":"a","answer":"b c","seconds":1,"cost":0.5})" + "\n" +
          R"({"messages":[{"role":"user","content":"a"}],"error":"x"})"};
  return write_all(folder, bodies);
}

/// The smallest decoder and the smallest encoder: one layer, two channels, two tokens; and blocks of every
/// type.
Status model_seeds(const std::string& folder) {
  const auto tensors =
      [](GgufWriter& file,
         std::initializer_list<std::pair<const char*, std::vector<uint64_t>>> all) -> Status {
    for (const auto& [name, shape] : all) {
      uint64_t n = 1;
      for (uint64_t d : shape) n *= d;
      const std::vector<float> values(n, 0.5F);
      BANTAM_TRY(file.add_tensor(name, GgmlType::kF32, shape, bytes_of(values)));
    }
    return {};
  };
  const auto keys = [](GgufWriter& file, const std::string& architecture) {
    file.set("general.architecture", architecture);
    const std::pair<const char*, uint32_t> sizes[] = {
        {"context_length", 3},      {"embedding_length", 2},     {"block_count", 1},
        {"feed_forward_length", 1}, {"attention.head_count", 1}, {"rope.scaling.original_context_length", 2}};
    for (const auto& [key, value] : sizes) file.set(architecture + "." + key, value);
    file.set(architecture + ".attention.layer_norm_rms_epsilon", 1e-5F);
    file.set(architecture + ".attention.layer_norm_epsilon", 1e-5F);
  };
  GgufWriter wide;
  const bantam::model::NgramWeights weights{
      .shape = {.buckets = 4}, .idf = {1, 1, 2, 1}, .values = std::vector<float>(8, 0.5F), .bias = {0, 1}};
  bantam::model::write_ngrams(weights, 2, wide);
  BANTAM_TRY(wide.write(folder + "/ngrams"));
  GgufWriter decoder;
  keys(decoder, "gemma3");
  decoder.set("gemma3.attention.sliding_window", uint32_t{2});
  decoder.set("gemma3.rope.scaling.type", std::string("yarn"));
  decoder.set("gemma3.rope.scaling.factor", 2.0F);
  BANTAM_TRY(tensors(decoder, {{"token_embd.weight", {2, 2}},
                               {"output_norm.weight", {2}},
                               {"rope_freqs.weight", {1}},
                               {"blk.0.attn_norm.weight", {2}},
                               {"blk.0.ffn_norm.weight", {2}},
                               {"blk.0.attn_q.weight", {2, 2}},
                               {"blk.0.attn_k.weight", {2, 2}},
                               {"blk.0.attn_v.weight", {2, 2}},
                               {"blk.0.attn_output.weight", {2, 2}},
                               {"blk.0.attn_q_norm.weight", {2}},
                               {"blk.0.attn_k_norm.weight", {2}},
                               {"blk.0.ffn_gate.weight", {2, 1}},
                               {"blk.0.ffn_up.weight", {2, 1}},
                               {"blk.0.ffn_down.weight", {1, 2}},
                               {"blk.0.post_attention_norm.weight", {2}},
                               {"blk.0.post_ffw_norm.weight", {2}}}));
  BANTAM_TRY(decoder.write(folder + "/decoder"));
  GgufWriter encoder;
  keys(encoder, "bert");
  BANTAM_TRY(tensors(encoder, {{"token_embd.weight", {2, 2}},
                               {"position_embd.weight", {2, 3}},
                               {"token_types.weight", {2, 2}},
                               {"token_embd_norm.weight", {2}},
                               {"token_embd_norm.bias", {2}},
                               {"blk.0.attn_qkv.weight", {2, 6}},
                               {"blk.0.attn_qkv.bias", {6}},
                               {"blk.0.attn_output.weight", {2, 2}},
                               {"blk.0.attn_output_norm.weight", {2}},
                               {"blk.0.attn_output_norm.bias", {2}},
                               {"blk.0.ffn_up.weight", {2, 1}},
                               {"blk.0.ffn_down.weight", {1, 2}},
                               {"blk.0.layer_output_norm.weight", {2}},
                               {"blk.0.layer_output_norm.bias", {2}}}));
  BANTAM_TRY(encoder.write(folder + "/encoder"));
  GgufWriter types;
  for (uint32_t type = 0; type < 40; ++type) {
    const auto* traits = bantam::formats::ggml_type_traits(static_cast<GgmlType>(type));
    if (traits == nullptr) continue;
    const std::vector<std::byte> block(traits->block_bytes, std::byte{0x3c});
    BANTAM_TRY(types.add_tensor(std::string(traits->name), static_cast<GgmlType>(type), {traits->block_size},
                                block));
  }
  return types.write(folder + "/types");
}

/// A router of all kinds of predictor with the smallest tables there can be.
Status router_seeds(const std::string& folder) {
  GgufWriter file;
  file.set("general.architecture", "bantam-router");
  file.set("router.version", uint32_t{1});
  file.set("router.models", GgufArray(std::vector<std::string>{"a", "b"}));
  for (const char* key : {"router.quality", "router.cost", "router.bias"})
    file.set(key, GgufArray(std::vector<float>{0.5F, 0.25F}));
  file.set("router.weights", GgufArray(std::vector<float>{0.5F, 0.25F, 0.25F, 0.5F, 0.25F, 0.25F}));
  for (const char* key : {"router.curve.price", "router.curve.quality", "router.curve.cost"})
    file.set(key, GgufArray(std::vector<float>{0.5F}));
  for (const char* key : {"router.linear.words", "router.vectors.words", "router.vectors.dimensions"})
    file.set(key, uint32_t{2});
  file.set("router.linear.letters", uint32_t{0});
  for (const char* key : {"router.neighbours.k", "router.factors.rank"}) file.set(key, uint32_t{1});
  const std::pair<const char*, std::vector<uint64_t>> tables[] = {
      {"linear.idf", {2}},           {"linear.mean", {32}},          {"linear.scale", {32}},
      {"linear.weights", {35, 2}},   {"vectors.idf", {2}},           {"vectors.projection", {2, 2}},
      {"neighbours.points", {2, 3}}, {"neighbours.quality", {2, 3}}, {"factors.mean", {32}},
      {"factors.scale", {32}},       {"factors.map", {34, 1}},       {"factors.models", {2, 2}}};
  for (const auto& [name, shape] : tables) {
    uint64_t n = 1;
    for (uint64_t d : shape) n *= d;
    const std::vector<float> values(n, 0.5F);
    BANTAM_TRY(file.add_tensor(name, GgmlType::kF32, shape, bytes_of(values)));
  }
  return file.write(folder + "/router");
}

}  // namespace

Status tokenizer_json_seeds(const std::string& folder) {
  const std::string added =
      R"("added_tokens":[{"id":5,"content":"<s>","special":true,"lstrip":true,"rstrip":true,"single_word":true,"normalized":false}],)";
  BANTAM_TRY(bantam::write_file(
      folder + "/bpe",
      "{" + added +
          R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Prepend","prepend":"_"}]},
        "pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\s+|[a-z]+"},"behavior":"Isolated","invert":false},
        "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"_":3,"<unk>":4},"merges":["a b"],"unk_token":"<unk>","byte_fallback":true},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
        "special_tokens":{"<s>":{"ids":[5]}}},"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},
        {"type":"Strip","content":" ","start":1,"stop":0}]}}ab <s> ba)"));
  BANTAM_TRY(bantam::write_file(
      folder + "/unigram",
      R"({"normalizer":{"type":"Precompiled","precompiled_charsmap":"BAAAAAAEAAA="},"pre_tokenizer":{"type":"Metaspace","replacement":"_",
        "prepend_scheme":"first","split":true},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["_",-1.5],["a",-2],["_a",-2.5]]},
        "decoder":{"type":"Metaspace","replacement":"_"}}a ab)"));
  return bantam::write_file(
      folder + "/word_piece",
      R"({"normalizer":{"type":"BertNormalizer","lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"model":{"type":"WordPiece",
        "vocab":{"[UNK]":0,"a":1,"##b":2},"unk_token":"[UNK]"},"post_processor":{"type":"BertProcessing","sep":["a",1],"cls":["a",1]},
        "decoder":{"type":"WordPiece","prefix":"##","cleanup":true}}Ab, a)");
}

Status jinja_seeds(const std::string& folder) {
  BANTAM_TRY(bantam::write_file(
      folder + "/loop",
      "{% for m in messages if m.role != 'x' %}{{ loop.index0 }}{{ m['content'] | trim | tojson }}"
      "{%- else -%}none{% endfor %}{% set n = namespace(a=[1, 2.5]) %}{% set n.a = n.a[::-1] %}"));
  BANTAM_TRY(bantam::write_file(
      folder + "/macro",
      "{% macro m(a, b={'k': none}) %}{{ a ~ b.k | default('-', true) }}{% endmacro %}"
      "{{ m(messages[0].content.split(' ') | map('upper') | join(',')) if true else 'x' }}"));
  return bantam::write_file(
      folder + "/rest",
      "{# c #}{% raw %}{{ }}{% endraw %}{% filter indent(2) %}{{ '%05.1f' % 2 }}{% endfilter %}"
      "{{ messages | selectattr('role', 'equalto', 'user') | list | length is divisibleby 1 }}");
}

/// The first byte is request_fuzzer's choice of a reader.
Status request_seeds(const std::string& folder) {
  const std::string model = R"({"model":"m",)",
                    schema = R"({"type":"object","properties":{"a":{"enum":[1,null]}}})";
  const std::string function = R"("name":"f","description":"d","parameters":)" + schema + R"(,"strict":true)";
  const std::string inputs[] = {
      '\0' + model +
          R"("messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]},
          {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
          {"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":{)" +
          function +
          R"(}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function",
          "function":{"name":"f"}}]}},"parallel_tool_calls":false,"stream":true,"stream_options":{"include_usage":true},"logprobs":true,
          "top_logprobs":2,"logit_bias":{"7":-1.5},"stop":["a"],"seed":-1,"n":2,"temperature":0.5})",
      '\0' + model +
          R"("messages":[{"role":"user","content":"x"}],"guided_choice":["a","b"],"max_tokens":3,"typed_events":false})",
      '\0' + model +
          R"("messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":)" +
          schema + "}}}",
      '\1' + model + R"("prompt":["a","b"],"echo":true,"n":2,"best_of":2,"max_tokens":4})",
      '\1' + model + R"("prompt":[[1,2],[3]],"logprobs":3,"stream":true})",
      '\2' + model +
          R"("input":[{"role":"user","content":[{"type":"input_text","text":"t"}]},{"type":"function_call","call_id":"c","name":"f",
          "arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"}],"instructions":"i","tools":[{"type":"function",)" +
          function +
          R"(}],"tool_choice":{"type":"function","name":"f"},"text":{"format":{"type":"json_object"},"verbosity":"medium"},
          "include":["message.output_text.logprobs"],"top_logprobs":1,"metadata":{"k":"v"},"reasoning":{"effort":"none"},"stream":true})",
      '\3' + model +
          R"("max_tokens":5,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user",
          "content":"q"},{"role":"assistant","content":[{"type":"text","text":"t"},{"type":"tool_use","id":"t1","name":"f","input":{}}]},
          {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"r"}],"is_error":true},
          {"type":"text","text":"so"}]}],"tools":[{"name":"f","input_schema":)" +
          schema +
          R"(}],"tool_choice":{"type":"any","disable_parallel_tool_use":true},"output_config":{"format":{"type":"json_schema","schema":)" +
          schema + R"(}},"stop_sequences":["x"],"thinking":{"type":"disabled"},"stream":true})",
      '\4' + model + R"("messages":[{"role":"user","content":"q"}]})",
      '\5' + model + R"("input":["a","b"],"dimensions":4,"encoding_format":"base64","user":"u"})",
      '\5' + model + R"("input":[[1,2],[3]]})",
      '\6' + model +
          R"("query":"q","documents":["a",{"text":"b"}],"top_n":1,"return_documents":true,"rank_fields":["text"]})",
      '\7' + model + R"("messages":[{"role":"user","content":"q"}],"add_generation_prompt":true})",
      '\7' + model + R"("content":"c","add_special":true,"with_pieces":true})",
      std::string("\10") + model + R"("tokens":[1,2,3]})"};
  return write_all(folder, inputs);
}

/// As calls_fuzzer reads them: form and mode, pieces, text.
Status calls_seeds(const std::string& folder) {
  const std::string inputs[] = {
      "\1\2I look. <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":\"}\"}}\n</tool_call>",
      std::string(1, 0) +
          "\1<tool_call>\n{\"name\": \"fg\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": "
          "\"weather\"",
      "\4\3So [C][{\"name\": \"f\", \"arguments\": {},\"id\":\"abcdefgh1\"},{\"name\": \"fg\", "
      "\"arguments\": {",
      "\7\1{\"name\": \"f\", \"parameters\": {\"q\":[1]}}",
      "\10\1{\"name\": \"Ada\"}",
      "\11 {% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<{{ m.role }}>{% if "
      "m.tool_calls %}<c>"
      "{% for c in m.tool_calls %}{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ "
      "c.function.arguments | tojson }}}"
      "{% endfor %}{% else %}{{ m.content }}{% endif %}</s>{% endfor %}{% if add_generation_prompt "
      "%}<assistant>{% endif %}"};
  return write_all(folder, inputs);
}

/// Lines of the audit log's form.
Status audit_seeds(const std::string& folder) {
  const std::string zeros(64, '0'), ones(64, '1');
  auto line = [](int seq, const std::string& prev, const std::string& event, const std::string& hash) {
    return fmt::format(R"({{"seq":{},"prev":"{}","time":1767225600000000,"event":{},"hash":"{}"}})", seq,
                       prev, event, hash) +
           "\n";
  };
  const std::string first = line(1, zeros, R"({"log":"log"})", ones),
                    second = line(2, ones, R"({"type":"request"})", zeros);
  const std::string inputs[] = {first + second, first, second + first, first.substr(0, 40),
                                first + "\n" + second};
  return write_all(folder, inputs);
}

/// Something of each type that is looked for.
Status redact_seeds(const std::string& folder) {
  const std::string inputs[] = {
      "Mail Zed Nolan (zed.nolan@example.org) or call +49 30 901820; he lives at Mill 3, 12 Baker Street, "
      "London.",
      "Card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00, from 192.168.0.1 and 2001:db8::1, ID "
      "x42y.",
      R"({"messages":[{"role":"user","content":"I am Mary Smith, mary@example.com"}],"n":1})",
      "[EMAIL_1] and [NAME_2]"};
  return write_all(folder, inputs);
}

/// The first byte is grammar_fuzzer's choice of options.
Status grammar_seeds(const std::string& folder) {
  const std::string inputs[] = {
      "\1"
      R"({"type":"object","properties":{"a":{"type":"integer","minimum":1,"maximum":20},"b":{"enum":["x",null]}},"required":["a"]})",
      "\1"
      R"({"type":"array","items":{"anyOf":[{"type":"string","pattern":"^[a-c]+$"},{"type":"number"}]},"maxItems":3})",
      std::string(1, 0) +
          R"({"$defs":{"n":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"additionalProperties":false}},"$ref":"#/$defs/n"})"};
  return write_all(folder, inputs);
}

/// The first byte is the fuzzer's choice of a reader.
Status registry_seeds(const std::string& folder) {
  const std::string inputs[] = {
      std::string(1, '\0') +
          R"({"sha":"0123abcd","siblings":[{"rfilename":"a-q8_0.gguf","size":9,"lfs":{"sha256":")" +
          std::string(64, 'a') + R"(","size":9}},{"rfilename":"d/b-00001-of-00002.gguf"}]})",
      "\1owner/name:q4_k_m",
      "\1owner/name:d/file-q8_0.gguf",
      "\2https://b.example/c?d",
      "\2../e",
      "\2//f/g",
      "\3http://me:p%40ss@proxy.example:3128",
      "\3.lan,10.0.0.1:80,*"};
  return write_all(folder, inputs);
}

Status hf_config_seeds(const std::string& folder) {
  const std::string inputs[] = {
      R"({"model_type":"llama","vocab_size":9,"max_position_embeddings":99,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":9,"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64}})",
      R"({"model_type":"gemma3_text","vocab_size":9,"max_position_embeddings":99,"hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"head_dim":4,"intermediate_size":9,"sliding_window":8,"layer_types":["sliding_attention","full_attention"],"query_pre_attn_scalar":4})",
      R"({"model_type":"phi3","vocab_size":9,"max_position_embeddings":99,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":9,"original_max_position_embeddings":9,"rope_scaling":{"type":"longrope","short_factor":[1,2],"long_factor":[1,3]}})",
      R"({"model_type":"granite","vocab_size":9,"max_position_embeddings":99,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":9,"rope_scaling":{"type":"yarn","factor":4},"embedding_multiplier":2,"logits_scaling":3})",
      R"({"model_type":"nomic_bert","vocab_size":9,"n_positions":99,"n_embd":8,"n_layer":1,"n_head":2,"n_inner":9})",
      R"({"model_type":"bert","vocab_size":9,"max_position_embeddings":99,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":9})"};
  return write_all(folder, inputs);
}

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: make_seeds DIR\n", stderr);
    return 2;
  }
  const std::pair<const char*, Status (*)(const std::string&)> kinds[] = {
      {"gguf_fuzzer", gguf_seeds},
      {"model_fuzzer", model_seeds},
      {"adapter_fuzzer", adapter_seeds},
      {"state_fuzzer", state_seeds},
      {"capi_fuzzer", capi_seeds},
      {"safetensors_fuzzer", safetensors_seeds},
      {"csv_fuzzer", csv_seeds},
      {"tokenizer_fuzzer", tokenizer_seeds},
      {"tokenizer_json_fuzzer", tokenizer_json_seeds},
      {"jinja_fuzzer", jinja_seeds},
      {"wire_fuzzer", wire_seeds},
      {"router_fuzzer", router_seeds},
      {"request_fuzzer", request_seeds},
      {"calls_fuzzer", calls_seeds},
      {"registry_fuzzer", registry_seeds},
      {"hf_config_fuzzer", hf_config_seeds},
      {"grammar_fuzzer", grammar_seeds},
      {"audit_fuzzer", audit_seeds},
      {"redact_fuzzer", redact_seeds}};
  for (const auto& [name, make] : kinds) {
    std::string folder = std::string(arguments[1]) + "/" + name;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    Status status = error ? bantam::fail(bantam::Code::kIo, "{}: {}", folder, error.message()) : make(folder);
    if (status) continue;
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  return 0;
}
