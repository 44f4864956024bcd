#include "collab/sql.h"

#include "collab/sql_backends.h"

namespace bantam::collab {

Result<std::unique_ptr<Sql>> open_sql(const std::string& url, Sync sync) {
  if (url.starts_with("postgresql://") || url.starts_with("postgres://")) return open_postgres(url, sync);
  return open_sqlite(url, sync);
}

std::string shown_url(const std::string& url) {
  size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  size_t user = scheme + 3, end = url.find('/', user);
  size_t at = url.rfind('@', end == std::string::npos ? url.size() : end);
  size_t query = url.find('?');
  std::string shown = query == std::string::npos ? url : url.substr(0, query);  // may hold a password too
  if (at == std::string::npos || at < user) return shown;
  size_t colon = url.find(':', user);
  if (colon == std::string::npos || colon > at) return shown;
  return shown.substr(0, colon) + shown.substr(at);
}

int64_t whole_at(const SqlRow& row, size_t column) {
  const auto* value = column < row.size() ? std::get_if<int64_t>(&row[column]) : nullptr;
  return value ? *value : 0;
}

double number_at(const SqlRow& row, size_t column) {
  if (column >= row.size()) return 0;
  if (const auto* value = std::get_if<double>(&row[column])) return *value;
  return static_cast<double>(whole_at(row, column));
}

std::string text_at(const SqlRow& row, size_t column) {
  const auto* value = column < row.size() ? std::get_if<std::string>(&row[column]) : nullptr;
  return value ? *value : std::string();
}

}  // namespace bantam::collab
