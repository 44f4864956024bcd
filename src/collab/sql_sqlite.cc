// SQLite: a write-ahead log, so that readers (`bantam ledger`) never wait for the writer.

#include <sqlite3.h>

#include <unordered_map>

#include "collab/sql_backends.h"

namespace bantam::collab {
namespace {

constexpr int kBusyMilliseconds = 10'000;  // how long another process may hold the file

class Sqlite final : public Sql {
 public:
  Sqlite(std::string path, Sync sync) : path_(std::move(path)), sync_(sync) {}
  ~Sqlite() override { close(); }

  Status reconnect() override {
    close();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr) != SQLITE_OK) return failure("opening");
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, kBusyMilliseconds);
    BANTAM_TRY(plain("PRAGMA journal_mode=WAL"));
    return plain(sync_ == Sync::kDisk ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  }

  Result<std::vector<SqlRow>> run(const char* statement, std::span<const SqlValue> values) override {
    BANTAM_ASSIGN(sqlite3_stmt * prepared, prepare(statement));
    for (size_t i = 0; i < values.size(); ++i) {
      std::string name = fmt::format("${}", i + 1);
      int at = sqlite3_bind_parameter_index(prepared, name.c_str());
      if (at > 0 && bind(prepared, at, values[i]) != SQLITE_OK) return failure(statement);
    }
    std::vector<SqlRow> rows;
    int code;
    while ((code = sqlite3_step(prepared)) == SQLITE_ROW) rows.push_back(read_row(prepared));
    std::unexpected<Error> error = failure(statement);  // before the reset, which forgets it
    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared);
    if (code != SQLITE_DONE) return error;
    return rows;
  }

  Status begin(bool) override { return plain("BEGIN IMMEDIATE"); }
  Status commit() override { return plain("COMMIT"); }
  void rollback() override {
    if (db_ && !sqlite3_get_autocommit(db_)) (void)plain("ROLLBACK");
  }

 private:
  void close() {
    for (auto& [text, prepared] : prepared_) sqlite3_finalize(prepared);
    prepared_.clear();
    sqlite3_close(db_);
    db_ = nullptr;
  }

  static Code code_of(int code) {
    switch (code & 0xff) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return Code::kUnavailable;
      case SQLITE_FULL:
        return Code::kNoSpace;
      case SQLITE_NOTADB:
      case SQLITE_CORRUPT:
        return Code::kCorrupt;
      case SQLITE_CANTOPEN:
      case SQLITE_IOERR:
      case SQLITE_READONLY:
      case SQLITE_PERM:
        return Code::kIo;
      default:
        return Code::kInternal;
    }
  }
  std::unexpected<Error> failure(const char* what) const {
    return fail(code_of(sqlite3_errcode(db_)), "{}: {}: {}", path_, what, sqlite3_errmsg(db_));
  }

  Status plain(const char* statement) {
    if (sqlite3_exec(db_, statement, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(statement);
    return {};
  }

  Result<sqlite3_stmt*> prepare(const char* statement) {
    if (auto found = prepared_.find(statement); found != prepared_.end()) return found->second;
    sqlite3_stmt* made = nullptr;
    if (!db_ ||
        sqlite3_prepare_v3(db_, statement, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr) != SQLITE_OK)
      return failure(statement);
    return prepared_[statement] = made;
  }

  static int bind(sqlite3_stmt* prepared, int at, const SqlValue& value) {
    if (const auto* whole = std::get_if<int64_t>(&value)) return sqlite3_bind_int64(prepared, at, *whole);
    if (const auto* number = std::get_if<double>(&value)) return sqlite3_bind_double(prepared, at, *number);
    if (const auto* text = std::get_if<std::string>(&value))
      return sqlite3_bind_text64(prepared, at, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    return sqlite3_bind_null(prepared, at);
  }

  static SqlRow read_row(sqlite3_stmt* prepared) {
    SqlRow row;
    for (int i = 0; i < sqlite3_column_count(prepared); ++i) {
      switch (sqlite3_column_type(prepared, i)) {
        case SQLITE_INTEGER:
          row.emplace_back(int64_t{sqlite3_column_int64(prepared, i)});
          break;
        case SQLITE_FLOAT:
          row.emplace_back(sqlite3_column_double(prepared, i));
          break;
        case SQLITE_NULL:
          row.emplace_back();
          break;
        default: {
          const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, i));
          row.emplace_back(std::string(text, static_cast<size_t>(sqlite3_column_bytes(prepared, i))));
        }
      }
    }
    return row;
  }

  std::string path_;
  Sync sync_;
  sqlite3* db_ = nullptr;
  std::unordered_map<const char*, sqlite3_stmt*> prepared_;  // by the literal's address
};

}  // namespace

Result<std::unique_ptr<Sql>> open_sqlite(const std::string& path, Sync sync) {
  auto made = std::make_unique<Sqlite>(path, sync);
  BANTAM_TRY(made->reconnect());
  return made;
}

}  // namespace bantam::collab
