#include "server/http/body_sink.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace fourfold {
namespace {

std::string folder_for_bodies(const std::string& folder) {
  if (!folder.empty()) return folder;
  std::error_code error;
  const auto path = std::filesystem::temp_directory_path(error);
  return error ? "/tmp" : path.string();
}

}  // namespace

Result<std::unique_ptr<BodySink>> BodySink::open(const BodyPlan& plan, std::string_view coding,
                                                 const std::string& folder) {
  auto decoder = TRY(make_body_decoder(coding));
  std::unique_ptr<BodySink> sink(new BodySink(plan.most_bytes, std::move(decoder)));
  if (plan.to_file) TRY(sink->open_file(folder_for_bodies(folder)));
  return sink;
}

BodySink::BodySink(std::uint64_t most_bytes, std::unique_ptr<BodyDecoder> decoder)
    : most_bytes_(most_bytes), decoder_(std::move(decoder)) {}

BodySink::~BodySink() {
  if (file_ >= 0) ::close(file_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

Status BodySink::open_file(const std::string& folder) {
  std::string path = folder + "/fourfold-body-XXXXXX";
  file_ = ::mkostemp(path.data(), O_CLOEXEC);  // mode 600
  if (file_ < 0) return internal_error("{}: cannot be written: {}", folder, std::strerror(errno));
  path_ = std::move(path);
  return {};
}

Status BodySink::add(std::string_view bytes) {
  n_encoded_ += bytes.size();
  // An encoded body that is over the limit is so before it is decoded.
  if (n_encoded_ > most_bytes_) {
    return Error{Code::OutOfRange, "the body is too large"}.with(
        {.reason = std::string(kBodyTooLarge)});
  }
  if (!decoder_) return store(bytes);
  return decoder_->add(bytes, [this](std::string_view decoded) { return store(decoded); });
}

Status BodySink::store(std::string_view decoded) {
  n_decoded_ += decoded.size();
  if (n_decoded_ > most_bytes_) {
    return Error{Code::OutOfRange, "the body is too large"}.with(
        {.reason = std::string(kBodyTooLarge)});
  }
  if (file_ < 0) {
    body_ += decoded;
    return {};
  }
  while (!decoded.empty()) {
    const ::ssize_t n = ::write(file_, decoded.data(), decoded.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return internal_error("{}: cannot be written: {}", path_, std::strerror(errno));
    decoded.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status BodySink::finish(Request& request) {
  if (decoder_) TRY(decoder_->finish());
  request.body = std::move(body_);
  request.body_file = std::exchange(path_, {});
  return {};
}

}  // namespace fourfold
