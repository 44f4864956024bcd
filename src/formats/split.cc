// Stratified division of labelled data in which equal texts stay together.

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>

#include "base/rng.h"
#include "formats/labelled.h"

namespace bantam::formats {
namespace {

using Group = std::vector<size_t>;  // indices of examples with the same text

/// Equal for texts that differ only in the case of ASCII letters and in white space.
std::string fold(std::string_view text) {
  std::string out;
  bool gap = false;
  for (char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      gap = !out.empty();
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// Groups by label, that of a group's first example; both in the order of the file.
std::map<int32_t, std::vector<Group>> group(const std::vector<Example>& examples) {
  std::vector<Group> groups;
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 0; i < examples.size(); ++i) {
    auto [place, added] = index.emplace(fold(examples[i].text), groups.size());
    if (added) groups.emplace_back();
    groups[place->second].push_back(i);
  }
  std::map<int32_t, std::vector<Group>> out;
  for (auto& g : groups) out[examples[g[0]].label].push_back(std::move(g));
  return out;
}

/// `total` divided by `shares` (which sum to 1) into whole numbers, by largest remainder; the first of equal
/// ones.
std::vector<int64_t> apportion(int64_t total, const std::vector<double>& shares) {
  std::vector<int64_t> out;
  std::vector<double> remainders;
  for (double share : shares) {
    double quota = share * static_cast<double>(total);
    double whole = std::floor(quota + 1e-9);  // 0.15 * 20 is 3, though not in binary
    out.push_back(static_cast<int64_t>(whole));
    remainders.push_back(quota - whole);
  }
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  int64_t rest = total - std::accumulate(out.begin(), out.end(), int64_t{0});
  for (size_t i = 0; rest > 0; i = (i + 1) % order.size(), --rest) ++out[order[i]];
  return out;
}

}  // namespace

std::vector<std::vector<Example>> split(const LabelledData& data, const std::vector<double>& shares,
                                        uint64_t seed) {
  std::vector<double> all = shares;
  all.push_back(std::max(0.0, 1 - std::accumulate(shares.begin(), shares.end(), 0.0)));  // belongs to no part
  if (all.back() < 1e-9) all.back() = 0;
  std::vector<std::vector<Example>> parts(all.size());
  for (auto& [label, groups] : group(data.examples)) {
    Rng rng(seed, static_cast<uint64_t>(label + 1));
    rng.shuffle(groups);
    std::ranges::stable_sort(groups, std::greater<>(),
                             &Group::size);  // the single ones then fill the parts exactly
    int64_t total = 0;
    for (const auto& g : groups) total += static_cast<int64_t>(g.size());
    auto wanted = apportion(total, all);
    for (const auto& g : groups) {
      size_t part = std::ranges::max_element(wanted) - wanted.begin();
      for (size_t i : g) parts[part].push_back(data.examples[i]);
      wanted[part] -= static_cast<int64_t>(g.size());
    }
  }
  parts.pop_back();
  for (size_t p = 0; p < parts.size(); ++p) {
    Rng rng(seed, UINT64_MAX, p);
    rng.shuffle(parts[p]);
  }
  return parts;
}

void keep_per_label(std::vector<Example>& examples, size_t count) {
  std::unordered_map<int32_t, size_t> kept;
  std::erase_if(examples, [&](const Example& example) { return ++kept[example.label] > count; });
}

}  // namespace bantam::formats
