#include "store/fetch.h"
#include "store/partial.h"
#include "store/store.h"

namespace bantam::store {

FetchedFile::FetchedFile(FetchReport fetched, std::string file, std::unique_ptr<Partial> partial,
                         std::string source)
    : report(std::move(fetched)),
      file_(std::move(file)),
      source_(std::move(source)),
      partial_(std::move(partial)) {}
FetchedFile::FetchedFile() = default;
FetchedFile::FetchedFile(FetchedFile&&) noexcept = default;
FetchedFile::~FetchedFile() = default;

std::string FetchedFile::path() const { return partial_ ? partial_path(file_) : file_; }

Status FetchedFile::keep() {
  if (!partial_) return {};
  BANTAM_TRY(partial_->finish(source_));
  partial_.reset();
  return {};
}

void FetchedFile::discard() {
  if (partial_) partial_->discard();
  partial_.reset();
}

}  // namespace bantam::store
