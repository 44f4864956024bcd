#pragma once
// A PostgreSQL server of the tests' own, on a socket in a temporary folder; none where its programs are
// absent.

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "collab/sql.h"

namespace bantam::collab {

class PostgresForTest {
 public:
  /// Started on first use, ended with the process.
  static PostgresForTest& shared() {
    static PostgresForTest one;
    return one;
  }
  ~PostgresForTest() {
    if (server_ > 0) {
      ::kill(server_, SIGINT);
      ::waitpid(server_, nullptr, 0);
    }
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  bool running() const { return server_ > 0; }
  const std::string& why_not() const { return why_not_; }
  std::string url(const std::string& database) const {
    return "postgresql:///" + database + "?host=" + folder_ + "&user=bantam";
  }
  std::string fresh_database() {
    std::string name = "t" + std::to_string(++databases_);
    auto sql = open_sql(url("postgres"), Sync::kProcess);
    if (!sql) return "";
    // CREATE DATABASE runs in no transaction, which is what libpqxx gives: a copy of the program does it.
    std::string user = "bantam";
    run({binaries_ + "/createdb", "-h", folder_, "-U", user, name});
    return url(name);
  }

 private:
  PostgresForTest() {
#ifndef BANTAM_POSTGRES
    why_not_ = "built without PostgreSQL";
    return;
#endif
    for (const char* place : {"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin",
                              "/usr/lib/postgresql/17/bin", "/usr/local/bin", "/usr/bin"}) {
      if (std::filesystem::exists(std::string(place) + "/initdb") &&
          std::filesystem::exists(std::string(place) + "/createdb"))
        binaries_ = place;
      if (!binaries_.empty()) break;
    }
    if (binaries_.empty()) {
      why_not_ = "PostgreSQL's server is not installed";
      return;
    }
    char name[] = "/tmp/bantam-pg-XXXXXX";
    folder_ = ::mkdtemp(name);
    // The server does not run as root.
    if (::geteuid() == 0) {
      user_ = ::getpwnam("postgres") ? ::getpwnam("postgres") : ::getpwnam("nobody");
      if (!user_ || ::chown(folder_.c_str(), user_->pw_uid, user_->pw_gid) != 0) {
        why_not_ = "there is no account to run PostgreSQL as";
        return;
      }
    }
    std::string data = folder_ + "/data";
    if (run({binaries_ + "/initdb", "-D", data, "-U", "bantam", "-A", "trust", "--no-sync", "-E", "UTF8"}) !=
        0) {
      why_not_ = "initdb failed";
      return;
    }
    start({binaries_ + "/postgres", "-D", data, "-k", folder_, "-c", "listen_addresses=", "-c", "fsync=off"});
  }

  pid_t spawn(const std::vector<std::string>& words) const {
    pid_t child = ::fork();
    if (child != 0) return child;
    if (user_ && (::setgid(user_->pw_gid) != 0 || ::setuid(user_->pw_uid) != 0)) ::_exit(126);
    if (::chdir(folder_.c_str()) != 0) ::_exit(126);
    int null = ::open("/dev/null", O_RDWR);
    for (int fd : {0, 1, 2}) ::dup2(null, fd);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int run(const std::vector<std::string>& words) const {
    int status = 0;
    ::waitpid(spawn(words), &status, 0);
    return status;
  }
  void start(const std::vector<std::string>& words) {
    pid_t child = spawn(words);
    for (int i = 0; i < 600; ++i) {
      if (open_sql(url("postgres"), Sync::kProcess)) {
        server_ = child;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    why_not_ = "PostgreSQL did not start";
  }

  std::string folder_, binaries_, why_not_;
  passwd* user_ = nullptr;
  pid_t server_ = 0;
  int databases_ = 0;
};

}  // namespace bantam::collab
