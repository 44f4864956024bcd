// A config as the keys of a GGUF.

#include "model/config.h"
#include "model/family.h"

namespace bantam::model {
namespace {

class Writer {
 public:
  Writer(const Config& config, formats::GgufWriter& file) : config_(config), file_(file) {}

  template <class T>
  void set(std::string_view name, T value) {
    file_.set(fmt::format("{}.{}", config_.architecture, name), value);
  }
  /// Only where it is not what a file without the key means.
  template <class T>
  void set_unless(T usual, std::string_view name, T value) {
    if (value != usual) set(name, value);
  }

 private:
  const Config& config_;
  formats::GgufWriter& file_;
};

void write_scaling(const RopeScaling& scaling, Writer& out) {
  using Type = RopeScaling::Type;
  if (scaling.type != Type::kNone) {
    out.set("rope.scaling.type", std::string(scaling.type == Type::kYarn ? "yarn" : "linear"));
    out.set("rope.scaling.factor", scaling.factor);
  }
  if (scaling.type == Type::kYarn) {
    out.set_unless(32.0F, "rope.scaling.yarn_beta_fast", scaling.beta_fast);
    out.set_unless(1.0F, "rope.scaling.yarn_beta_slow", scaling.beta_slow);
  }
  out.set_unless(0U, "rope.scaling.original_context_length", scaling.original_context);
  out.set_unless(1.0F, "rope.scaling.attn_factor", scaling.magnitude);
}

}  // namespace

void write_config(const Config& config, formats::GgufWriter& file) {
  Writer out(config, file);
  file.set("general.architecture", config.architecture);
  out.set("context_length", config.context_length);
  out.set("embedding_length", config.dim);
  out.set("block_count", config.layers);
  out.set("feed_forward_length", config.ffn_dim);
  out.set("attention.head_count", config.heads);
  out.set("attention.head_count_kv", config.kv_heads);
  out.set("attention.key_length", config.head_dim);
  out.set("attention.value_length", config.head_dim);
  out.set(config.encoder ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
          config.rms_eps);
  out.set("rope.dimension_count", config.rope_dims > 0 ? config.rope_dims : config.head_dim);
  out.set("rope.freq_base", config.rope_base);
  out.set("vocab_size", config.vocab_size);
  write_scaling(config.rope_scaling, out);
  if (config.encoder) out.set("attention.causal", false);
  const Family* family = find_family(config.architecture).value_or(nullptr);
  if (config.sliding_window > 0) {
    out.set("attention.sliding_window", config.sliding_window);
    out.set_unless(family != nullptr ? family->window_pattern : 0U, "attention.sliding_window_pattern",
                   config.window_pattern);
    out.set_unless(0.0F, "rope.freq_base_swa", config.window_rope_base);
  }
  if (family == nullptr || !family->scaled_embedding)
    out.set_unless(1.0F, "embedding_scale", config.embedding_scale);
  out.set_unless(1.0F, "residual_scale", config.residual_scale);
  out.set_unless(1.0F, "logit_scale", config.logit_scale);
  out.set_unless(0.0F, "attention.scale", config.attention_scale);
  out.set_unless(0.0F, "attn_logit_softcapping", config.attention_softcap);
  out.set_unless(0.0F, "final_logit_softcapping", config.logit_softcap);
}

}  // namespace bantam::model
