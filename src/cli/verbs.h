#pragma once
// One function per verb, each in verb_NAME.cc: adds the verb's options and returns what runs when it was
// chosen (see app.h).

#include "cli/app.h"
#include "runtime/engine.h"

namespace bantam::cli {

Action add_run(CLI::App& verb, const Common& common);
Action add_serve(CLI::App& verb, const Common& common);
Action add_eval(CLI::App& verb, const Common& common);
Action add_compare(CLI::App& verb, const Common& common);
Action add_bench(CLI::App& verb, const Common& common);
Action add_import(CLI::App& verb, const Common& common);
Action add_export(CLI::App& verb, const Common& common);
Action add_pull(CLI::App& verb, const Common& common);
Action add_ls(CLI::App& verb, const Common& common);
Action add_rm(CLI::App& verb, const Common& common);
Action add_quantize(CLI::App& verb, const Common& common);
Action add_calibrate(CLI::App& verb, const Common& common);
Action add_embed(CLI::App& verb, const Common& common);
Action add_route(CLI::App& verb, const Common& common);
Action add_tokenize(CLI::App& verb, const Common& common);
Action add_show(CLI::App& verb, const Common& common);
Action add_ledger(CLI::App& verb, const Common& common);
Action add_key(CLI::App& verb, const Common& common);
Action add_audit(CLI::App& verb, const Common& common);

/// --threads, --context and --lora, bound to `options`, which must outlive the parsing.
void add_engine_options(CLI::App& verb, runtime::EngineOptions& options);
/// --lora alone.
CLI::Option* add_lora(CLI::App& verb, runtime::EngineOptions& options);
/// The samplers' flags, under llama.cpp's names. What is given is checked by runtime::check.
void add_sampling_options(CLI::App& verb, runtime::SamplingOptions& options);
/// "ID+BIAS" or "ID-BIAS". Throws CLI::ValidationError.
std::pair<text::TokenId, float> parse_logit_bias(const std::string& text);

}  // namespace bantam::cli
