#include "runtime/memory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "base/file.h"
#include "base/usage.h"

namespace bantam::runtime {
namespace {

std::optional<uint64_t> number_at(std::string_view text) {
  uint64_t value = 0;
  const size_t begin = std::min(text.find_first_of("0123456789"), text.size());
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() + begin) return std::nullopt;
  return value;
}

std::optional<uint64_t> number_in(const char* path) {
  const auto text = read_file(path, 4096);
  return text ? number_at(*text) : std::nullopt;  // "max" has no number: no limit
}

std::optional<uint64_t> system_available() {
  const auto text = read_file("/proc/meminfo", 1 << 16);
  constexpr std::string_view kField = "MemAvailable:";
  const size_t at = text ? text->find(kField) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  const auto kib = number_at(std::string_view(*text).substr(at + kField.size(), 32));
  return kib ? std::optional(*kib * 1024) : std::nullopt;
}

/// Of a version 2 control group. Its usage counts the page cache too, which the kernel gives back when asked.
std::optional<uint64_t> group_available() {
  const auto limit = number_in("/sys/fs/cgroup/memory.max"),
             used = number_in("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return std::nullopt;
  const auto stat = read_file("/sys/fs/cgroup/memory.stat", 1 << 16);
  constexpr std::string_view kField = "\ninactive_file ";
  const size_t at = stat ? stat->find(kField) : std::string::npos;
  const uint64_t cache = at == std::string::npos
                             ? 0
                             : number_at(std::string_view(*stat).substr(at + kField.size(), 32)).value_or(0);
  const uint64_t taken = *used - std::min(*used, cache);
  return *limit - std::min(*limit, taken);
}

}  // namespace

std::optional<uint64_t> available_memory() {
  const auto system = system_available(), group = group_available();
  if (!system || !group) return system ? system : group;
  return std::min(*system, *group);
}

uint64_t own_memory() {
  give_back_free_memory();
  const auto text = read_file("/proc/self/statm", 4096);  // pages: all, resident, of files, …
  if (!text) return 0;
  std::array<uint64_t, 3> pages{};
  const char *at = text->data(), *end = at + text->size();
  for (uint64_t& count : pages) {
    while (at < end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, count);
    if (error != std::errc()) return 0;
    at = next;
  }
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return (pages[1] - std::min(pages[1], pages[2])) * page;
}

Status check_memory(uint64_t bytes, std::string_view what) {
  const auto available = available_memory();
  if (!available || bytes <= *available) return {};
  return fail(Code::kLimit, "{} needs {} bytes of memory, found {} available", what, bytes, *available);
}

}  // namespace bantam::runtime
