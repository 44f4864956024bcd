#pragma once
// One interface over SQLite and PostgreSQL, just wide enough for the ledger: statements with numbered
// parameters ($1, $2, …) that both understand, and transactions.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace bantam::collab {

/// NULL, a whole number (BIGINT), a number (DOUBLE PRECISION) or text.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string>;
using SqlRow = std::vector<SqlValue>;

/// What a commit waits for. kDisk survives a loss of power; kProcess survives the end of our process by any
/// signal, not that of the machine.
enum class Sync { kDisk, kProcess };

/// A connection. For one thread at a time. Errors: kUnavailable when the database cannot be reached or is
/// locked for too long (reconnect() and try again), kNoSpace, kIo, kCorrupt (the file is no database),
/// kInternal for a statement it refuses.
class Sql {
 public:
  virtual ~Sql() = default;
  /// Runs one statement; `values[0]` is $1. The statement's address is the key under which it is kept
  /// prepared: pass string literals.
  virtual Result<std::vector<SqlRow>> run(const char* statement, std::span<const SqlValue> values) = 0;
  template <class... T>
  Result<std::vector<SqlRow>> operator()(const char* statement, T&&... values) {
    const SqlValue list[] = {SqlValue(std::forward<T>(values))..., SqlValue()};
    return run(statement, std::span(list, sizeof...(values)));
  }
  /// Begins a transaction. With `alone` no other one that is alone runs before its end, in any process.
  virtual Status begin(bool alone) = 0;
  virtual Status commit() = 0;
  virtual void rollback() = 0;
  /// Drops what is left of the connection and makes a new one.
  virtual Status reconnect() = 0;
};

/// Opens "postgresql://user@host/database" (libpq's form), or else the path of an SQLite file, made when it
/// is absent. Errors: as above; kUnsupported for PostgreSQL in a build without it.
Result<std::unique_ptr<Sql>> open_sql(const std::string& url, Sync sync);

/// Without its password, for messages.
std::string shown_url(const std::string& url);

/// Value of a column, or a fallback where it is NULL or of another type.
int64_t whole_at(const SqlRow& row, size_t column);
double number_at(const SqlRow& row, size_t column);
std::string text_at(const SqlRow& row, size_t column);

}  // namespace bantam::collab
