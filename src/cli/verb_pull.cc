#include "store/pull.h"

#include <cstdlib>
#include <memory>

#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/verbs.h"

namespace bantam::cli {
namespace {

struct PullVerbOptions {
  std::string what, token_env = "BANTAM_TOKEN", proxy, no_proxy;
  CLI::Option* token_given = nullptr;
  double max_wait = 300;
  store::PullOptions pull;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Status read_token(PullVerbOptions& options) {
  options.pull.token = environment(options.token_env.c_str());
  if (options.pull.token.empty() && options.token_given->count() > 0) {
    return fail(Code::kNotFound, "--token-env: found no environment variable {}, expected one with the token",
                options.token_env);
  }
  for (char c : options.pull.token) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F)
      return fail(Code::kInvalidArgument, "{}: found a space or another character that no token has",
                  options.token_env);
  }
  return {};
}

Status read_proxy(PullVerbOptions& options) {
  net::ProxyRules& rules = options.pull.http.proxies;
  if (options.proxy == "none") return {};
  if (options.proxy.empty()) {
    BANTAM_ASSIGN(rules, net::proxies_of_environment(environment));
  } else {
    auto proxy = net::parse_proxy(options.proxy);
    if (!proxy) return std::unexpected(std::move(proxy).error().in("--proxy"));
    rules.http = rules.https = std::move(*proxy);
  }
  if (!options.no_proxy.empty()) rules.direct = net::parse_direct(options.no_proxy);
  return {};
}

Json as_json(const store::PullReport& report) {
  Json files = Json::array();
  for (const auto& file : report.files) {
    files.push_back({{"path", file.path},
                     {"bytes", file.fetched.bytes},
                     {"resumed_at", file.fetched.resumed_at},
                     {"sha256", file.fetched.sha256},
                     {"verified_by", file.fetched.verified_by},
                     {"unchanged", file.fetched.unchanged}});
  }
  return {{"name", report.name}, {"files", files}, {"notes", report.notes}};
}

std::string as_text(const store::PullReport& report) {
  std::string out;
  for (const auto& file : report.files) {
    std::string how = file.fetched.unchanged             ? "was there already"
                      : file.fetched.verified_by.empty() ? "not verified"
                                                         : "SHA-256 verified by " + file.fetched.verified_by;
    if (file.fetched.resumed_at > 0) how += ", resumed at " + human_bytes(file.fetched.resumed_at);
    out += fmt::format("{}: {}, {}\n", file.path, human_bytes(file.fetched.bytes), how);
  }
  for (const auto& note : report.notes) out += "note: " + note + "\n";
  return out + fmt::format("bantam run {}\n", report.name);
}

int pull(PullVerbOptions& options, const Common& common) {
  if (auto status = read_token(options); !status) return report(status.error());
  if (auto status = read_proxy(options); !status) return report(status.error());
  Interrupt interrupt;
  ProgressBar bar(common.quiet);
  options.pull.cancel = Interrupt::token();
  options.pull.progress = bar.sink();
  options.pull.longest_pause = std::chrono::milliseconds(static_cast<int64_t>(options.max_wait * 1000));
  if (!common.quiet) {
    options.pull.note = [&](const std::string& note) {
      bar.finish();
      fmt::print(stderr, "{}\n", note);
    };
  }
  auto result = store::pull(options.what, store::Store(common.store), options.pull);
  bar.finish();
  if (!result) return report(result.error());
  return common.json ? print_json(as_json(*result)) : print_text(as_text(*result));
}

void add_network(CLI::App& verb, PullVerbOptions& o) {
  verb.add_option("--registry", o.pull.registry, "Base URL of the registry that names are looked up in")
      ->type_name("URL");
  verb.add_option("--revision", o.pull.revision, "Branch, tag or commit there")->capture_default_str();
  o.token_given = verb.add_option("--token-env", o.token_env,
                                  "Environment variable with the bearer token; sent to the registry only")
                      ->capture_default_str()
                      ->type_name("NAME");
  verb.add_option("--ca-file", o.pull.http.ca_file, "Certificates to trust (PEM) instead of the system's")
      ->type_name("FILE");
  verb.add_option("--ca-folder", o.pull.http.ca_folder, "The same as a folder (openssl rehash)")
      ->type_name("DIR");
  verb.add_option(
          "--proxy", o.proxy,
          "[http://][USER:PASSWORD@]HOST[:PORT], or none (default: http_proxy, https_proxy, all_proxy)")
      ->type_name("URL");
  verb.add_option("--no-proxy", o.no_proxy, "Hosts reached directly, with commas between (default: no_proxy)")
      ->type_name("LIST");
  verb.add_option("--retries", o.pull.retries, "Attempts without any progress before it gives up")
      ->capture_default_str();
  verb.add_option("--max-wait", o.max_wait, "Longest pause in seconds that a server may ask for")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  verb.add_flag("--offline", o.pull.offline, "Make it an error");
}

}  // namespace

Action add_pull(CLI::App& verb, const Common& common) {
  auto options = std::make_shared<PullVerbOptions>();
  verb.add_option("MODEL", options->what, "OWNER/NAME[:QUANT or :FILE] in the registry, or a URL")
      ->required();
  verb.add_option("--as", options->pull.as, "Keep a URL's file as OWNER/NAME")->type_name("NAME");
  verb.add_option("--sha256", options->pull.sha256, "Hash that the file must have")->type_name("HEX");
  verb.add_option("--max-size", options->pull.max_bytes, "Most bytes to fetch (5GB)")
      ->transform(CLI::AsSizeValue(true))
      ->type_name("BYTES");
  add_network(verb, *options);
  add_store(verb, common);
  add_json(verb, common);
  verb.footer(
      "The same command goes on where an interrupted one stopped. Examples:\n"
      "  bantam pull owner/model:q4_k_m --registry https://models.example\n"
      "  bantam pull https://models.example/files/model-q8_0.gguf --sha256 9f86d08…");
  return [options, &common] { return pull(*options, common); };
}

}  // namespace bantam::cli
