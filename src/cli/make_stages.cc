#include "cli/make_stages.h"

#include <filesystem>

#include "base/file.h"
#include "base/hash.h"

namespace bantam::cli {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// The record, or a null value when there is none that can be read (it is then as if the stage never ran).
json read_record(const std::string& path) {
  auto text = read_file(path, 1 << 24);
  if (!text) return nullptr;
  json record = json::parse(*text, nullptr, false);
  return record.is_object() && record.contains("fingerprint") && record["fingerprint"].is_string() ? record
                                                                                                   : json();
}

Result<std::string> hash_file(const std::string& path) {
  BANTAM_ASSIGN(MappedFile file, MappedFile::open(path));
  return sha256_hex(file.bytes());
}

}  // namespace

Stages::Stages(std::string folder, std::function<void(const std::string&)> say)
    : folder_(std::move(folder)), say_(std::move(say)) {}

Result<json> Stages::run(const std::string& name, const std::string& file, const std::string& fingerprint,
                         const std::function<Result<json>(const std::string&)>& work) {
  const std::string out = path(file), started = path("state/" + name + ".started"),
                    done = path("state/" + name + ".json");
  const std::string print = sha256_hex(fingerprint);
  json record = read_record(done);
  if (record.is_object() && record["fingerprint"] == print) {
    auto found = hash_file(out);
    if (found && record.value("sha256", "") == *found) {
      say_(name + ": already made");
      return record["result"];
    }
  }
  // What lies here may belong to another recipe: only a start mark of this very job lets it be continued.
  auto mark = read_file(started, 4096);
  std::error_code error;
  if (!mark || *mark != print) {
    for (const auto& entry : fs::directory_iterator(folder_, error)) {
      const std::string left = entry.path().filename().string();
      if (left == file || left.starts_with(file + ".")) fs::remove(entry.path(), error);
    }
    fs::remove(done, error);
    BANTAM_TRY(write_file(started, print));
  }
  BANTAM_ASSIGN(json result, work(out));
  BANTAM_ASSIGN(std::string sha256, hash_file(out));
  BANTAM_TRY(write_file(done, json{{"fingerprint", print}, {"sha256", sha256}, {"result", result}}.dump(1)));
  return result;
}

}  // namespace bantam::cli
