// Films and their sound through libav, which only this file includes. It is given bytes, never a
// name: no protocol is open to it, a file that points to other files finds none, and only formats
// of the list below are tried.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <utility>

#include "media/sound_readers.h"
#include "media/video.h"

namespace fourfold {
namespace {

constexpr const char* kFormats =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,ogg,flv,asf,aac,mp3,flac,wav,aiff,"
    "caf,amr";
constexpr int kReadBytes = 1 << 16;
// Far above what a frame within the limits takes: an allocation that a damaged file asks for fails.
constexpr std::size_t kMostBytesAtOnce = std::size_t{512} << 20;
constexpr int kMostThreads = 4;
// A seek throws away what the decoder has; it must pass this many frames to be worth it.
constexpr std::int64_t kLeastSeek = 8;
constexpr double kUnknownFps = 24.0;  // as the reference assumes

struct FreeFormat {
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
};
struct FreeIo {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};
struct FreeCodec {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
struct FreeConverter {
  void operator()(SwrContext* converter) const { swr_free(&converter); }
};
using FormatPtr = std::unique_ptr<AVFormatContext, FreeFormat>;
using IoPtr = std::unique_ptr<AVIOContext, FreeIo>;
using CodecPtr = std::unique_ptr<AVCodecContext, FreeCodec>;
using PacketPtr = std::unique_ptr<AVPacket, FreePacket>;
using FramePtr = std::unique_ptr<AVFrame, FreeFrame>;
using ScalerPtr = std::unique_ptr<SwsContext, FreeScaler>;
using ConverterPtr = std::unique_ptr<SwrContext, FreeConverter>;

std::string why(int status) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text = {};
  av_strerror(status, text.data(), text.size());
  return text.data();
}

Error out_of_memory() { return {Code::ResourceExhausted, "no memory for the decoder"}; }

// Settings of the whole process, made once.
void quieten_libav() {
  static const bool is_done = [] {
    av_log_set_level(AV_LOG_QUIET);
    av_max_alloc(kMostBytesAtOnce);
    return true;
  }();
  static_cast<void>(is_done);
}

// Ends what takes too long or what nobody waits for any more; libav asks while it reads.
class Patience {
 public:
  explicit Patience(const VideoLimits& limits) : idle_s_(limits.idle_s), go_on_(limits.go_on) {}

  // Something new has come.
  void restart() { since_ = Clock::now(); }
  bool is_over() const { return is_cancelled() || is_idle(); }
  Status status() const {
    if (is_cancelled()) return Error{Code::Cancelled, "cancelled"};
    if (is_idle()) {
      return Error{Code::DeadlineExceeded,
                   fmt::format("nothing new was decoded for {:g} s, the limit", idle_s_)};
    }
    return {};
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool is_cancelled() const { return go_on_ && !go_on_(); }
  bool is_idle() const {
    return std::chrono::duration<double>(Clock::now() - since_).count() > idle_s_;
  }

  double idle_s_;
  std::function<bool()> go_on_;
  Clock::time_point since_ = Clock::now();
};

// The bytes as a file that can seek.
struct MemoryFile {
  std::span<const std::byte> bytes;
  std::int64_t at = 0;
  const Patience* patience = nullptr;

  static int read(void* self, std::uint8_t* out, int n_bytes) {
    auto& file = *static_cast<MemoryFile*>(self);
    if (file.patience->is_over()) return AVERROR_EXIT;
    const auto rest = static_cast<std::int64_t>(file.bytes.size()) - file.at;
    if (rest <= 0) return AVERROR_EOF;
    const auto n = std::min<std::int64_t>(rest, n_bytes);
    std::memcpy(out, file.bytes.data() + file.at, static_cast<std::size_t>(n));
    file.at += n;
    return static_cast<int>(n);
  }

  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& file = *static_cast<MemoryFile*>(self);
    const auto size = static_cast<std::int64_t>(file.bytes.size());
    if (whence & AVSEEK_SIZE) return size;
    std::int64_t base = 0;
    switch (whence & ~AVSEEK_FORCE) {
      case SEEK_SET: break;
      case SEEK_CUR: base = file.at; break;
      case SEEK_END: base = size; break;
      default: return AVERROR(EINVAL);
    }
    std::int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0) return AVERROR(EINVAL);
    file.at = target;
    return target;
  }
};

int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

int interrupt(void* patience) { return static_cast<const Patience*>(patience)->is_over() ? 1 : 0; }

// A file that was opened.
class Container {
 public:
  static Result<std::unique_ptr<Container>> open(std::span<const std::byte> bytes,
                                                 Patience& patience) {
    quieten_libav();
    std::unique_ptr<Container> container(new Container);
    patience.restart();
    container->file_ = {.bytes = bytes, .patience = &patience};
    TRY(container->open_format(patience));
    return container;
  }

  // What the header does not say of a stream libav finds out by decoding a little of it.
  Status find_streams(std::uint64_t max_pixels, Patience& patience) {
    std::vector<AVDictionary*> options(format_->nb_streams, nullptr);
    for (auto& entry : options) {
      av_dict_set_int(&entry, "max_pixels", static_cast<std::int64_t>(max_pixels), 0);
      av_dict_set_int(&entry, "threads", 1, 0);
    }
    const int status = avformat_find_stream_info(format_.get(), options.data());
    for (auto& entry : options) av_dict_free(&entry);
    TRY(patience.status());
    if (status < 0) return invalid_argument("its streams cannot be read: {}", why(status));
    patience.restart();
    return {};
  }

  AVFormatContext& format() const { return *format_; }

  // The first one of its kind; null if there is none.
  AVStream* find_stream(AVMediaType type) const {
    for (unsigned i = 0; i < format_->nb_streams; ++i) {
      AVStream* stream = format_->streams[i];
      const bool is_cover = (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
      if (stream->codecpar->codec_type == type && !is_cover) return stream;
    }
    return nullptr;
  }

  // Packets of the other streams are not even read.
  void keep_only(const AVStream& stream) {
    for (unsigned i = 0; i < format_->nb_streams; ++i) {
      if (format_->streams[i] != &stream) format_->streams[i]->discard = AVDISCARD_ALL;
    }
  }

 private:
  Container() = default;

  Status open_format(const Patience& patience) {
    auto* buffer = static_cast<std::uint8_t*>(av_malloc(kReadBytes));
    if (!buffer) return out_of_memory();
    io_.reset(avio_alloc_context(buffer, kReadBytes, 0, &file_, MemoryFile::read, nullptr,
                                 MemoryFile::seek));
    if (!io_) {
      av_free(buffer);
      return out_of_memory();
    }
    AVFormatContext* format = avformat_alloc_context();
    if (!format) return out_of_memory();
    format->pb = io_.get();
    format->io_open = refuse_to_open;
    format->interrupt_callback = {interrupt, const_cast<Patience*>(&patience)};
    format->format_whitelist = av_strdup(kFormats);
    format->protocol_whitelist = av_strdup("");
    const int status = avformat_open_input(&format, "", nullptr, nullptr);  // frees it if it fails
    if (status < 0) {
      TRY(patience.status());
      return invalid_argument("not a file that can be read: {}", why(status));
    }
    format_.reset(format);
    return {};
  }

  MemoryFile file_;
  IoPtr io_;
  FormatPtr format_;  // reads through io_
};

// "mp4", "webm" …
std::string_view format_name(const AVFormatContext& format, std::span<const std::byte> bytes) {
  const std::string_view name = format.iformat->name;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min<std::size_t>(bytes.size(), 64));
  if (name.starts_with("mov,")) return head.find("ftypqt") != head.npos ? "mov" : "mp4";
  if (name.starts_with("matroska")) return head.find("webm") != head.npos ? "webm" : "mkv";
  return name.substr(0, name.find(','));
}

const char* codec_name(const AVStream& stream) {
  return avcodec_get_name(stream.codecpar->codec_id);
}

struct DecoderLimits {
  std::uint64_t pixels = 0;
  int side = 0;
};

// Asked before a frame is allocated, so also where a stream changes its size half-way.
int get_limited_buffer(AVCodecContext* codec, AVFrame* frame, int flags) {
  const auto& limits = *static_cast<const DecoderLimits*>(codec->opaque);
  if (std::max(frame->width, frame->height) > limits.side) return AVERROR(EINVAL);
  return avcodec_default_get_buffer2(codec, frame, flags);
}

// Decodes one stream, packet by packet. `limits` outlives the result.
Result<CodecPtr> open_decoder(const AVStream& stream, const DecoderLimits& limits) {
  const AVCodec* decoder = avcodec_find_decoder(stream.codecpar->codec_id);
  if (!decoder) return unimplemented("no decoder for {}", codec_name(stream));
  CodecPtr codec(avcodec_alloc_context3(decoder));
  if (!codec) return out_of_memory();
  int status = avcodec_parameters_to_context(codec.get(), stream.codecpar);
  if (status >= 0) {
    codec->pkt_timebase = stream.time_base;
    if (codec->codec_type == AVMEDIA_TYPE_VIDEO) {
      codec->max_pixels = static_cast<std::int64_t>(limits.pixels);
      codec->opaque = const_cast<DecoderLimits*>(&limits);
      codec->get_buffer2 = get_limited_buffer;
      codec->thread_count =
          std::clamp<int>(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
    }
    status = avcodec_open2(codec.get(), decoder, nullptr);
  }
  if (status < 0)
    return invalid_argument("{} cannot be decoded: {}", codec_name(stream), why(status));
  return codec;
}

// Frames or blocks of samples in the order in which they are shown.
class Decoder {
 public:
  static Result<std::unique_ptr<Decoder>> open(std::span<const std::byte> bytes, AVMediaType type,
                                               const DecoderLimits& limits, Patience& patience) {
    std::unique_ptr<Decoder> decoder(new Decoder(limits, patience));
    decoder->container_ = TRY(Container::open(bytes, patience));
    TRY(decoder->container_->find_streams(limits.pixels, patience));
    decoder->stream_ = decoder->container_->find_stream(type);
    if (!decoder->stream_) {
      return not_found("no {} in the file", type == AVMEDIA_TYPE_AUDIO ? "sound" : "pictures");
    }
    decoder->container_->keep_only(*decoder->stream_);
    decoder->codec_ = TRY(open_decoder(*decoder->stream_, decoder->limits_));
    decoder->packet_.reset(av_packet_alloc());
    if (!decoder->packet_) return out_of_memory();
    return decoder;
  }

  const AVStream& stream() const { return *stream_; }
  std::string_view format_name(std::span<const std::byte> bytes) const {
    return fourfold::format_name(container_->format(), bytes);
  }

  // False at the end.
  Result<bool> next(AVFrame& frame) {
    for (;;) {
      const int status = avcodec_receive_frame(codec_.get(), &frame);
      if (status >= 0) {
        patience_.restart();
        return true;
      }
      if (status == AVERROR_EOF) return false;
      if (status != AVERROR(EAGAIN)) note_failure(status);
      TRY(patience_.status());
      TRY(send_packet());
    }
  }

  // What the decoder could not make sense of since this was asked last; empty if nothing.
  std::string take_failure() { return std::exchange(failure_, {}); }

  // To a key frame at or before this stamp. False: the file cannot, and the decoder is unusable.
  bool seek(std::int64_t stamp) {
    const int status =
        avformat_seek_file(&container_->format(), stream_->index,
                           std::numeric_limits<std::int64_t>::min(), stamp, stamp, 0);
    if (status < 0) return false;
    avcodec_flush_buffers(codec_.get());
    is_draining_ = false;
    // The first packet tells where the demuxer really is.
    if (!read_packet() || !is_read_) return false;
    has_packet_ = true;
    return (packet_->flags & AV_PKT_FLAG_KEY) != 0 && packet_->pts != AV_NOPTS_VALUE &&
           packet_->pts <= stamp;
  }

 private:
  Decoder(const DecoderLimits& limits, Patience& patience) : limits_(limits), patience_(patience) {}

  // Of our stream; is_read_ says whether there was one.
  Status read_packet() {
    for (;;) {
      TRY(patience_.status());
      av_packet_unref(packet_.get());
      const int status = av_read_frame(&container_->format(), packet_.get());
      is_read_ = status >= 0;
      if (status == AVERROR(EAGAIN)) continue;
      if (status < 0) {
        TRY(patience_.status());
        if (status != AVERROR_EOF) note_failure(status);
        return {};
      }
      // An empty packet would end the stream; it stands for the frame before, shown again.
      if (packet_->stream_index == stream_->index && packet_->size > 0) return {};
    }
  }

  Status send_packet() {
    if (!has_packet_) {
      TRY(read_packet());
      has_packet_ = is_read_;
    }
    if (!has_packet_) {
      if (!is_draining_) avcodec_send_packet(codec_.get(), nullptr);
      is_draining_ = true;
      return {};
    }
    const int status = avcodec_send_packet(codec_.get(), packet_.get());
    if (status == AVERROR(EAGAIN)) return {};  // takes it after the next frame
    if (status < 0) note_failure(status);
    has_packet_ = false;
    return {};
  }

  void note_failure(int status) { failure_ = why(status); }

  DecoderLimits limits_;
  Patience& patience_;
  std::unique_ptr<Container> container_;
  AVStream* stream_ = nullptr;  // of container_
  CodecPtr codec_;
  PacketPtr packet_;
  bool is_read_ = false;      // packet_ came from the file
  bool has_packet_ = false;   // and still has to be sent
  bool is_draining_ = false;  // the decoder knows that no more come
  std::string failure_;
};

std::int64_t stamp_of(std::int64_t pts, std::int64_t dts) {
  return pts != AV_NOPTS_VALUE ? pts : dts;
}

// Where the frames of a stream lie, found by reading its packets without decoding them.
struct FrameIndex {
  std::vector<std::int64_t> stamps;    // ascending: the order in which frames are shown
  std::vector<std::int64_t> keys;      // stamps of those that need no other frame, ascending
  bool is_timed = true;                // every packet says when it is shown
  double first_s = 0.0, last_s = 0.0;  // from the first frame to the end of the last one
};

class IndexBuilder {
 public:
  IndexBuilder(AVRational time_base, const VideoLimits& limits)
      : seconds_(av_q2d(time_base)), limits_(limits) {}

  Status add(const AVPacket& packet) {
    if (packet.flags & AV_PKT_FLAG_DISCARD) return {};  // cut off by the container
    const auto stamp = stamp_of(packet.pts, packet.dts);
    index_.is_timed &= packet.pts != AV_NOPTS_VALUE;
    const double at_s =
        stamp == AV_NOPTS_VALUE ? index_.last_s : static_cast<double>(stamp) * seconds_;
    const double until_s = at_s + static_cast<double>(packet.duration) * seconds_;
    index_.first_s = index_.stamps.empty() ? at_s : std::min(index_.first_s, at_s);
    index_.last_s = index_.stamps.empty() ? until_s : std::max(index_.last_s, until_s);
    index_.stamps.push_back(stamp);
    if (packet.flags & AV_PKT_FLAG_KEY) index_.keys.push_back(stamp);
    return check();
  }

  FrameIndex finish() && {
    std::sort(index_.stamps.begin(), index_.stamps.end());
    std::sort(index_.keys.begin(), index_.keys.end());
    return std::move(index_);
  }

 private:
  Status check() const {
    const auto n_frames = static_cast<std::int64_t>(index_.stamps.size());
    if (n_frames > limits_.frames) {
      return resource_exhausted("more than {} frames, the limit", limits_.frames);
    }
    const double duration_s = index_.last_s - index_.first_s;
    if (!(duration_s <= limits_.seconds)) {
      return resource_exhausted("{:.0f} s long, the limit is {:.0f} s", duration_s,
                                limits_.seconds);
    }
    return {};
  }

  double seconds_;  // of one tick
  const VideoLimits& limits_;
  FrameIndex index_;
};

Result<FrameIndex> read_index(Container& container, const AVStream& stream,
                              const VideoLimits& limits, Patience& patience) {
  container.keep_only(stream);
  PacketPtr packet(av_packet_alloc());
  if (!packet) return out_of_memory();
  IndexBuilder builder(stream.time_base, limits);
  for (;;) {
    av_packet_unref(packet.get());
    const int status = av_read_frame(&container.format(), packet.get());
    TRY(patience.status());
    if (status == AVERROR_EOF) break;
    if (status == AVERROR(EAGAIN)) continue;
    if (status < 0) return invalid_argument("damaged or cut off: {}", why(status));
    if (packet->stream_index != stream.index) continue;
    patience.restart();
    TRY(builder.add(*packet));
  }
  return std::move(builder).finish();
}

// How a coded frame is turned to be upright: sides swapped first (rows become columns), then
// mirrored left-right and top-bottom.
struct Orientation {
  bool swaps_sides = false, mirrors_x = false, mirrors_y = false;

  PictureSize upright(int width, int height) const {
    return swaps_sides ? PictureSize{height, width} : PictureSize{width, height};
  }
};

// The nearest turn by a multiple of 90 degrees, with or without a mirror.
Orientation orientation_of(const AVStream& stream) {
  std::size_t n_bytes = 0;
  const auto* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &n_bytes);
  if (!data || n_bytes < 9 * sizeof(std::int32_t)) return {};
  std::array<std::int32_t, 9> matrix;
  std::memcpy(matrix.data(), data, sizeof matrix);
  // x' = a·x + c·y, y' = b·x + d·y
  const std::int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) {
    return {.swaps_sides = false, .mirrors_x = a < 0, .mirrors_y = d < 0};
  }
  return {.swaps_sides = true, .mirrors_x = c < 0, .mirrors_y = b < 0};
}

// Copies a frame in RGB24 into an upright picture.
Picture upright_picture(const AVFrame& rgb, const Orientation& turn) {
  const auto [width, height] = turn.upright(rgb.width, rgb.height);
  Picture picture{.width = width, .height = height, .rgb = {}};
  picture.rgb.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  std::uint8_t* out = picture.rgb.data();
  for (int y = 0; y < height; ++y) {
    const int from_y = turn.mirrors_y ? height - 1 - y : y;
    const bool is_plain_row = !turn.swaps_sides && !turn.mirrors_x;
    if (is_plain_row) {
      std::memcpy(out, rgb.data[0] + std::ptrdiff_t{from_y} * rgb.linesize[0],
                  static_cast<std::size_t>(width) * 3);
      out += std::ptrdiff_t{width} * 3;
      continue;
    }
    for (int x = 0; x < width; ++x, out += 3) {
      const int from_x = turn.mirrors_x ? width - 1 - x : x;
      const int column = turn.swaps_sides ? from_y : from_x;
      const int row = turn.swaps_sides ? from_x : from_y;
      std::memcpy(
          out, rgb.data[0] + std::ptrdiff_t{row} * rgb.linesize[0] + std::ptrdiff_t{column} * 3, 3);
    }
  }
  return picture;
}

// Frames of any pixel format to RGB of the same size, by the library's default flags: what the
// goldens were made with.
class RgbConverter {
 public:
  Result<Picture> convert(const AVFrame& frame, const Orientation& turn) {
    TRY(prepare(frame));
    const int n_rows = sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height,
                                 rgb_->data, rgb_->linesize);
    if (n_rows != frame.height) return internal_error("a frame could not become RGB");
    return upright_picture(*rgb_, turn);
  }

 private:
  Status prepare(const AVFrame& frame) {
    const auto pixel_format = static_cast<AVPixelFormat>(frame.format);
    if (!sws_isSupportedInput(pixel_format)) {
      const char* name = av_get_pix_fmt_name(pixel_format);
      return unimplemented("pixel format {}", name ? name : "unknown");
    }
    scaler_.reset(sws_getCachedContext(scaler_.release(), frame.width, frame.height, pixel_format,
                                       frame.width, frame.height, AV_PIX_FMT_RGB24, SWS_BICUBIC,
                                       nullptr, nullptr, nullptr));
    if (!scaler_) return out_of_memory();
    set_colours(frame);
    if (rgb_ && rgb_->width == frame.width && rgb_->height == frame.height) return {};
    rgb_.reset(av_frame_alloc());
    if (!rgb_) return out_of_memory();
    rgb_->format = AV_PIX_FMT_RGB24;
    rgb_->width = frame.width;
    rgb_->height = frame.height;
    // Rows have room behind them: the scaler writes whole vectors.
    if (av_frame_get_buffer(rgb_.get(), 0) < 0) return out_of_memory();
    return {};
  }

  void set_colours(const AVFrame& frame) {
    int* in_table = nullptr;
    int* out_table = nullptr;
    int is_full_in = 0, is_full_out = 0, brightness = 0, contrast = 0, saturation = 0;
    if (sws_getColorspaceDetails(scaler_.get(), &in_table, &is_full_in, &out_table, &is_full_out,
                                 &brightness, &contrast, &saturation) < 0) {
      return;  // of formats that are RGB already
    }
    const int* coefficients = sws_getCoefficients(frame.colorspace);
    if (frame.color_range == AVCOL_RANGE_JPEG) is_full_in = 1;
    sws_setColorspaceDetails(scaler_.get(), coefficients, is_full_in, coefficients, is_full_out,
                             brightness, contrast, saturation);
  }

  ScalerPtr scaler_;
  FramePtr rgb_;
};

class LibavVideo final : public VideoReader {
 public:
  LibavVideo(std::span<const std::byte> bytes, const VideoLimits& limits)
      : bytes_(bytes),
        limits_(limits),
        decoder_limits_{.pixels = limits.pixels, .side = limits.side},
        patience_(limits) {}

  Status open() {
    const auto container = TRY(Container::open(bytes_, patience_));
    if (const auto* stream = container->find_stream(AVMEDIA_TYPE_VIDEO)) TRY(check_size(*stream));
    // Some headers leave the size to the stream. A little above the limit it can still be told.
    TRY(container->find_streams(limits_.pixels * 2, patience_));
    const AVStream* stream = container->find_stream(AVMEDIA_TYPE_VIDEO);
    info_.has_sound = container->find_stream(AVMEDIA_TYPE_AUDIO) != nullptr;
    if (!stream) {
      return failed_precondition("no pictures in the file{}",
                                 info_.has_sound ? ", only sound" : "");
    }
    info_.format = format_name(container->format(), bytes_);
    TRY(check_header(container->format(), *stream));
    turn_ = orientation_of(*stream);
    info_.size = turn_.upright(stream->codecpar->width, stream->codecpar->height);

    index_ = TRY(read_index(*container, *stream, limits_, patience_));
    if (index_.stamps.empty()) return failed_precondition("the file has no frames");
    info_.n_frames = static_cast<std::int64_t>(index_.stamps.size());
    info_.fps = average_fps(*stream);
    info_.duration_s = static_cast<double>(info_.n_frames) / info_.fps;
    return {};
  }

  const VideoInfo& info() const override { return info_; }

  Status frames(std::span<const std::int64_t> indices,
                const std::function<bool(std::int64_t, const Picture&)>& on_frame) override {
    TRY_IN("video", read_frames(indices, on_frame));
    return {};
  }

  Result<std::unique_ptr<SoundReader>> sound() override {
    const SoundLimits limits = {.file_bytes = limits_.file_bytes};
    auto source = TRY(open_libav_sound(bytes_, limits));
    return make_sound_reader(std::move(source), limits);
  }

 private:
  Status read_frames(std::span<const std::int64_t> indices,
                     const std::function<bool(std::int64_t, const Picture&)>& on_frame) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::int64_t index = indices[i];
      if (index < 0 || index >= info_.n_frames || (i > 0 && index < indices[i - 1])) {
        return internal_error("frame {} asked, expected ascending ones below {}", index,
                              info_.n_frames);
      }
      patience_.restart();
      TRY(show(index));
      const auto picture = TRY(converter_.convert(*shown_, turn_));
      if (!on_frame(index, picture)) return {};
    }
    return {};
  }

  Status check_header(const AVFormatContext& format, const AVStream& stream) const {
    const double duration_s = static_cast<double>(format.duration) / AV_TIME_BASE;
    if (format.duration != AV_NOPTS_VALUE && duration_s > limits_.seconds) {
      return resource_exhausted("{:.0f} s long, the limit is {:.0f} s", duration_s,
                                limits_.seconds);
    }
    if (stream.codecpar->width <= 0 || stream.codecpar->height <= 0) {
      return invalid_argument("the size of its pictures ({}) is unknown or far above {} pixels",
                              codec_name(stream), limits_.pixels);
    }
    return check_size(stream);
  }

  Status check_size(const AVStream& stream) const {
    const int width = stream.codecpar->width, height = stream.codecpar->height;
    if (std::max(width, height) > limits_.side) {
      return resource_exhausted("{}x{} pixels, the limit is {} on a side", width, height,
                                limits_.side);
    }
    const auto n_pixels = static_cast<std::int64_t>(width) * height;
    if (n_pixels > static_cast<std::int64_t>(limits_.pixels)) {
      return resource_exhausted("{}x{} are {} pixels, the limit is {}", width, height, n_pixels,
                                limits_.pixels);
    }
    return {};
  }

  // Frames over the span of the stream, as the reference's decoder measures it.
  double average_fps(const AVStream& stream) const {
    const double span_s = index_.last_s - index_.first_s;
    if (span_s > 0.0) return static_cast<double>(info_.n_frames) / span_s;
    for (const AVRational rate : {stream.avg_frame_rate, stream.r_frame_rate}) {
      if (rate.num > 0 && rate.den > 0) return av_q2d(rate);
    }
    return kUnknownFps;
  }

  // Makes shown_ the frame that is on the screen at the time of this one.
  Status show(std::int64_t index) {
    TRY(go_towards(index));
    while (!is_shown(index) && !is_at_end_) TRY(take_next());
    if (!shown_) {
      return failed_precondition("no frame could be decoded{}{}", failure_.empty() ? "" : ": ",
                                 failure_);
    }
    // It stands in for one that gave no frame; that is right only if the decoder had no trouble.
    if (position_ < index && !failure_.empty()) return damaged(index, failure_);
    if (shown_->decode_error_flags != 0 || (shown_->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      return damaged(index, "the decoder had to guess parts of it");
    }
    return {};
  }

  // Goes back to the beginning or forward to a key frame where that is needed or shorter.
  Status go_towards(std::int64_t index) {
    if (!decoder_ || index < position_) TRY(restart());
    if (!index_.is_timed || !can_seek_) return {};
    const std::int64_t stamp = index_.stamps[static_cast<std::size_t>(index)];
    const auto key = std::upper_bound(index_.keys.begin(), index_.keys.end(), stamp);
    if (key == index_.keys.begin()) return {};
    if (index_at(*std::prev(key)) - position_ < kLeastSeek) return {};
    forget_frames();
    if (decoder_->seek(stamp)) return {};
    TRY(patience_.status());
    can_seek_ = false;
    return restart();
  }

  Status restart() {
    forget_frames();
    position_ = -1;
    decoder_.reset();  // its memory first
    decoder_ = TRY(Decoder::open(bytes_, AVMEDIA_TYPE_VIDEO, decoder_limits_, patience_));
    return {};
  }

  void forget_frames() {
    shown_.reset();
    ahead_.reset();
    failure_.clear();
    is_at_end_ = false;
  }

  // Of the last frame that is shown at this stamp or before.
  std::int64_t index_at(std::int64_t stamp) const {
    const auto after = std::upper_bound(index_.stamps.begin(), index_.stamps.end(), stamp);
    return std::distance(index_.stamps.begin(), after) - 1;
  }

  // A packet may give no frame: what was shown before then stays on the screen.
  bool is_shown(std::int64_t index) const {
    return shown_ && (position_ >= index || (ahead_ && ahead_position_ > index));
  }

  Status take_next() {
    if (ahead_) {
      shown_ = std::move(ahead_);
      position_ = ahead_position_;
      return {};
    }
    FramePtr frame(av_frame_alloc());
    if (!frame) return out_of_memory();
    is_at_end_ = !TRY(decoder_->next(*frame));
    failure_ = decoder_->take_failure();
    if (is_at_end_) return {};
    if (!index_.is_timed) {  // frames come in order, and can only be counted
      ++position_;
      shown_ = std::move(frame);
      return {};
    }
    const std::int64_t stamp = stamp_of(frame->pts, frame->pkt_dts);
    ahead_position_ = stamp == AV_NOPTS_VALUE ? position_ + 1 : index_at(stamp);
    ahead_ = std::move(frame);
    return shown_ ? Status{} : take_next();
  }

  Error damaged(std::int64_t index, std::string_view reason) const {
    return invalid_argument("frame {} of {} is damaged: {}", index, info_.n_frames, reason);
  }

  std::span<const std::byte> bytes_;
  VideoLimits limits_;
  DecoderLimits decoder_limits_;
  Patience patience_;
  VideoInfo info_;
  Orientation turn_;
  FrameIndex index_;

  std::unique_ptr<Decoder> decoder_;
  bool can_seek_ = true;
  FramePtr shown_;  // the frame at position_
  FramePtr ahead_;  // the one after it, where it had to be decoded to know
  std::int64_t position_ = -1, ahead_position_ = -1;
  std::string failure_;  // what the decoder said between shown_ and what came after it
  bool is_at_end_ = false;
  RgbConverter converter_;
};

// The first sound track of a file, at its own rate.
class LibavSound final : public SampleSource {
 public:
  LibavSound(std::span<const std::byte> bytes, const SoundLimits& limits)
      : bytes_(bytes), limits_(limits) {}

  Status open() {
    auto decoder = Decoder::open(bytes_, AVMEDIA_TYPE_AUDIO, {}, patience_);
    if (!decoder.ok()) return std::move(decoder).error();
    decoder_ = std::move(decoder).value();
    info_.format = decoder_->format_name(bytes_);
    frame_.reset(av_frame_alloc());
    if (!frame_) return out_of_memory();
    // Headers of AAC name half the rate; the first frame knows.
    const bool has_samples = TRY(decoder_->next(*frame_));
    if (!has_samples) {
      const std::string failure = decoder_->take_failure();
      return invalid_argument("no samples ({}{}{})", codec_name(decoder_->stream()),
                              failure.empty() ? "" : ": ", failure);
    }
    decoder_->take_failure();
    info_.rate = frame_->sample_rate;
    info_.n_channels = frame_->ch_layout.nb_channels;
    TRY(check_sound_info(info_, limits_));
    return convert();
  }

  const SoundInfo& info() const override { return info_; }

  Result<std::size_t> read(std::span<float> out) override {
    patience_.restart();
    const auto n_channels = static_cast<std::size_t>(info_.n_channels);
    const std::size_t most = out.size() / n_channels * n_channels;
    std::size_t n = 0;
    while (n < most && TRY_IN(info_.format, has_samples())) {
      const std::size_t step = std::min(most - n, samples_.size() - n_taken_);
      std::copy_n(samples_.begin() + static_cast<std::ptrdiff_t>(n_taken_), step,
                  out.begin() + static_cast<std::ptrdiff_t>(n));
      n_taken_ += step;
      n += step;
    }
    return n / n_channels;
  }

 private:
  // In samples_, decoding more where that is needed.
  Result<bool> has_samples() {
    while (n_taken_ == samples_.size()) {
      const bool has_frame = TRY(decoder_->next(*frame_));
      const std::string failure = decoder_->take_failure();
      if (!failure.empty()) {
        return invalid_argument("damaged after {:.1f} s: {}",
                                static_cast<double>(n_decoded_) / info_.rate, failure);
      }
      if (!has_frame) return false;
      TRY(convert());
    }
    return true;
  }

  // frame_ becomes samples_.
  Status convert() {
    if (frame_->sample_rate != info_.rate || frame_->ch_layout.nb_channels != info_.n_channels) {
      return invalid_argument("{} Hz and {} channels become {} Hz and {} after {:.1f} s",
                              info_.rate, info_.n_channels, frame_->sample_rate,
                              frame_->ch_layout.nb_channels,
                              static_cast<double>(n_decoded_) / info_.rate);
    }
    TRY(prepare(static_cast<AVSampleFormat>(frame_->format)));
    samples_.resize(static_cast<std::size_t>(frame_->nb_samples) *
                    static_cast<std::size_t>(info_.n_channels));
    n_taken_ = 0;
    auto* out = reinterpret_cast<std::uint8_t*>(samples_.data());
    const int n =
        swr_convert(converter_.get(), &out, frame_->nb_samples,
                    const_cast<const std::uint8_t**>(frame_->extended_data), frame_->nb_samples);
    if (n != frame_->nb_samples) return internal_error("samples could not become float32");
    n_decoded_ += n;
    return {};
  }

  // Only the form of the numbers changes: the order and number of channels and the rate stay.
  Status prepare(AVSampleFormat sample_format) {
    if (converter_ && sample_format == sample_format_) return {};
    AVChannelLayout layout;
    av_channel_layout_default(&layout, info_.n_channels);
    SwrContext* converter = nullptr;
    int status = swr_alloc_set_opts2(&converter, &layout, AV_SAMPLE_FMT_FLT, info_.rate, &layout,
                                     sample_format, info_.rate, 0, nullptr);
    converter_.reset(converter);
    av_channel_layout_uninit(&layout);
    if (status >= 0) status = swr_init(converter_.get());
    if (status < 0) return unimplemented("its samples cannot be converted: {}", why(status));
    sample_format_ = sample_format;
    return {};
  }

  std::span<const std::byte> bytes_;
  SoundLimits limits_;
  Patience patience_{VideoLimits{}};
  SoundInfo info_;
  std::unique_ptr<Decoder> decoder_;
  FramePtr frame_;
  ConverterPtr converter_;
  AVSampleFormat sample_format_ = AV_SAMPLE_FMT_NONE;
  std::vector<float> samples_;  // interleaved; n_taken_ of them were read
  std::size_t n_taken_ = 0;
  std::int64_t n_decoded_ = 0;  // per channel
};

}  // namespace

std::string missing_video_library() { return {}; }

Result<std::unique_ptr<VideoReader>> VideoReader::open(std::span<const std::byte> file,
                                                       const VideoLimits& limits) {
  if (file.size() > limits.file_bytes) {
    return resource_exhausted("video: {} bytes, the limit is {}", file.size(), limits.file_bytes);
  }
  auto video = std::make_unique<LibavVideo>(file, limits);
  TRY_IN("video", video->open());
  return std::unique_ptr<VideoReader>(std::move(video));
}

Result<std::unique_ptr<SampleSource>> open_libav_sound(std::span<const std::byte> file,
                                                       const SoundLimits& limits) {
  const auto format = find_sound_format(file);
  auto sound = std::make_unique<LibavSound>(file, limits);
  TRY_IN(format.empty() ? "sound" : format, sound->open());
  return std::unique_ptr<SampleSource>(std::move(sound));
}

}  // namespace fourfold
