// A build without SQLite: whoever opens a ledger in a file is told so.

#include "collab/sql_backends.h"

namespace bantam::collab {

Result<std::unique_ptr<Sql>> open_sqlite(const std::string& path, Sync) {
  return fail(
      Code::kUnsupported,
      "{}: ledgers (requests, budgets, keys) are not in this program: it was built with BANTAM_SQLITE=OFF",
      path);
}

}  // namespace bantam::collab
