#pragma once
// Internal to collab: the two ways to open a database.

#include "collab/sql.h"

namespace bantam::collab {

Result<std::unique_ptr<Sql>> open_sqlite(const std::string& path, Sync sync);
Result<std::unique_ptr<Sql>> open_postgres(const std::string& url, Sync sync);

}  // namespace bantam::collab
