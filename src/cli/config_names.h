#pragma once
// What each of the two programs knows of the other's verbs and flags, as they share one config file and
// neither is linked with the other. tests/cli/config_names.sh holds these lists to what --help prints.

#include <string_view>

#include "cli/config.h"

namespace bantam::cli {

inline constexpr std::string_view kBantamVerbs[] = {
    "run", "serve", "eval", "compare", "bench", "pull", "ls", "rm", "import", "export", "quantize",
    "calibrate", "embed", "route", "tokenize", "ledger", "key", "audit", "show"};
inline constexpr std::string_view kBantamFlags[] = {
    "accuracy", "agreement", "agreement-bound", "all", "as", "batch", "budget", "by", "ca-file", "ca-folder",
    "choices", "confidence", "context", "context-shift", "cpu-hour-price", "currency", "data", "draft",
    "dry-allowed-length", "dry-base", "dry-multiplier", "dry-penalty-last-n", "dry-sequence-breaker",
    "dynatemp-exp", "dynatemp-range", "error", "file", "folds", "frequency-penalty", "gen", "halves", "head",
    "host", "html", "input", "interrupted", "json", "json-schema", "json-schema-file", "keep", "key",
    "kv-cache", "label", "learned", "ledger", "llm", "llm-training-cpu", "load-state", "logit-bias", "lora",
    "max-size", "max-tokens", "max-wait", "memory", "min-p", "mirostat", "mirostat-ent", "mirostat-lr",
    "model", "models", "money", "no", "no-proxy", "no-roofline", "no-special", "offline", "out", "outputs",
    "parse-special", "port", "presence-penalty", "prices", "prompt", "proxy", "pure", "quiet", "raw",
    "reference", "regex", "registry", "remote-calls", "repeat-last-n", "repeat-penalty", "reps", "requests",
    "retries", "revision", "sample-temperature", "samples", "save-state", "scale", "seed", "self-check",
    "self-check-prompt", "sha256", "shard-size", "since", "slm-training-cpu", "stop", "store", "stride",
    "suffix", "target", "task", "team", "temp", "tensors", "text", "texts", "threads", "token-env", "top-k",
    "top-nsigma", "top-p", "train", "type", "typical", "until", "vs", "window", "xtc-probability",
    "xtc-threshold", "yes"};
inline constexpr std::string_view kTrainVerbs[] = {"make", "train", "distill", "prune"};
inline constexpr std::string_view kTrainFlags[] = {
    "base", "batch", "bpe-dropout", "checkpoint-seconds", "context-length", "data", "dim", "dropout", "epochs",
    "ffn-dim", "hard-weight", "heads", "input", "json", "label", "label-smoothing", "layers", "learning-rate",
    "lm", "no-ablations", "out", "peer-timeout", "quiet", "rows", "seed", "store", "student", "task",
    "teacher", "temperature", "threads", "tokens", "variants", "vocab-size", "weight-decay"};

constexpr OtherProgram of_bantam() { return {kBantamVerbs, kBantamFlags}; }
constexpr OtherProgram of_bantam_train() { return {kTrainVerbs, kTrainFlags}; }

}  // namespace bantam::cli
