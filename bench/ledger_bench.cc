// What a request's row and audit entry cost: commits at 1, 16 and 64 requests at once, for each way to wait,
// in one run.
//   ledger_bench [SECONDS]

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "base/usage.h"
#include "collab/recorder.h"

namespace {

using namespace bantam;

collab::Record record() {
  collab::LedgerRow row;
  row.row = *collab::random_id();
  row.id = row.row;
  row.time = collab::now_microseconds();
  row.key = "ci";
  row.team = "team";
  row.outcome = "answered";
  row.steps = R"([{"model":"small","outcome":"answered","seconds":0.002}])";
  collab::Record out;
  out.row = std::move(row);
  out.events = {R"({"type":"request","id":"x","key":"ci","team":"team","outcome":"answered"})"};
  return out;
}

void measure(collab::Sync sync, int writers, double seconds) {
  char folder[] = "/tmp/bantam-bench-XXXXXX";
  if (!::mkdtemp(folder)) return;
  std::string base = folder;
  {
    auto recorder =
        collab::Recorder::open({.url = base + "/l.db", .audit_path = base + "/a.jsonl", .sync = sync});
    if (!recorder) {
      fmt::print(stderr, "{}\n", recorder.error().message);
      return;
    }
    std::mutex mutex;
    std::vector<double> times;
    std::vector<std::thread> threads;
    double end = wall_seconds() + seconds;
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([&] {
        std::vector<double> mine;
        while (wall_seconds() < end) {
          double start = wall_seconds();
          if (!(*recorder)->commit_now(record())) return;
          mine.push_back(wall_seconds() - start);
        }
        std::lock_guard lock(mutex);
        times.insert(times.end(), mine.begin(), mine.end());
      });
    }
    for (auto& thread : threads) thread.join();
    if (!times.empty()) {
      std::sort(times.begin(), times.end());
      fmt::print("{:8} {:8} {:12.0f} {:10.3f} {:10.3f}\n", sync == collab::Sync::kDisk ? "disk" : "process",
                 writers, static_cast<double>(times.size()) / seconds, times[times.size() / 2] * 1000,
                 times[times.size() * 99 / 100] * 1000);
    }
  }
  std::filesystem::remove_all(base);
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  fmt::print("{:8} {:8} {:>12} {:>10} {:>10}\n", "sync", "at once", "commits/s", "p50 ms", "p99 ms");
  for (auto sync : {collab::Sync::kDisk, collab::Sync::kProcess}) {
    for (int writers : {1, 16, 64}) measure(sync, writers, seconds);
  }
}
