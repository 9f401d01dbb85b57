// Any film and any request are refused or give frames of the film, ascending, as many as they may
// be; thumbnails of any picture are means of it.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "media/drawn_video.h"
#include "media/frame_choice.h"

namespace {

using namespace fourfold;

// Numbers from the bytes, zeros behind their end.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  template <class T>
  T take() {
    T value = {};
    const std::size_t n = std::min(sizeof value, size_ - at_);
    if (n > 0) std::memcpy(&value, data_ + at_, n);
    at_ += n;
    return value;
  }
  std::uint8_t byte(std::size_t i) const { return size_ == 0 ? 0 : data_[i % size_]; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

FrameRequest request_of(Bytes& in) {
  FrameRequest request;
  const auto given = in.take<std::uint8_t>();
  if (given & 1) request.fps = in.take<double>();
  if (given & 2) request.n_frames = in.take<std::int32_t>();
  if (given & 4) request.from_s = in.take<float>();
  if (given & 8) request.to_s = in.take<float>();
  request.frame_tokens = in.take<std::uint16_t>();
  if (given & 16) request.video_tokens = in.take<std::int32_t>();
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in(data, size);
  const FrameRequest request = request_of(in);
  const std::int64_t n_frames = 1 + in.take<std::uint16_t>() % 20'000;
  const double fps = 0.01 + in.take<std::uint16_t>() / 100.0;
  const int width = 1 + in.take<std::uint8_t>() % 70, height = 1 + in.take<std::uint8_t>() % 40;
  if (static_cast<double>(n_frames) / fps > 3600.0) return 0;  // the time of the fuzzer

  DrawnVideo video(n_frames, fps, [&](std::int64_t index) {
    Picture picture{.width = width, .height = height, .rgb = {}};
    picture.rgb.assign(static_cast<std::size_t>(width * height * 3),
                       in.byte(static_cast<std::size_t>(index)));
    return picture;
  });
  const auto choice = choose_frames(video, request);
  if (!choice) {
    CHECK(choice.error().code == Code::InvalidArgument && !choice.error().message.empty());
    return 0;
  }
  const auto& indices = choice->indices;
  CHECK(!indices.empty() && indices.front() >= 0 && indices.back() < n_frames);
  CHECK(std::adjacent_find(indices.begin(), indices.end(), std::greater_equal<>()) ==
        indices.end());
  CHECK(choice->from_s < choice->to_s && choice->largest_gap_s >= 0.0);
  if (request.n_frames) {
    CHECK(static_cast<std::int64_t>(indices.size()) <= *request.n_frames);
  }
  for (const std::int64_t index : indices) CHECK(frame_stamp(index, fps).size() >= 5);
  return 0;
}
