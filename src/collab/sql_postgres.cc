// PostgreSQL by libpqxx. A build without it (BANTAM_POSTGRES off) says so when such a URL is opened.

#include "collab/sql_backends.h"

#ifdef BANTAM_POSTGRES
#include <charconv>
#include <pqxx/pqxx>
#include <unordered_map>

namespace bantam::collab {
namespace {

/// Of pg_advisory_xact_lock; any number that others who share the database do not use.
constexpr const char* kLock = "SELECT pg_advisory_xact_lock(7021146950117342)";

enum : pqxx::oid { kInt8 = 20, kInt2 = 21, kInt4 = 23, kFloat4 = 700, kFloat8 = 701, kNumeric = 1700 };

class Postgres final : public Sql {
 public:
  Postgres(std::string url, Sync sync) : url_(std::move(url)), sync_(sync) {}

  Status reconnect() override {
    return guarded("connecting", [&]() -> Status {
      work_.reset();
      connection_.reset();
      prepared_.clear();
      connection_ = std::make_unique<pqxx::connection>(url_);
      connection_->set_variable("synchronous_commit", sync_ == Sync::kDisk ? "on" : "off");
      connection_->set_variable("client_min_messages", "warning");
      return {};
    });
  }

  Result<std::vector<SqlRow>> run(const char* statement, std::span<const SqlValue> values) override {
    std::vector<SqlRow> rows;
    BANTAM_TRY(guarded(statement, [&]() -> Status {
      if (!connection_) throw pqxx::broken_connection("not connected");
      auto [found, fresh] = prepared_.try_emplace(statement, fmt::format("s{}", prepared_.size()));
      if (fresh) connection_->prepare(found->second, statement);
      std::vector<std::string> texts(values.size());
      std::vector<const char*> given(values.size());
      for (size_t i = 0; i < values.size(); ++i) given[i] = as_text(values[i], texts[i]);
      bool own = !work_;
      if (own) work_ = std::make_unique<pqxx::work>(*connection_);
      pqxx::result found_rows =
          work_->exec_prepared(found->second, pqxx::prepare::make_dynamic_params(given));
      for (const auto& row : found_rows) rows.push_back(read_row(row));
      if (own) {
        work_->commit();
        work_.reset();
      }
      return {};
    }));
    return rows;
  }

  Status begin(bool alone) override {
    return guarded("BEGIN", [&]() -> Status {
      if (!connection_) throw pqxx::broken_connection("not connected");
      work_.reset();
      work_ = std::make_unique<pqxx::work>(*connection_);
      if (alone) work_->exec(kLock);
      return {};
    });
  }
  Status commit() override {
    return guarded("COMMIT", [&]() -> Status {
      work_->commit();
      work_.reset();
      return {};
    });
  }
  void rollback() override { drop_work(); }

 private:
  void drop_work() {
    try {
      work_.reset();
    } catch (const std::exception&) {  // the connection is gone, and the transaction with it
    }
  }

  /// libpqxx reports by exceptions; they end here.
  template <class F>
  Status guarded(const char* what, F&& body) {
    auto failed = [&](Code code, const std::exception& e) -> Status {
      drop_work();
      std::string text = e.what();
      while (text.ends_with('\n')) text.pop_back();
      return fail(code, "{}: {}: {}", shown_url(url_), what, text);
    };
    try {
      return body();
    } catch (const pqxx::broken_connection& e) {
      return failed(Code::kUnavailable, e);
    } catch (const pqxx::in_doubt_error& e) {
      return failed(Code::kUnavailable, e);
    } catch (const pqxx::transaction_rollback& e) {
      return failed(Code::kUnavailable, e);
    } catch (const pqxx::disk_full& e) {
      return failed(Code::kNoSpace, e);
    } catch (const pqxx::sql_error& e) {
      // Class 57: the server is being shut down or is starting up.
      return failed(e.sqlstate().starts_with("57") ? Code::kUnavailable : Code::kInternal, e);
    } catch (const std::exception& e) {
      return failed(Code::kInternal, e);
    }
  }

  static const char* as_text(const SqlValue& value, std::string& store) {
    if (const auto* whole = std::get_if<int64_t>(&value)) {
      store = fmt::format("{}", *whole);
    } else if (const auto* number = std::get_if<double>(&value)) {
      store = fmt::format("{}", *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      store = *text;
      std::erase(store, '\0');  // which PostgreSQL's text cannot hold
    } else {
      return nullptr;
    }
    return store.c_str();
  }

  static SqlRow read_row(const pqxx::row& row) {
    SqlRow out;
    for (const auto& field : row) {
      if (field.is_null()) {
        out.emplace_back();
        continue;
      }
      const std::string text(field.c_str(), field.size());
      switch (field.type()) {
        case kInt2:
        case kInt4:
        case kInt8: {
          int64_t whole = 0;
          std::from_chars(text.data(), text.data() + text.size(), whole);
          out.emplace_back(whole);
          break;
        }
        case kFloat4:
        case kFloat8:
        case kNumeric: {
          double number = 0;
          std::from_chars(text.data(), text.data() + text.size(), number);
          out.emplace_back(number);
          break;
        }
        default:
          out.emplace_back(text);
      }
    }
    return out;
  }

  std::string url_;
  Sync sync_;
  std::unique_ptr<pqxx::connection> connection_;
  std::unique_ptr<pqxx::work> work_;
  std::unordered_map<const char*, std::string> prepared_;
};

}  // namespace

Result<std::unique_ptr<Sql>> open_postgres(const std::string& url, Sync sync) {
  auto made = std::make_unique<Postgres>(url, sync);
  BANTAM_TRY(made->reconnect());
  return made;
}

}  // namespace bantam::collab
#else
namespace bantam::collab {

Result<std::unique_ptr<Sql>> open_postgres(const std::string& url, Sync) {
  return fail(Code::kUnsupported, "{}: this build has no PostgreSQL (BANTAM_POSTGRES)", shown_url(url));
}

}  // namespace bantam::collab
#endif
