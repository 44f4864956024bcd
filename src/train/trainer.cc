#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <malloc.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/hash.h"
#include "base/rng.h"
#include "base/usage.h"
#include "formats/safetensors.h"
#include "train/optimiser.h"
#include "train/option_check.h"
#include "train/peers.h"

namespace bantam::train {
namespace {

using torch::Tensor;

class Loop {
 public:
  Loop(Decoder& model, const Descent& descent, const JobOptions& job, std::string fingerprint, uint64_t steps,
       const Hooks& hooks)
      : descent_(descent),
        job_(job),
        hooks_(hooks),
        path_(job.out + ".checkpoint"),
        fingerprint_(std::move(fingerprint)),
        slots_(make_slots(model, descent)),
        steps_(steps) {
    if (!job.peers) return;
    std::vector<Tensor> weights;
    for (const auto& slot : slots_) weights.push_back(slot.weight);
    buckets_.emplace(*job.peers, weights);
  }

  Status restore() {
    if (rank() == 0) BANTAM_TRY(read_checkpoint());
    if (job_.peers) BANTAM_TRY(share_state());
    return hooks_.restored ? hooks_.restored(next_) : Status{};
  }

  Status save(const std::string& path) {
    std::vector<formats::SafeTensor> tensors;
    std::vector<Tensor> held;  // copies of what a device holds
    auto put = [&](const std::string& name, const Tensor& stored) {
      Tensor t = stored.detach().cpu();
      held.push_back(t);
      std::vector<uint64_t> shape;
      for (auto size : t.sizes()) shape.push_back(static_cast<uint64_t>(size));
      tensors.push_back({name, "F32", shape,
                         std::as_bytes(std::span(t.data_ptr<float>(), static_cast<size_t>(t.numel())))});
    };
    for (auto& slot : slots_) {
      put("w." + slot.name, slot.weight);
      put("m." + slot.name, slot.m);
      if (slot.v.defined()) put("v." + slot.name, slot.v);
      if (slot.average.defined()) put("a." + slot.name, slot.average);
    }
    return formats::write_safetensors(path, tensors,
                                      {{"fingerprint", fingerprint_},
                                       {"step", std::to_string(next_)},
                                       {"tokens", std::to_string(report_.tokens)},
                                       {"cpu_seconds", fmt::format("{:.17g}", cpu_so_far())}});
  }

  Result<JobReport> run(const std::string& step_name, const StepFunction& step) {
    cpu_start_ = process_cpu_seconds();
    const double began = wall_seconds();
    const uint64_t first_tokens = report_.tokens;
    double saved_at = began, told_at = 0, shown_loss = 0;
    const uint64_t tail = steps_ - std::max<uint64_t>(1, steps_ / 10);
    uint64_t tail_steps = 0;
    for (; next_ < steps_;) {
      const auto stepped = one_step(step);
      if (!stepped) return std::unexpected(after_failure(stepped.error()));
      const double loss = *stepped;
      shown_loss = shown_loss == 0 ? loss : 0.98 * shown_loss + 0.02 * loss;
      if (next_ >= tail)
        report_.final_loss += (loss - report_.final_loss) / static_cast<double>(++tail_steps);
      ++next_;
      if (stop_ && next_ < steps_) {
        if (rank() == 0) BANTAM_TRY(save(path_));
        return fail(Code::kCancelled, "stopped at step {} of {}; the same command goes on from there", next_,
                    steps_);
      }
      const double now = wall_seconds();
      if (job_.progress && rank() == 0 && (now - told_at > 0.2 || next_ == steps_)) {
        const double speed = static_cast<double>(report_.tokens - first_tokens) / std::max(1e-9, now - began);
        job_.progress(
            {step_name, next_, steps_, fmt::format("loss {:.3f}, {:.0f} tokens/s", shown_loss, speed)});
        told_at = now;
      }
      if (rank() == 0 && (now - saved_at > job_.checkpoint_seconds || next_ == steps_)) {
        BANTAM_TRY(save(path_));
        saved_at = wall_seconds();
      }
    }
    torch::NoGradGuard no_grad;
    for (auto& slot : slots_) {
      if (slot.average.defined()) slot.weight.copy_(slot.average);
    }
    report_.steps = steps_;
    if (!job_.peers) cpu_here_ = process_cpu_seconds() - cpu_start_;
    report_.cpu_seconds = cpu_so_far();
    return report_;
  }

 private:
  int rank() const { return job_.peers ? job_.peers->rank() : 0; }
  int world() const { return job_.peers ? job_.peers->size() : 1; }

  /// The newest of this job's checkpoints: after a lost peer there may be several.
  Result<std::string> newest_checkpoint() const {
    namespace fs = std::filesystem;
    std::string found;
    uint64_t most = 0;
    std::error_code error;
    const auto folder = fs::path(path_).parent_path();
    for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, error)) {
      const std::string name = entry.path().filename().string(), own = fs::path(path_).filename().string();
      if (name != own && !(name.starts_with(own + ".") && !name.ends_with(".partial"))) continue;
      BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(entry.path().string()));
      auto meta = file.metadata();
      const uint64_t step = std::strtoull(meta["step"].c_str(), nullptr, 10);
      if (!found.empty() && step <= most) continue;
      found = entry.path().string();
      most = step;
    }
    return found;
  }

  Status read_checkpoint() {
    BANTAM_ASSIGN(const std::string path, newest_checkpoint());
    if (path.empty()) return {};
    BANTAM_ASSIGN(auto file, formats::SafeTensorsFile::open(path));
    auto meta = file.metadata();
    if (meta["fingerprint"] != fingerprint_) {
      return fail(Code::kInvalidArgument,
                  "{}: belongs to a job with other data or options; remove it to start afresh", path);
    }
    torch::NoGradGuard no_grad;
    for (auto& slot : slots_) {
      BANTAM_TRY(fetch(file, "w." + slot.name, slot.weight));
      BANTAM_TRY(fetch(file, "m." + slot.name, slot.m));
      if (slot.v.defined()) BANTAM_TRY(fetch(file, "v." + slot.name, slot.v));
      if (slot.average.defined()) BANTAM_TRY(fetch(file, "a." + slot.name, slot.average));
    }
    next_ = std::stoull(meta["step"]);  // our own file, checked by its fingerprint
    report_.tokens = std::stoull(meta["tokens"]);
    report_.cpu_seconds = std::stod(meta["cpu_seconds"]);
    return {};
  }

  /// Every rank takes over what rank 0 read.
  Status share_state() {
    torch::NoGradGuard no_grad;
    std::vector<Tensor> all;
    for (auto& slot : slots_) {
      for (const Tensor& t : {slot.weight, slot.m, slot.v, slot.average}) {
        if (t.defined()) all.push_back(t.detach());
      }
    }
    Tensor place =
        torch::tensor({static_cast<int64_t>(next_), static_cast<int64_t>(report_.tokens)}, torch::kInt64)
            .to(all.front().device());
    all.push_back(place);
    BANTAM_TRY(job_.peers->broadcast(all));
    place = place.cpu();
    next_ = static_cast<uint64_t>(place[0].item<int64_t>());
    report_.tokens = static_cast<uint64_t>(place[1].item<int64_t>());
    return {};
  }

  Status fetch(const formats::SafeTensorsFile& file, const std::string& name, Tensor& into) {
    const auto* found = file.find(name);
    const auto bytes = static_cast<size_t>(into.numel()) * sizeof(float);
    if (found == nullptr || found->data.size() != bytes) {
      return fail(Code::kCorrupt, "{}: tensor {} is missing or not {} bytes; remove the file to start afresh",
                  path_, name, bytes);
    }
    into.copy_(torch::from_blob(const_cast<std::byte*>(found->data.data()), into.sizes(), torch::kFloat32));
    return {};
  }

  Result<double> one_step(const StepFunction& step) {
    torch::manual_seed(descent_.seed * 1000003 + next_);  // what a device draws depends on the step alone
    double value = 0, tokens = 0;
    const double rate = learning_rate(descent_, next_, steps_);
    for (uint32_t micro = 0; micro < descent_.micro_steps; ++micro) {
      const bool last = micro + 1 == descent_.micro_steps;
      BANTAM_TRY(shards() > 1 ? pass_of_shards(step, micro, value, tokens)
                              : pass(step, micro, last, value, tokens));
      if (!std::isfinite(value)) {
        return fail(
            Code::kInternal,
            "the loss is {} at step {} (learning rate {:.2e}); the checkpoint before it is kept: lower "
            "the learning rate",
            value, next_, rate);
      }
    }
    if (buckets_) BANTAM_TRY(buckets_->finish());
    BANTAM_TRY(add_up(value, tokens));
    report_.tokens += static_cast<uint64_t>(tokens);
    const double norm = update(slots_, descent_, rate, next_);
    if (hooks_.after_step)
      BANTAM_TRY(hooks_.after_step({next_, value, rate, norm, report_.tokens, cpu_so_far()}));
    return value;
  }

  uint32_t shards() const {
    const bool alone = !job_.peers && slots_.front().weight.device().is_cpu();
    return alone ? static_cast<uint32_t>(at::get_num_threads()) : 1;
  }

  Share share(uint32_t micro, uint32_t shard) const {
    const uint64_t part =
        (uint64_t{micro} * static_cast<uint64_t>(world()) + static_cast<uint64_t>(rank())) * shards() + shard;
    return {next_, micro, shard, shards(), Rng(descent_.seed, next_, part).next()};
  }

  /// One backward pass of the whole micro-step.
  Status pass(const StepFunction& step, uint32_t micro, bool last, double& value, double& tokens) {
    BANTAM_ASSIGN(StepLoss loss, step(share(micro, 0)));
    value += loss.loss.item<double>();
    tokens += static_cast<double>(loss.tokens);
    if (buckets_ && last) buckets_->arm();
    loss.loss.backward();
    return {};
  }

  /// Backward passes of the micro-step's shards, side by side; the gradients add up in the shards' order, so
  /// that the same number of threads gives the same bits.
  Status pass_of_shards(const StepFunction& step, uint32_t micro, double& value, double& tokens) {
    struct Part {
      Status status;
      double value = 0, tokens = 0;
      torch::autograd::variable_list gradients;
    };
    std::vector<Part> parts(shards());
    torch::autograd::variable_list weights;
    for (const auto& slot : slots_) weights.push_back(slot.weight);
    at::parallel_for(0, static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        Part& part = parts[static_cast<size_t>(s)];
        auto loss = step(share(micro, static_cast<uint32_t>(s)));
        if (!loss) {
          part.status = std::unexpected(std::move(loss).error());
        } else if (loss->loss.defined()) {
          part.value = loss->loss.item<double>();
          part.tokens = static_cast<double>(loss->tokens);
          part.gradients = torch::autograd::grad({loss->loss}, weights, {}, c10::nullopt, false, true);
        }
      }
    });
    for (const Part& part : parts) {
      BANTAM_TRY(part.status);
      value += part.value;
      tokens += part.tokens;
    }
    torch::NoGradGuard no_grad;
    at::parallel_for(0, static_cast<int64_t>(slots_.size()), 1, [&](int64_t begin, int64_t end) {
      torch::NoGradGuard no_grad_here;
      for (int64_t i = begin; i < end; ++i) {
        Tensor& sum = slots_[static_cast<size_t>(i)].weight.mutable_grad();
        for (const Part& part : parts) {
          if (part.gradients.empty() || !part.gradients[static_cast<size_t>(i)].defined()) continue;
          const Tensor& gradient = part.gradients[static_cast<size_t>(i)];
          sum = sum.defined() ? sum + gradient : gradient;
        }
      }
    });
    return {};
  }

  /// Sums over all ranks; all stop when one is asked to.
  Status add_up(double& loss, double& tokens) {
    const double cpu = process_cpu_seconds() - cpu_start_;
    stop_ = job_.cancel.stop_requested();
    if (!job_.peers) {
      cpu_here_ = cpu;
      return {};
    }
    Tensor sums = torch::tensor({loss, tokens, stop_ ? 1.0 : 0.0, cpu}, torch::kFloat64);
    sums = sums.to(slots_.front().weight.device());
    BANTAM_TRY(job_.peers->sum(sums));
    sums = sums.cpu();
    loss = sums[0].item<double>();
    tokens = sums[1].item<double>();
    stop_ = sums[2].item<double>() > 0;
    cpu_here_ = sums[3].item<double>();
    return {};
  }

  /// A lost peer costs no step: what every rank has is the last whole one's.
  Error after_failure(Error error) {
    if (error.code != Code::kUnavailable) return error;
    const std::string path = rank() == 0 ? path_ : fmt::format("{}.{}", path_, rank());
    if (auto saved = save(path); !saved) return saved.error();
    error.message += fmt::format("; stopped at step {} of {}, kept in {}; start all ranks again to go on",
                                 next_, steps_, path);
    return error;
  }

  double cpu_so_far() const { return report_.cpu_seconds + cpu_here_; }

  const Descent& descent_;
  const JobOptions& job_;
  const Hooks& hooks_;
  std::string path_, fingerprint_;
  std::vector<Slot> slots_;
  uint64_t next_ = 0, steps_ = 0;
  double cpu_start_ = 0, cpu_here_ = 0;  // when this sitting began; used since, by all ranks
  bool stop_ = false;
  std::optional<GradientBuckets> buckets_;
  JobReport report_;
};

}  // namespace

Result<JobReport> run_steps(Decoder& model, const Descent& descent, const JobOptions& job,
                            const std::string& step_name, const std::string& fingerprint, uint64_t steps,
                            const StepFunction& step, const Hooks& hooks) {
  model.set_requires_grad(true);
  Loop loop(model, descent, job, fingerprint, steps, hooks);
  BANTAM_TRY(loop.restore());
  auto report = loop.run(step_name, step);
  model.set_requires_grad(false);
  return report;
}

Descent descent_of(const OptimOptions& o) {
  return {.learning_rate = o.learning_rate,
          .warmup = o.warmup,
          .weight_decay = o.weight_decay,
          .clip = o.clip,
          .ema = o.ema,
          .seed = o.seed};
}

std::string describe(const Descent& d) {
  return fmt::format(
      "lr={} warmup={} decay={} final={} wd={} clip={} beta2={} ema={} muon={} micro={} seed={}",
      d.learning_rate, d.warmup, d.decay, d.final_share, d.weight_decay, d.clip, d.beta2, d.ema, d.muon,
      d.micro_steps, d.seed);
}

void remove_checkpoint(const JobOptions& job) {
  std::error_code ignored;  // a checkpoint left behind is harmless: its job is done
  std::filesystem::remove(job.out + ".checkpoint", ignored);
  for (int rank = 1; job.peers && rank < job.peers->size(); ++rank)
    std::filesystem::remove(fmt::format("{}.checkpoint.{}", job.out, rank), ignored);
}

Status check(const OptimOptions& o) {
  BANTAM_TRY(need(o.epochs > 0 && o.epochs <= 100000, "epochs", o.epochs, "above 0, at most 100000"));
  BANTAM_TRY(need(o.batch >= 1 && o.batch <= 65536, "batch", o.batch, "1 to 65536"));
  BANTAM_TRY(need(o.learning_rate > 0 && o.learning_rate <= 1, "learning_rate", o.learning_rate,
                  "above 0, at most 1"));
  BANTAM_TRY(need(o.weight_decay >= 0 && o.weight_decay <= 10, "weight_decay", o.weight_decay, "0 to 10"));
  BANTAM_TRY(need(o.warmup >= 0 && o.warmup < 1, "warmup", o.warmup, "a share from 0 to below 1"));
  BANTAM_TRY(need(o.clip > 0, "clip", o.clip, "above 0"));
  BANTAM_TRY(need(o.dropout >= 0 && o.dropout < 1, "dropout", o.dropout, "0 to below 1"));
  BANTAM_TRY(need(o.label_smoothing >= 0 && o.label_smoothing < 1, "label_smoothing", o.label_smoothing,
                  "0 to below 1"));
  BANTAM_TRY(need(o.lm_weight >= 0 && o.lm_weight <= 100, "lm_weight", o.lm_weight, "0 to 100"));
  BANTAM_TRY(need(o.consistency >= 0 && o.consistency <= 100, "consistency", o.consistency, "0 to 100"));
  BANTAM_TRY(need(o.ema >= 0 && o.ema < 1, "ema", o.ema, "0 to below 1"));
  return check(o.augment);
}

std::string describe(const AugmentOptions& a) {
  return fmt::format("lower={} drop={} swap={} typo={} bpe={}", a.lower, a.drop_word, a.swap_words, a.typo,
                     a.bpe_dropout);
}

std::string describe(const Opinion& o) {
  return o.share > 0 ? fmt::format(" opinion={} of {}", o.share, o.print) : "";
}

std::string describe(const OptimOptions& o) {
  return fmt::format(
      "epochs={} batch={} lr={} wd={} warmup={} clip={} dropout={} smooth={} lm={}{} ema={} seed={} {}",
      o.epochs, o.batch, o.learning_rate, o.weight_decay, o.warmup, o.clip, o.dropout, o.label_smoothing,
      o.lm_weight, o.consistency > 0 ? fmt::format(" consistency={}", o.consistency) : "", o.ema, o.seed,
      describe(o.augment));
}

std::string describe(const model::Config& c) {
  return fmt::format("V={} T={} C={} L={} H={}/{}x{} F={} eps={} base={} tied={}", c.vocab_size,
                     c.context_length, c.dim, c.layers, c.heads, c.kv_heads, c.head_dim, c.ffn_dim, c.rms_eps,
                     c.rope_base, c.tied_head);
}

std::string hash_examples(std::span<const formats::Example> examples) {
  std::string all;
  for (const auto& example : examples)
    all += fmt::format("{}\t{}\t{}\n", example.label, example.text.size(), example.text);
  return sha256_hex(all);
}

torch::Tensor rows_at(const torch::Tensor& hidden, const torch::Tensor& position) {
  const int64_t time = hidden.size(1);
  Tensor flat = torch::arange(hidden.size(0), torch::kInt64) * time + position;
  return hidden.reshape({-1, hidden.size(2)}).index_select(0, flat);
}

torch::Tensor language_loss(const Decoder& model, const torch::Tensor& hidden, const torch::Tensor& tokens,
                            const torch::Tensor& answer) {
  const int64_t time = tokens.size(1);
  Tensor column = torch::arange(time, torch::kInt64).unsqueeze(0);
  Tensor inside = (column < answer.unsqueeze(1)).reshape({-1}).nonzero().squeeze(1);
  Tensor target = tokens.roll(-1, 1).reshape({-1}).index_select(0, inside);
  Tensor rows = hidden.reshape({-1, hidden.size(2)}).index_select(0, inside);
  return head_loss(rows, model.head(), target, 0).first / static_cast<double>(target.size(0));
}

void configure_torch(unsigned threads) {
  // Freed blocks stay with the process: training frees and takes the same large blocks thousands of times.
  mallopt(M_MMAP_THRESHOLD, 2000000000);
  mallopt(M_TRIM_THRESHOLD, 2000000000);
  mallopt(M_TOP_PAD, 64 << 20);
  // LibTorch's own guess is one thread on some virtual machines.
  at::set_num_threads(
      static_cast<int>(threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency())));
}

}  // namespace bantam::train
