#include "store/pull.h"

#include <algorithm>
#include <filesystem>

#include "formats/gguf.h"
#include "net/http.h"
#include "store/registry.h"

namespace bantam::store {
namespace {

namespace fs = std::filesystem;

/// What is to be fetched and under which name it is kept.
struct Plan {
  ModelName name;
  struct File {
    std::string path;  // inside the model's folder
    FileSource source;
  };
  std::vector<File> files;
};

/// "example.com:8443" as a part of a name.
std::string as_owner(const net::Url& url) {
  std::string out = url.authority();
  std::ranges::replace_if(
      out, [](char c) { return c == ':' || c == '[' || c == ']'; }, '_');
  return out.starts_with('_') ? "host" + out : out;
}

/// Letters, digits, '.', '_' and '-' as they are, all else as '-'.
std::string as_name(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '-' || (c == '.' && !out.ends_with('.'));
    if (plain || !out.ends_with('-')) out += plain ? c : '-';
  }
  while (out.ends_with('.') || out.ends_with('-')) out.pop_back();
  while (out.starts_with('.') || out.starts_with('-') || out.starts_with('_')) out.erase(0, 1);
  return out.substr(0, 96);
}

class Puller {
 public:
  Puller(const Store& store, const PullOptions& options, net::HttpClient& client)
      : store_(store), options_(options), client_(client) {
    fetch_.token = options.token;
    if (auto registry = net::parse_url(options.registry)) fetch_.token_for = std::move(*registry);
    fetch_.max_bytes = options.max_bytes;
    fetch_.retries = options.retries;
    fetch_.longest_pause = options.longest_pause;
    fetch_.first_pause = options.first_pause;
    fetch_.cancel = options.cancel;
    fetch_.progress = options.progress;
    fetch_.note = options.note;
  }

  Result<PullReport> run(const std::string& what);

 private:
  Result<Plan> plan_name(const std::string& what);
  Result<Plan> plan_url(const std::string& what);
  Result<Listing> listing(const ModelName& name);
  Status set_hash(Plan& plan) const;
  Status check_size(const Plan& plan) const;
  Result<std::vector<FetchedFile>> fetch_all(const Plan& plan);
  Status check_model(std::vector<FetchedFile>& files, PullReport& report) const;

  const Store& store_;
  const PullOptions& options_;
  net::HttpClient& client_;
  FetchOptions fetch_;
};

/// A registry that lists nothing still gives a file that is named whole.
Result<Listing> Puller::listing(const ModelName& name) {
  BANTAM_ASSIGN(const net::Url url, listing_url(options_.registry, name, options_.revision));
  auto text = net::wait(fetch_text(client_, url, fetch_));
  if (text) return parse_listing(*text);
  const bool whole = net::lower_case(name.selector).ends_with(".gguf");
  if (text.error().code != Code::kNotFound || !whole)
    return std::unexpected(std::move(text).error().in(name.folder()));
  Listing out;
  const auto shard = parse_shard(name.selector);
  for (unsigned i = 1; i <= (shard ? shard->count : 1); ++i)
    out.files.push_back({shard ? shard_path(*shard, i) : name.selector, std::nullopt, {}});
  return out;
}

Result<Plan> Puller::plan_name(const std::string& what) {
  Plan plan;
  BANTAM_ASSIGN(plan.name, parse_name(what));
  if (options_.registry.empty()) {
    return fail(
        Code::kInvalidArgument,
        "{}: found no registry to ask, expected its URL (--registry, BANTAM_REGISTRY or registry = \"…\" "
        "in the config file)",
        what);
  }
  BANTAM_ASSIGN(const Listing list, listing(plan.name));
  std::vector<std::string> paths;
  for (const auto& file : list.files) paths.push_back(file.path);
  const auto groups = group_files(paths);
  BANTAM_ASSIGN(const FileGroup group, select_files(groups, plan.name.selector, plan.name.folder()));
  if (!group.whole()) {
    return fail(Code::kCorrupt, "{}: found {} files of {} in the registry, expected {}", plan.name.folder(),
                group.files.size(), stem_of(group.first()), parse_shard(group.first())->count);
  }
  const std::string& revision = list.commit.empty() ? options_.revision : list.commit;
  for (const auto& path : group.files) {
    const RegistryFile* file = list.find(path);
    Plan::File to{.path = path, .source = {}};
    BANTAM_ASSIGN(to.source.url, file_url(options_.registry, plan.name, revision, path));
    to.source.bytes = file->bytes;
    to.source.sha256 = file->sha256;
    to.source.hash_from = "the registry";
    to.source.etag_is_hash = true;
    plan.files.push_back(std::move(to));
  }
  return plan;
}

/// "https://host/owner/name/resolve/main/file.gguf" is kept as owner/name, others by host and file.
Result<Plan> Puller::plan_url(const std::string& what) {
  Plan plan;
  BANTAM_ASSIGN(const net::Url url, net::parse_url(what));
  BANTAM_TRY(check_transport(url));
  const auto path = net::percent_decode(url.target.substr(0, url.target.find('?')));
  const std::string file = path ? path->substr(path->rfind('/') + 1) : std::string();
  if (!is_model_file(file) || !check_file_path(file))
    return fail(Code::kInvalidArgument, "{}: found no file name that ends in .gguf", shown(url));
  std::string name = options_.as;
  if (name.empty()) {
    const size_t resolve = path->find("/resolve/");
    if (resolve != std::string::npos) name = path->substr(1, resolve - 1);
    if (!parse_name(name)) name = as_owner(url) + "/" + as_name(stem_of(file));
  }
  BANTAM_ASSIGN(plan.name, parse_name(name));
  if (!plan.name.selector.empty())
    return fail(Code::kInvalidArgument, "--as: found \"{}\", expected OWNER/NAME", options_.as);
  const auto shard = parse_shard(file);
  for (unsigned i = 1; i <= (shard ? shard->count : 1); ++i) {
    Plan::File to{.path = shard ? shard_path(*shard, i) : file, .source = {}};
    to.source.url = url;
    if (shard) {
      // The number stands as it is in a URL, however the rest of the name is escaped.
      const std::string from = fmt::format("-{:05}-of-", shard->index);
      const size_t at = url.target.substr(0, url.target.find('?')).rfind(from);
      if (at == std::string::npos) return fail(Code::kInvalidArgument, "{}: found no shard's number", shown(url));
      to.source.url.target.replace(at, from.size(), fmt::format("-{:05}-of-", i));
    }
    plan.files.push_back(std::move(to));
  }
  return plan;
}

Status Puller::set_hash(Plan& plan) const {
  if (options_.sha256.empty()) return {};
  const std::string hash = as_sha256(options_.sha256);
  if (hash.empty()) {
    return fail(Code::kInvalidArgument, "--sha256: found \"{}\", expected 64 hexadecimal digits",
                options_.sha256);
  }
  if (plan.files.size() != 1)
    return fail(Code::kInvalidArgument, "--sha256: found a model of {} files, expected one",
                plan.files.size());
  FileSource& source = plan.files[0].source;
  if (!source.sha256.empty() && source.sha256 != hash) {
    return fail(Code::kCorrupt, "{}: found SHA-256 {} in the registry, expected {} (--sha256)",
                plan.files[0].path, source.sha256, hash);
  }
  source.sha256 = hash;
  source.hash_from = "--sha256";
  return {};
}

Status Puller::check_size(const Plan& plan) const {
  uint64_t total = 0;
  for (const auto& file : plan.files) {
    const uint64_t bytes = file.source.bytes.value_or(0);
    if (bytes > options_.max_bytes || total > options_.max_bytes - bytes) {
      return fail(Code::kLimit, "{}: found more than {} bytes, expected no more (--max-size)",
                  plan.name.text(), options_.max_bytes);
    }
    total += bytes;
  }
  return {};
}

/// All files of the plan, of which none has its name yet.
Result<std::vector<FetchedFile>> Puller::fetch_all(const Plan& plan) {
  std::vector<FetchedFile> out;
  uint64_t left = options_.max_bytes;
  for (const auto& file : plan.files) {
    const std::string path = store_.folder(plan.name) + "/" + file.path;
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    if (error) return fail_errno(fs::path(path).parent_path().string(), error.value());
    fetch_.max_bytes = left;
    auto fetched = net::wait(fetch_file(client_, file.source, path, fetch_));
    if (!fetched) {
      store_.remove_empty(path);
      return std::unexpected(std::move(fetched).error());
    }
    left -= std::min(left, fetched->report.bytes);
    out.push_back(std::move(*fetched));
  }
  return out;
}

/// Looks at the files before they get their names, so that a bad one never takes a good one's place.
Status Puller::check_model(std::vector<FetchedFile>& files, PullReport& report) const {
  const auto place = [&](const std::string& name) {
    const auto found = std::ranges::find(files, name, &FetchedFile::file);
    return found == files.end() ? name : found->path();
  };
  const auto file = formats::GgufFile::open(files.front().file(), place);
  if (file) return {};
  const bool as_published = std::ranges::all_of(files, [](const FetchedFile& f) {
    return !f.report.verified_by.empty() || f.report.unchanged;
  });
  if (as_published || file.error().code != Code::kCorrupt) {
    report.notes.push_back(fmt::format("it {}does not run here: {}",
                                       as_published ? "is as published, but " : "", file.error().message));
    return {};
  }
  for (auto& f : files) {
    f.discard();
    store_.remove_empty(f.file());
  }
  return fail(Code::kCorrupt, "{}; what was fetched is removed", file.error().message);
}

Result<PullReport> Puller::run(const std::string& what) {
  const bool by_url = what.find("://") != std::string::npos;
  BANTAM_ASSIGN(Plan plan, by_url ? plan_url(what) : plan_name(what));
  BANTAM_TRY(set_hash(plan));
  BANTAM_TRY(check_size(plan));
  BANTAM_ASSIGN(auto files, fetch_all(plan));
  PullReport report;
  BANTAM_TRY(check_model(files, report));
  for (size_t i = 0; i < files.size(); ++i) {
    BANTAM_TRY(files[i].keep());
    const FetchReport& fetched = files[i].report;
    if (fetched.verified_by.empty() && !fetched.unchanged) {
      report.notes.push_back(fmt::format("{}: nobody gave a hash to compare its SHA-256 {} with",
                                         plan.files[i].path, fetched.sha256));
    }
    report.files.push_back({files[i].file(), fetched});
  }
  BANTAM_ASSIGN(const auto models, store_.models());
  const auto kept = std::ranges::find_if(
      models, [&](const StoredModel& m) { return !m.files.empty() && m.files.front() == report.files.front().path; });
  report.name = kept == models.end() ? plan.name.text() : kept->name;
  return report;
}

}  // namespace

Result<PullReport> pull(const std::string& what, const Store& store, const PullOptions& options) {
  const std::string named = net::without_secrets(what);
  if (options.offline) return fail(Code::kUnavailable, "{}: nothing is pulled while offline is set", named);
  if (store.root().empty())
    return fail(Code::kInvalidArgument, "found no folder for models, expected --store, BANTAM_STORE or HOME");
  BANTAM_ASSIGN(const auto client, net::HttpClient::create(options.http));
  Puller puller(store, options, *client);
  auto out = puller.run(what);
  if (!out && out.error().code == Code::kCancelled)
    return fail(Code::kCancelled, "{}: interrupted; the same command goes on from there", named);
  return out;
}

}  // namespace bantam::store
