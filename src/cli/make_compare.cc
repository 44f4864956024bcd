#include "cli/make_compare.h"

#include <filesystem>

#include "base/file.h"
#include "base/usage.h"
#include "eval/linear_baseline.h"
#include "runtime/engine.h"

namespace bantam::cli {
namespace {

namespace fs = std::filesystem;

struct Comparer {
  const Recipe& recipe;
  const MakeOptions& options;
  const Parts& parts;
  const AllMade& made;

  std::string path(const std::string& file) const { return options.out + "/" + file; }

  Result<eval::Candidate> candidate(const Made& model) {
    BANTAM_ASSIGN(auto loaded, load_made(model));
    eval::Candidate out;
    out.name = model.name;
    out.detail = shape_text(loaded->config());
    if (!loaded->task_prior("").empty()) out.detail += ", with n-grams";
    out.parameters = loaded->parameters();
    out.file_bytes = loaded->file_bytes();
    out.memory_bytes = loaded->memory().computed();
    out.training_cpu_seconds = model.cpu_seconds;
    auto step = [&](const Progress& p) {
      if (options.progress) options.progress({"validate " + model.name, p.done, p.total, p.note});
    };
    BANTAM_ASSIGN(out.predictions, eval::predict_all(*loaded, parts.validation, step));
    return out;
  }

  Result<eval::Candidate> linear_baseline() {
    const double start = process_cpu_seconds();
    BANTAM_ASSIGN(auto model, eval::LinearBaseline::train(parts.train, parts.labels.size()));
    eval::Candidate out;
    out.name = "linear baseline";
    out.detail = "TF-IDF words 1-2, characters 2-5, linear SVM";
    out.parameters = model.parameters();
    out.file_bytes = out.memory_bytes = model.bytes();
    out.training_cpu_seconds = process_cpu_seconds() - start;
    out.predictions = eval::predict_all(model, parts.validation);
    return out;
  }

  /// What the student's threshold was tested for.
  static void tell_promise(const model::Task& task, eval::Comparison& out) {
    out.threshold = task.calibration.threshold;
    out.target = task.calibration.target;
    if (task.certificate) {
      out.error = task.certificate->error;
      out.confidence = task.certificate->confidence;
    }
  }

  Result<eval::Comparison> run() {
    eval::Comparison out;
    out.task = recipe.task;
    out.data = fs::path(recipe.file).filename().string() + ", validation part";
    out.n = parts.validation.size();
    out.cost = recipe.cost;
    out.labels = parts.labels;
    for (const auto& example : parts.validation) out.gold.push_back(example.label);
    BANTAM_ASSIGN(auto llm, candidate(made.llm));
    BANTAM_ASSIGN(auto slm, candidate(made.slm));
    out.candidates = {std::move(llm), std::move(slm)};
    out.llm = 0;
    out.slm = 1;
    if (recipe.ablations) {
      for (const auto& model : made.ablations) {
        BANTAM_ASSIGN(auto row, candidate(model));
        out.candidates.push_back(std::move(row));
      }
    }
    BANTAM_ASSIGN(auto linear, linear_baseline());
    out.candidates.push_back(std::move(linear));
    BANTAM_ASSIGN(auto file, formats::GgufFile::open(made.slm.file));
    BANTAM_ASSIGN(auto task, model::read_task(file));
    if (task) tell_promise(*task, out);
    BANTAM_TRY(write_file(path("report.txt"), eval::to_text(out)));
    BANTAM_TRY(write_file(path("report.json"), eval::to_json(out)));
    BANTAM_TRY(write_file(path("report.html"), eval::to_html(out)));
    BANTAM_TRY(write_file(path("serve.toml"), serve_config()));
    return out;
  }

  /// A configuration for `bantam serve` with both models and their team.
  std::string serve_config() const {
    const std::string teacher =
        recipe.teacher_file.empty() ? "teacher.gguf" : fs::absolute(made.llm.file).string();
    return fmt::format(
        "# Both models and their team, for: bantam serve --config serve.toml\n\n"
        "[[models]]\nname = \"{0}-slm\"\npath = \"student.gguf\"\n\n"
        "[[models]]\nname = \"{0}-llm\"\npath = \"{1}\"\n\n"
        "[[teams]]\nname = \"{0}\"\nstrategy = \"cascade\"\nslm = \"{0}-slm\"\nllm = \"{0}-llm\"\n",
        recipe.task, teacher);
  }
};

}  // namespace

std::string shape_text(const model::Config& c) {
  return fmt::format("{} layers x {}, {} heads, FFN {}", c.layers, c.dim, c.heads, c.ffn_dim);
}

Result<std::shared_ptr<const runtime::Engine>> load_made(const Made& model) {
  return runtime::Engine::load(model.file, {.threads = 1, .context_length = 0, .batch = 256});
}

Result<eval::Comparison> compare(const Recipe& recipe, const MakeOptions& options, const Parts& parts,
                                 const AllMade& made) {
  return Comparer{recipe, options, parts, made}.run();
}

}  // namespace bantam::cli
