#include "media/made_film.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <cmath>
#include <memory>

#include "base/check.h"

namespace fourfold {
namespace {

// What goes wrong here is the test's fault.
void must(int status) { CHECK(status >= 0); }

class Encoder {
 public:
  Encoder(AVFormatContext* file, const AVCodec* codec) : file_(file) {
    context_ = avcodec_alloc_context3(codec);
    frame_ = av_frame_alloc();
    packet_ = av_packet_alloc();
    CHECK(context_ && frame_ && packet_);
    if (file_->oformat->flags & AVFMT_GLOBALHEADER) context_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    context_->flags |= AV_CODEC_FLAG_BITEXACT;
    context_->thread_count = 1;
  }
  ~Encoder() {
    av_packet_free(&packet_);
    av_frame_free(&frame_);
    avcodec_free_context(&context_);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  AVCodecContext& context() { return *context_; }
  AVFrame& frame() { return *frame_; }

  void open() {
    must(avcodec_open2(context_, context_->codec, nullptr));
    stream_ = avformat_new_stream(file_, nullptr);
    CHECK(stream_);
    stream_->time_base = context_->time_base;
    must(avcodec_parameters_from_context(stream_->codecpar, context_));
  }

  // The frame, or the end.
  void send(const AVFrame* frame) {
    must(avcodec_send_frame(context_, frame));
    while (avcodec_receive_packet(context_, packet_) >= 0) {
      packet_->stream_index = stream_->index;
      if (packet_->duration == 0 && context_->codec_type == AVMEDIA_TYPE_VIDEO) {
        packet_->duration = 1;
      }
      av_packet_rescale_ts(packet_, context_->time_base, stream_->time_base);
      must(av_interleaved_write_frame(file_, packet_));
    }
  }

 private:
  AVFormatContext* file_;
  AVCodecContext* context_ = nullptr;
  AVStream* stream_ = nullptr;
  AVFrame* frame_ = nullptr;
  AVPacket* packet_ = nullptr;
};

void open_pictures(Encoder& encoder, const FilmRecipe& recipe) {
  AVCodecContext& context = encoder.context();
  context.width = recipe.width;
  context.height = recipe.height;
  context.time_base = {1, recipe.fps};
  context.framerate = {recipe.fps, 1};
  context.pix_fmt = context.codec->pix_fmts ? context.codec->pix_fmts[0] : AV_PIX_FMT_YUV420P;
  context.gop_size = recipe.key_every;
  context.max_b_frames = recipe.n_b_frames;
  context.bit_rate = 400'000;
  if (recipe.encoder == "libx264") {
    must(av_opt_set(context.priv_data, "preset", "ultrafast", 0));
  }
  encoder.open();
}

// Of a grey of its own.
Picture plain_frame(const FilmRecipe& recipe, std::int64_t index) {
  Picture picture{.width = recipe.width, .height = recipe.height, .rgb = {}};
  picture.rgb.assign(static_cast<std::size_t>(recipe.width * recipe.height * 3),
                     static_cast<std::uint8_t>(40 + index * 7 % 180));
  return picture;
}

void write_pictures(Encoder& encoder, const FilmRecipe& recipe,
                    const std::function<Picture(std::int64_t)>& draw) {
  AVFrame& frame = encoder.frame();
  frame.format = encoder.context().pix_fmt;
  frame.width = recipe.width;
  frame.height = recipe.height;
  must(av_frame_get_buffer(&frame, 0));
  SwsContext* scaler =
      sws_getContext(recipe.width, recipe.height, AV_PIX_FMT_RGB24, recipe.width, recipe.height,
                     encoder.context().pix_fmt, SWS_BICUBIC, nullptr, nullptr, nullptr);
  CHECK(scaler);
  for (std::int64_t i = 0; i < recipe.n_frames; ++i) {
    const Picture picture = draw ? draw(i) : plain_frame(recipe, i);
    CHECK(picture.width == recipe.width && picture.height == recipe.height);
    must(av_frame_make_writable(&frame));
    const std::uint8_t* const rows[] = {picture.rgb.data()};
    const int strides[] = {picture.width * 3};
    must(sws_scale(scaler, rows, strides, 0, picture.height, frame.data, frame.linesize));
    frame.pts = i;
    encoder.send(&frame);
  }
  encoder.send(nullptr);
  sws_freeContext(scaler);
}

void open_sound(Encoder& encoder, const FilmRecipe& recipe) {
  AVCodecContext& context = encoder.context();
  context.sample_rate = recipe.sound_rate;
  context.time_base = {1, recipe.sound_rate};
  context.sample_fmt = AV_SAMPLE_FMT_FLTP;
  context.bit_rate = 64'000;
  av_channel_layout_default(&context.ch_layout, recipe.n_channels);
  encoder.open();
}

void write_sound(Encoder& encoder, const FilmRecipe& recipe) {
  constexpr double kPi = 3.14159265358979323846;
  AVFrame& frame = encoder.frame();
  frame.format = AV_SAMPLE_FMT_FLTP;
  frame.sample_rate = recipe.sound_rate;
  must(av_channel_layout_copy(&frame.ch_layout, &encoder.context().ch_layout));
  frame.nb_samples = encoder.context().frame_size;
  must(av_frame_get_buffer(&frame, 0));
  const auto n_samples = static_cast<std::int64_t>(recipe.sound_s * recipe.sound_rate);
  for (std::int64_t first = 0; first < n_samples; first += frame.nb_samples) {
    must(av_frame_make_writable(&frame));
    for (int i = 0; i < frame.nb_samples; ++i) {
      const double at_s = static_cast<double>(first + i) / recipe.sound_rate;
      for (int c = 0; c < recipe.n_channels; ++c) {
        reinterpret_cast<float*>(frame.extended_data[c])[i] =
            static_cast<float>(0.5 * std::sin(2 * kPi * recipe.sound_hz * at_s));
      }
    }
    frame.pts = first;
    encoder.send(&frame);
  }
  encoder.send(nullptr);
}

}  // namespace

std::optional<std::vector<std::byte>> make_film(const FilmRecipe& recipe,
                                                const std::function<Picture(std::int64_t)>& draw) {
  av_log_set_level(AV_LOG_QUIET);
  const AVCodec* pictures = nullptr;
  const AVCodec* sound = nullptr;
  if (!recipe.encoder.empty()) {
    pictures = avcodec_find_encoder_by_name(recipe.encoder.c_str());
    if (!pictures) return std::nullopt;
  }
  if (!recipe.sound_encoder.empty()) {
    sound = avcodec_find_encoder_by_name(recipe.sound_encoder.c_str());
    if (!sound) return std::nullopt;
  }

  AVFormatContext* file = nullptr;
  must(avformat_alloc_output_context2(&file, nullptr, recipe.container.c_str(), nullptr));
  file->flags |= AVFMT_FLAG_BITEXACT;
  must(avio_open_dyn_buf(&file->pb));
  {
    std::unique_ptr<Encoder> film, track;
    if (pictures) open_pictures(*(film = std::make_unique<Encoder>(file, pictures)), recipe);
    if (sound) open_sound(*(track = std::make_unique<Encoder>(file, sound)), recipe);
    must(avformat_write_header(file, nullptr));
    // One after the other: the muxer puts them in order.
    file->max_interleave_delta = 0;
    if (track) write_sound(*track, recipe);
    if (film) write_pictures(*film, recipe, draw);
    must(av_write_trailer(file));
  }
  // Closing writes where the muxer wrote last, which may be a number in the header.
  avio_flush(file->pb);
  must(static_cast<int>(avio_seek(file->pb, avio_size(file->pb), SEEK_SET)));
  std::uint8_t* data = nullptr;
  const int n_bytes = avio_close_dyn_buf(file->pb, &data);
  avformat_free_context(file);
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + n_bytes);
  av_free(data);
  return bytes;
}

}  // namespace fourfold
