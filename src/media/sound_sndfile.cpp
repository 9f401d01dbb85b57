// FLAC, MP3, Ogg Vorbis, Opus and AIFF by libsndfile, which reads our bytes through its virtual
// file and decodes as samples are asked for.
#include <sndfile.h>

#include <algorithm>
#include <cstring>

#include "media/sound_readers.h"

namespace fourfold {
namespace {

// The file as libsndfile sees it.
struct ByteFile {
  std::span<const std::byte> bytes;
  sf_count_t at = 0;

  sf_count_t size() const { return static_cast<sf_count_t>(bytes.size()); }
};

sf_count_t file_size(void* user) { return static_cast<ByteFile*>(user)->size(); }
sf_count_t file_tell(void* user) { return static_cast<ByteFile*>(user)->at; }

sf_count_t file_seek(sf_count_t offset, int whence, void* user) {
  auto& file = *static_cast<ByteFile*>(user);
  sf_count_t base = 0;
  if (whence == SEEK_CUR) base = file.at;
  if (whence == SEEK_END) base = file.size();
  sf_count_t target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0) return -1;
  return file.at = std::min(target, file.size());
}

sf_count_t file_read(void* out, sf_count_t count, void* user) {
  auto& file = *static_cast<ByteFile*>(user);
  const sf_count_t n = std::clamp<sf_count_t>(file.size() - file.at, 0, count);
  if (n > 0) std::memcpy(out, file.bytes.data() + file.at, static_cast<std::size_t>(n));
  file.at += n;
  return n;
}

struct SndfileClose {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

std::string_view format_name(int format) {
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_OPUS: return "opus";
    case SF_FORMAT_MPEG_LAYER_I:
    case SF_FORMAT_MPEG_LAYER_II:
    case SF_FORMAT_MPEG_LAYER_III: return "mp3";
  }
  switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_FLAC: return "flac";
    case SF_FORMAT_AIFF: return "aiff";
    case SF_FORMAT_OGG: return "ogg";
  }
  return "sound";
}

// "Error : unknown format.\n" → "unknown format".
std::string library_message(SNDFILE* file) {
  std::string_view text = sf_strerror(file);
  if (text.starts_with("Error : ")) text.remove_prefix(8);
  while (text.ends_with('.') || text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
  return std::string(text);
}

class SndfileSource final : public SampleSource {
 public:
  explicit SndfileSource(std::span<const std::byte> bytes) : bytes_{bytes} {}

  Status open(const SoundLimits& limits) {
    SF_VIRTUAL_IO io = {.get_filelen = file_size,
                        .seek = file_seek,
                        .read = file_read,
                        .write = nullptr,
                        .tell = file_tell};
    SF_INFO found = {};
    file_.reset(sf_open_virtual(&io, SFM_READ, &found, &bytes_));
    const auto sniffed = find_sound_format(bytes_.bytes);
    if (!file_) return invalid_argument("{}: {}", sniffed, library_message(nullptr));
    info_ = {.format = format_name(found.format),
             .rate = found.samplerate,
             .n_channels = found.channels,
             // A count that cannot be is one that the header does not know.
             .n_samples = found.frames > 0 && found.frames < SF_COUNT_MAX ? found.frames : -1};
    return check_sound_info(info_, limits);
  }

  const SoundInfo& info() const override { return info_; }

  Result<std::size_t> read(std::span<float> out) override {
    const auto n_channels = static_cast<std::size_t>(info_.n_channels);
    const auto wanted = static_cast<sf_count_t>(out.size() / n_channels);
    const sf_count_t n = sf_readf_float(file_.get(), out.data(), wanted);
    if (sf_error(file_.get()) != SF_ERR_NO_ERROR) {
      const double seconds = static_cast<double>(n_read_) / info_.rate;
      return invalid_argument("{}: damaged after {:.1f} s: {}", info_.format, seconds,
                              library_message(file_.get()));
    }
    // FLAC says its length at the beginning; the others are as long as what was found of them.
    if (n <= 0 && info_.format == "flac" && n_read_ < info_.n_samples) {
      return invalid_argument("flac: the file ends after {} samples, its header says {}", n_read_,
                              info_.n_samples);
    }
    n_read_ += n;
    return static_cast<std::size_t>(std::max<sf_count_t>(n, 0));
  }

 private:
  ByteFile bytes_;
  std::unique_ptr<SNDFILE, SndfileClose> file_;
  SoundInfo info_;
  std::int64_t n_read_ = 0;  // per channel
};

}  // namespace

Result<std::unique_ptr<SampleSource>> open_sndfile(std::span<const std::byte> file,
                                                   const SoundLimits& limits) {
  auto source = std::make_unique<SndfileSource>(file);
  TRY(source->open(limits));
  return std::unique_ptr<SampleSource>(std::move(source));
}

}  // namespace fourfold
