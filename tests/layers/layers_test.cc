// The structure of the source tree: a layer includes only itself and lower ones, LibTorch stays in train, and
// nothing names a place that exists on one machine only.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path kRoot = BANTAM_SOURCE_DIR;

/// Lowest first; docs/design.md says what each holds.
const std::vector<std::string> kLayers{
    "base", "formats", "text", "tensor", "kernels",   "model", "runtime", "capi", "compress", "train", "eval",
    "net",  "store",   "chat", "collab", "documents", "rag",   "agent",   "server",   "cli",   "web"};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The files of the project below `folder`, relative to the root: not what was built or fetched.
std::vector<fs::path> files(const fs::path& folder) {
  static const std::set<std::string> kForeign{".git", ".cache", "build", "out", "node_modules"};
  std::vector<fs::path> found;
  if (!fs::exists(folder)) return found;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
    const bool foreign = kForeign.contains(it->path().filename().string());  // .git is a file in a worktree
    if (it->is_directory() && foreign) it.disable_recursion_pending();
    if (it->is_regular_file() && !foreign && it->path().extension() != ".tmp")
      found.push_back(fs::relative(it->path(), kRoot));
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool is_source(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".h" || extension == ".cc" || extension == ".inc";
}

struct Include {
  size_t line;
  std::string target;
  bool quoted;
};

std::vector<Include> includes(const std::string& text) {
  static const std::regex directive(R"re(^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"])re");
  std::vector<Include> found;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::smatch match;
    const std::string line = text.substr(begin, end - begin);
    if (std::regex_search(line, match, directive)) found.push_back({number + 1, match[2], match[1] == "\""});
    begin = end + 1;
  }
  return found;
}

/// What is wrong with the quoted includes of a file of `layer`.
std::vector<std::string> layer_errors(const std::string& layer, const std::string& text,
                                      const fs::path& root) {
  const auto place = [](const std::string& name) { return std::find(kLayers.begin(), kLayers.end(), name); };
  std::vector<std::string> errors;
  for (const auto& include : includes(text)) {
    if (!include.quoted) continue;
    const std::string where = "line " + std::to_string(include.line) + ": \"" + include.target + "\" ";
    const std::string target = include.target.substr(0, include.target.find('/'));
    if (target == include.target || place(target) == kLayers.end()) {
      errors.push_back(where + "is not of the form \"layer/file.h\"");
    } else if (place(target) > place(layer)) {
      errors.push_back(where + "is above " + layer);
    } else if (!fs::exists(root / "src" / include.target)) {
      errors.push_back(where + "does not exist");
    }
  }
  return errors;
}

bool is_torch(const std::string& target) {
  static const std::regex torch("^(torch|ATen|c10|caffe2)/");
  return std::regex_search(target, torch);
}

/// Lines that name a directory of one person's or one machine's.
std::vector<size_t> machine_paths(const std::string& text) {
  static const std::regex path("(^|[^A-Za-z0-9_.~/-])/(home|root|work|Users|mnt)/[A-Za-z0-9_.]");
  std::vector<size_t> lines;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    // The pattern needs one of these; std::regex is slow on long lines of data.
    const bool may = line.find('/') != std::string::npos && line.size() < 4096;
    if (may && std::regex_search(line, path)) lines.push_back(number + 1);
    begin = end + 1;
  }
  return lines;
}

TEST(Layers, EveryFolderIsALayer) {
  for (const auto& entry : fs::directory_iterator(kRoot / "src")) {
    if (!entry.is_directory()) continue;
    EXPECT_THAT(kLayers, testing::Contains(entry.path().filename().string()));
  }
}

TEST(Layers, IncludesOnlyPointDown) {
  size_t sources = 0;
  for (const auto& layer : kLayers) {
    for (const auto& path : files(kRoot / "src" / layer)) {
      if (!is_source(path)) continue;
      ++sources;
      EXPECT_THAT(layer_errors(layer, read(kRoot / path), kRoot), IsEmpty()) << path;
    }
  }
  EXPECT_GT(sources, 50u) << "the test does not see the sources";
}

TEST(Layers, OnlyTrainIncludesTorch) {
  for (const auto& path : files(kRoot)) {
    // The measurement of training beside plain LibTorch is the one other place.
    if (!is_source(path) || path.string().starts_with("src/train/") || path == "bench/pretrain_bench.cc")
      continue;
    for (const auto& include : includes(read(kRoot / path))) {
      EXPECT_FALSE(is_torch(include.target)) << path << ":" << include.line << ": " << include.target;
    }
  }
}

TEST(Layers, NothingNamesAPlaceOnOneMachine) {
  constexpr uintmax_t kLargestText = 4 << 20;
  for (const auto& path : files(kRoot)) {
    if (fs::file_size(kRoot / path) > kLargestText) continue;
    const std::string text = read(kRoot / path);
    if (text.find('\0') != std::string::npos) continue;  // a model or an image
    EXPECT_THAT(machine_paths(text), IsEmpty()) << path << ": these lines name a machine's directory";
  }
}

// The checks themselves, on what they must find.
TEST(Layers, TheChecksSeeWhatIsWrong) {
  const auto errors = layer_errors("model",
                                   "#include \"base/result.h\"\n"
                                   "#include <vector>\n"
                                   "  #  include \"runtime/engine.h\"\n"
                                   "// #include \"cli/verbs.h\"\n"
                                   "#include \"config.h\"\n"
                                   "#include \"base/no_such_file.h\"\n"
                                   "#include \"nowhere/x.h\"\n",
                                   kRoot);
  EXPECT_THAT(errors,
              ElementsAre(HasSubstr("line 3: \"runtime/engine.h\" is above model"), HasSubstr("line 5"),
                          HasSubstr("line 6: \"base/no_such_file.h\" does not exist"), HasSubstr("line 7")));
  EXPECT_TRUE(is_torch("torch/torch.h"));
  EXPECT_TRUE(is_torch("ATen/ATen.h"));
  EXPECT_FALSE(is_torch("train/torch_model.h"));
  const std::string home = std::string("/") + "home/someone";
  EXPECT_THAT(machine_paths("a\nsee " + home + "\n\"" + home + "\"\n"), ElementsAre(2, 3));
  EXPECT_THAT(machine_paths("../"
                            "work/x and build/root/y and a/home/z\n"),
              IsEmpty());
}

}  // namespace
