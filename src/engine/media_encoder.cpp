#include "engine/media_encoder.h"

#include <algorithm>
#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "base/checksum.h"
#include "base/thread_pool.h"
#include "engine/encoder_work.h"
#include "engine/media_look.h"
#include "engine/memory_gate.h"
#include "engine/soft_rows_cache.h"
#include "formats/media_config.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "media/patches.h"
#include "media/resize.h"
#include "model/audio/audio_model.h"
#include "model/vision/vision_model.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostLooks = 64;
// Of a tensor of the text body, which may lie in the same file.
constexpr std::size_t kFingerprintBytes = 4096;

using GoOn = std::function<bool()>;

Error cancelled() { return {Code::Cancelled, "stopped"}; }

bool may_go_on(const GoOn& go_on) { return !go_on || go_on(); }

// Of a part of a request: what a client is told names it.
Error error_at(Error error, const std::string& where) {
  ErrorDetail detail = error.detail ? *error.detail : ErrorDetail();
  detail.field = where;
  if (detail.reason.empty() && error.code == Code::Unimplemented) {
    detail.reason = "unsupported_media";
  }
  return std::move(error).in(where).with(std::move(detail));
}

// The towers of a model, and what their file says of them.
struct Towers {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::optional<VisionConfig> vision;
  std::optional<AudioConfig> audio;
};

std::string why(std::string_view what, const Error& error) {
  return fmt::format("{} ({})", what, error.message);
}

// Whether a tower can be used: all its weights are there and fit the text body. They are bound and
// let go of again: most runs need none.
template <class Model, class Config>
void try_tower(const Towers& towers, std::optional<Config>& config, int text_width,
               std::string_view what, Ops& ops, bool& can, std::string& why_not) {
  const std::string& path = towers.checkpoint->path();
  if (!config) {
    why_not = fmt::format("{} has no {} encoder", path, what);
  } else if (config->text_width != text_width) {
    why_not = fmt::format("the {} encoder of {} gives rows of {}, the model wants {}", what, path,
                          config->text_width, text_width);
  } else if (const auto bound = Model::load(towers.checkpoint, *config, ops); !bound.ok()) {
    why_not = why(fmt::format("the {} encoder is not usable", what), bound.error());
  } else {
    can = true;
  }
  if (!can) config.reset();
}

// By the names of every form of file (vision-video.md 9, audio.md 8).
bool is_of_tower(std::string_view tensor) {
  if (tensor.starts_with("model.")) tensor.remove_prefix(6);
  for (const std::string_view prefix :
       {"v.", "a.", "mm.", "vision_", "audio_", "embed_vision", "embed_audio"}) {
    if (tensor.starts_with(prefix)) return true;
  }
  return false;
}

// What is encoded depends on every weight of the towers. They are read anyway to encode.
MediaKey fingerprint(const Towers& towers, const MediaEncoderOptions& options,
                     std::string_view isa) {
  MediaKeyWriter key;
  key.add(FOURFOLD_VERSION).add(isa).add(options.exact ? 1 : 0);
  for (const auto& tensor : towers.checkpoint->tensors()) {
    const auto bytes = tensor.bytes();
    key.add(tensor.name).add(static_cast<std::int64_t>(tensor.dtype));
    for (const std::int64_t side : tensor.shape) key.add(side);
    const bool is_whole = is_of_tower(tensor.name);
    const auto n = is_whole ? bytes.size() : std::min(bytes.size(), kFingerprintBytes);
    key.add(static_cast<std::int64_t>(checksum64(bytes.first(n))));
  }
  return key.finish();
}

// What was found out about a medium, to be found again when it comes once more: every turn of a
// conversation brings all of its media.
class Looks {
 public:
  const MediaLook* find(const MediaKey& key) {
    const auto found = std::ranges::find(recent_, key, &std::pair<MediaKey, MediaLook>::first);
    if (found == recent_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, found);
    return &found->second;
  }
  void add(const MediaKey& key, MediaLook look) {
    look.source.bytes = {};
    look.source.picture = nullptr;
    // Their values are the rows' cache's business.
    for (auto& block : look.source.blocks) block.rows = without_values(*block.rows);
    for (auto& piece : look.pieces) piece.rows = nullptr;
    if (!find(key)) recent_.emplace_front(key, std::move(look));
    if (recent_.size() > kMostLooks) recent_.pop_back();
  }

 private:
  std::list<std::pair<MediaKey, MediaLook>> recent_;
};

// One of its own for each sound that goes on, with what all encoders share.
class EncodedLive final : public LiveSound {
 public:
  EncodedLive(std::mutex& turns, std::shared_ptr<const AudioModel> model, Ops& ops)
      : turns_(turns), config_(model->config()), encoder_(std::move(model), ops) {}

  int width() const override { return static_cast<int>(config_.text_width); }
  bool has_no_limit() const override { return config_.unified; }
  Status push(std::span<const float> samples, std::vector<float>& rows) override {
    const std::lock_guard turn(turns_);
    TRY(encoder_.push(samples, rows));
    return {};
  }
  Status finish(std::vector<float>& rows) override {
    const std::lock_guard turn(turns_);
    TRY(encoder_.finish(rows));
    return {};
  }
  void reset() override { encoder_.reset(); }

 private:
  std::mutex& turns_;
  const AudioConfig config_;
  AudioEncoder encoder_;
};

// The samples of a sound by their place, which only moves on.
class SampleFeed {
 public:
  explicit SampleFeed(SoundReader& reader) : reader_(reader), samples_(kFeedSamples) {}

  // Some from `first` on, none from `last` on; valid until the next call. Empty at the end.
  Result<std::span<const float>> next(std::int64_t first, std::int64_t last) {
    while (first >= at_ + n_) {
      at_ += n_;
      n_ = 0;
      TRY(fill());
      if (n_ == 0) return std::span<const float>();
    }
    const std::int64_t begin = std::max<std::int64_t>(first - at_, 0);
    const std::int64_t end = std::clamp<std::int64_t>(last - at_, begin, n_);
    return std::span<const float>(samples_).subspan(static_cast<std::size_t>(begin),
                                                    static_cast<std::size_t>(end - begin));
  }

 private:
  // Two seconds: encoding them reads the weights once, and a cancelled request soon ends.
  static constexpr std::size_t kFeedSamples = 32'000;

  Status fill() {
    for (std::size_t n = 0; n < samples_.size();) {
      const std::size_t n_read = TRY(reader_.read(std::span(samples_).subspan(n)));
      if (n_read == 0) break;
      n += n_read;
      n_ = static_cast<std::int64_t>(n);
    }
    return {};
  }

  SoundReader& reader_;
  std::vector<float> samples_;
  std::int64_t at_ = 0, n_ = 0;  // place of the first one, number
};

class TowerEncoder final : public MediaEncoder {
 public:
  TowerEncoder(Towers towers, MediaCapabilities capabilities, MediaEncoderOptions options,
               std::vector<std::string> notes, const Kernels& kernels, std::uint64_t weight_bytes)
      : towers_(std::move(towers)),
        capabilities_(std::move(capabilities)),
        options_(std::move(options)),
        notes_(std::move(notes)),
        kernels_(kernels),
        weight_bytes_(weight_bytes),
        gate_(options_.memory_bytes),
        pace_(options_.n_threads, options_.exact),
        cache_(options_.cache_bytes) {}

  const MediaCapabilities& capabilities() const override { return capabilities_; }
  const std::vector<std::string>& notes() const override { return notes_; }
  std::uint64_t weight_bytes() const override { return weight_bytes_; }

  Result<MediaLook> look_at(const Part& part, const LookOptions& options) override {
    auto look = look_at_bytes(part, options);
    if (!look.ok()) return error_at(std::move(look).error(), part.where);
    look->source.where = look->seen.where = part.where;
    look->source.bytes = part.bytes;
    look->source.settings = part.settings;
    return look;
  }

  Status encode(std::span<const MediaSource> sources, std::span<const SoftSpan> soft,
                const GoOn& go_on) override {
    for (const MediaSource& source : sources) {
      const auto blocks = missing_blocks(source, soft);
      if (blocks.empty()) continue;
      auto status = encode_blocks(source, blocks, go_on);
      if (status.ok()) continue;
      if (status.error().code == Code::Cancelled) return status;
      return error_at(std::move(status).error(), source.where);
    }
    return {};
  }

  double seconds_to_encode(std::span<const MediaSource::Block> blocks) const override {
    const std::lock_guard lock(mutex_);
    double flops = 0.0;
    for (const auto& block : blocks) {
      if (!cache_.holds(block.rows->key) && block.rows->values.empty()) flops += flops_of(block);
    }
    return pace_.seconds_for(flops);
  }

  Result<std::unique_ptr<LiveSound>> open_live_sound() override {
    if (!towers_.audio) {
      return unimplemented("this model takes no audio: {}", capabilities_.no_audio)
          .with({.reason = "unsupported_media"});
    }
    const std::lock_guard turn(encoder_mutex_);
    auto model = TRY(audio_model());
    return std::unique_ptr<LiveSound>(
        std::make_unique<EncodedLive>(encoder_mutex_, std::move(model), ops()));
  }

  Stats stats() const override {
    const std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.cache_bytes = cache_.size_bytes();
    return stats;
  }

 private:
  using Blocks = std::vector<const MediaSource::Block*>;

  // --- looking ---

  Result<MediaLook> look_at_bytes(const Part& part, const LookOptions& options) {
    if (part.bytes.empty()) return invalid_argument("empty (expected a file)");
    const MediaLooker& looker = this->looker();
    const MediaKey content = content_of(part.bytes);
    const MediaKey key = look_key(part, content, options);
    if (auto known = find_look(key)) return *std::move(known);
    auto look = [&] {
      switch (part.kind) {
        case Part::Kind::Audio: return looker.sound(part, content, options);
        case Part::Kind::Video: return looker.film(part, content, options);
        default: return looker.picture(part, content, options);
      }
    }();
    if (!look.ok()) return look;
    const std::lock_guard lock(mutex_);
    looks_.add(key, *look);
    return look;
  }

  static MediaKey look_key(const Part& part, const MediaKey& content, const LookOptions& options) {
    const MediaSettings& s = part.settings;
    MediaKeyWriter key;
    key.add(std::as_bytes(std::span(content))).add(static_cast<std::int64_t>(part.kind));
    key.add(fmt::format("{} {} {} {} {} {} {} {}", s.budget.value_or(0), s.fps.value_or(-1.0),
                        s.n_frames.value_or(-1), s.from_s.value_or(-1.0), s.to_s.value_or(-1.0),
                        s.video_tokens.value_or(-1), s.sound ? 1 + int{*s.sound} : 0,
                        options.context));
    return key.finish();
  }

  // With the rows that the cache has.
  std::optional<MediaLook> find_look(const MediaKey& key) {
    const std::lock_guard lock(mutex_);
    const MediaLook* known = looks_.find(key);
    if (!known) return std::nullopt;
    MediaLook look = *known;
    std::size_t next = 0;
    for (auto& piece : look.pieces) {
      if (piece.kind == MediaPiece::Kind::Text) continue;
      auto& block = look.source.blocks[next++];
      auto rows = cache_.find(block.rows->key);
      block.rows = rows ? std::move(rows) : without_values(*block.rows);
      piece.rows = block.rows;
    }
    return look;
  }

  // SHA-256 of a file takes seconds where the file is a film: once, while its bytes live.
  MediaKey content_of(const SharedBytes& bytes) {
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(contents_, [](const auto& entry) { return entry.second.owner.expired(); });
      const auto known = contents_.find(bytes.owner().get());
      if (known != contents_.end()) return known->second.content;
    }
    Sha256 hash;
    hash.update(bytes.bytes());
    const MediaKey content = hash.finish();
    const std::lock_guard lock(mutex_);
    contents_[bytes.owner().get()] = {bytes.owner(), content};
    return content;
  }

  // The encoder's fingerprint is read when the first medium comes.
  const MediaLooker& looker() {
    const std::lock_guard lock(mutex_);
    if (looker_) return *looker_;
    LookRules rules{.hears = capabilities_.audio,
                    .is_unified_audio = towers_.audio && towers_.audio->unified,
                    .text_width = options_.text_width,
                    .encoder = fingerprint(towers_, options_, kernels_.name),
                    .picture = options_.picture,
                    .sound = options_.sound,
                    .video = options_.video};
    looker_.emplace(std::move(rules), gate_);
    return *looker_;
  }

  // --- encoding ---

  // Those of the prompt whose rows have no values yet, the cache's help included.
  Blocks missing_blocks(const MediaSource& source, std::span<const SoftSpan> soft) {
    Blocks blocks;
    const std::lock_guard lock(mutex_);
    for (const auto& block : source.blocks) {
      const bool is_wanted = std::ranges::any_of(
          soft, [&](const SoftSpan& span) { return span.rows.get() == block.rows.get(); });
      if (!is_wanted) continue;
      if (const auto known = cache_.find(block.rows->key)) {
        ++stats_.n_from_cache;
        if (known != block.rows) block.rows->values = known->values;
      } else if (block.rows->values.empty()) {
        blocks.push_back(&block);
      }
    }
    return blocks;
  }

  Status encode_blocks(const MediaSource& source, const Blocks& blocks, const GoOn& go_on) {
    if (blocks.front()->kind == MediaPiece::Kind::Image) {
      return encode_picture(source, *blocks.front(), go_on);
    }
    Blocks frames, sounds;
    for (const auto* block : blocks) {
      (block->kind == MediaPiece::Kind::Video ? frames : sounds).push_back(block);
    }
    if (!frames.empty()) TRY(encode_frames(source, frames, go_on));
    if (!sounds.empty()) TRY(encode_sounds(source, sounds, go_on));
    return {};
  }

  Status encode_picture(const MediaSource& source, const MediaSource::Block& block,
                        const GoOn& go_on) {
    auto picture = source.picture;
    if (!picture) {
      picture = TRY(looker().read_picture(source.bytes.bytes(), source.target, go_on, nullptr));
    }
    return encode_pixels(*picture, PixelScale::Picture, block, go_on);
  }

  Status encode_frames(const MediaSource& source, const Blocks& blocks, const GoOn& go_on) {
    VideoLimits limits = options_.video;
    limits.go_on = go_on;
    const auto video = TRY(VideoReader::open(source.bytes.bytes(), limits));
    const auto pass = TRY(looker().enter(video->info(), go_on));
    std::vector<std::int64_t> indices;
    for (const auto* block : blocks) indices.push_back(block->frame);
    std::size_t n_done = 0;
    Status status;
    const auto on_frame = [&](std::int64_t index, const Picture& frame) {
      while (n_done < blocks.size() && blocks[n_done]->frame < index) ++n_done;
      if (n_done == blocks.size() || blocks[n_done]->frame != index) return true;
      status =
          encode_pixels(resize(frame, source.target), PixelScale::Frame, *blocks[n_done++], go_on);
      return status.ok();
    };
    TRY(video->frames(indices, on_frame));
    TRY(std::move(status));
    for (const auto* block : blocks) {
      if (block->rows->values.empty()) return data_loss("frame {} cannot be read", block->frame);
    }
    return {};
  }

  Status encode_pixels(const Picture& picture, PixelScale scale, const MediaSource::Block& block,
                       const GoOn& go_on) {
    const std::lock_guard turn(encoder_mutex_);
    if (!may_go_on(go_on)) return cancelled();
    if (!vision_) {
      auto model = TRY(VisionModel::load(towers_.checkpoint, *towers_.vision, ops()));
      vision_.emplace(model, ops());
      patch_side_ = model->patch_side();
    }
    const auto begin = std::chrono::steady_clock::now();
    const Patches patches = make_patches(picture, patch_side_, scale);
    auto values = TRY(vision_->encode(patches, nullptr, go_on));
    const bool is_frame = scale == PixelScale::Frame;
    return keep(block, std::move(values), begin,
                is_frame ? &Stats::video_seconds : &Stats::image_seconds);
  }

  // Blocks are in the order of their samples, apart.
  Status encode_sounds(const MediaSource& source, const Blocks& blocks, const GoOn& go_on) {
    std::unique_ptr<VideoReader> video;
    std::unique_ptr<SoundReader> reader;
    if (source.kind == Part::Kind::Video) {
      video = TRY(VideoReader::open(source.bytes.bytes(), options_.video));
      reader = TRY(video->sound());
    } else {
      reader = TRY(SoundReader::open(source.bytes.bytes(), options_.sound));
    }
    SampleFeed feed(*reader);
    for (const auto* block : blocks) TRY(encode_sound(feed, *block, go_on));
    return {};
  }

  // Samples go to the encoder as they are read: a block of the unified form may last for hours.
  Status encode_sound(SampleFeed& feed, const MediaSource::Block& block, const GoOn& go_on) {
    const std::lock_guard turn(encoder_mutex_);
    if (!audio_) {
      auto model = TRY(AudioModel::load(towers_.checkpoint, *towers_.audio, ops()));
      audio_.emplace(std::move(model), ops());
    }
    const auto begin = std::chrono::steady_clock::now();
    std::vector<float> values;
    auto pushed = push_sound(feed, block, go_on, values);
    if (!pushed.ok()) {
      audio_->reset();
      return pushed;
    }
    TRY(audio_->finish(values));
    return keep(block, std::move(values), begin, &Stats::audio_seconds);
  }

  Status push_sound(SampleFeed& feed, const MediaSource::Block& block, const GoOn& go_on,
                    std::vector<float>& values) {
    for (std::int64_t at = block.first_sample; at < block.last_sample;) {
      if (!may_go_on(go_on)) return cancelled();
      const auto piece = TRY(feed.next(at, block.last_sample));
      if (piece.empty()) return data_loss("the sound ends before {} samples", block.last_sample);
      TRY(audio_->push(piece, values));
      at += static_cast<std::int64_t>(piece.size());
    }
    return {};
  }

  Status keep(const MediaSource::Block& block, std::vector<float> values,
              std::chrono::steady_clock::time_point begin, double Stats::*seconds) {
    const auto expected =
        static_cast<std::size_t>(block.rows->n_rows) * static_cast<std::size_t>(block.rows->width);
    if (values.size() != expected) {
      return internal_error("the encoder gave {} values, {} were counted", values.size(), expected);
    }
    const std::lock_guard lock(mutex_);
    block.rows->values = std::move(values);
    cache_.add(block.rows);
    ++stats_.n_encoded;
    const double took =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    stats_.*seconds += took;
    pace_.add(flops_of(block), took);
    return {};
  }

  double flops_of(const MediaSource::Block& block) const {
    const auto n_rows = block.rows->n_rows;
    if (block.kind == MediaPiece::Kind::Audio) {
      return towers_.audio ? sound_flops(*towers_.audio, n_rows) : 0.0;
    }
    return towers_.vision ? picture_flops(*towers_.vision, n_rows) : 0.0;
  }

  // With the encoder's mutex held.
  Result<std::shared_ptr<const AudioModel>> audio_model() {
    if (!audio_model_) {
      audio_model_ = TRY(AudioModel::load(towers_.checkpoint, *towers_.audio, ops()));
    }
    return audio_model_;
  }
  Ops& ops() {
    if (!pool_) pool_ = std::make_unique<ThreadPool>(options_.n_threads, options_.n_threads);
    if (!ops_) ops_ = std::make_unique<Ops>(kernels_, *pool_, options_.exact);
    return *ops_;
  }

  const Towers towers_;
  const MediaCapabilities capabilities_;
  const MediaEncoderOptions options_;
  const std::vector<std::string> notes_;
  const Kernels& kernels_;
  const std::uint64_t weight_bytes_;
  MemoryGate gate_;

  // One block at a time.
  std::mutex encoder_mutex_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Ops> ops_;
  std::optional<VisionEncoder> vision_;
  std::shared_ptr<const AudioModel> audio_model_;
  std::optional<AudioEncoder> audio_;
  int patch_side_ = 16;

  // What is known; never held while something is decoded or encoded.
  mutable std::mutex mutex_;
  std::optional<MediaLooker> looker_;
  EncoderPace pace_;
  SoftRowsCache cache_;
  Looks looks_;
  struct Content {
    std::weak_ptr<const void> owner;
    MediaKey content;
  };
  std::map<const void*, Content> contents_;
  Stats stats_;
};

// The file's, with the keys that were asked for.
Result<std::optional<AudioConfig>> audio_config(const Checkpoint& checkpoint, int keys) {
  auto config = TRY(load_audio_config(checkpoint));
  if (config && keys > 0) config->left_keys = keys;
  return config;
}

// The checkpoint that has towers: the model's own, or a projector file beside it.
Result<Towers> find_towers(std::shared_ptr<const Checkpoint> checkpoint,
                           const MediaEncoderOptions& options, std::vector<std::string>& notes,
                           std::uint64_t& weight_bytes) {
  Towers towers{.checkpoint = checkpoint};
  std::string path = options.mmproj;
  if (path.empty()) {
    towers.vision = TRY(load_vision_config(*checkpoint));
    towers.audio = TRY(audio_config(*checkpoint, options.audio_keys));
    if (towers.vision || towers.audio || checkpoint->form() != Checkpoint::Form::Gguf) {
      return towers;
    }
    const auto beside = TRY(find_mmproj(checkpoint->path(), options.text_width));
    if (!beside) return towers;
    path = *beside;
  }
  towers.checkpoint = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(path)));
  towers.vision = TRY(load_vision_config(*towers.checkpoint));
  towers.audio = TRY(audio_config(*towers.checkpoint, options.audio_keys));
  if (!towers.vision && !towers.audio) {
    return invalid_argument("{}: no projector file (expected an encoder of images or sound)", path);
  }
  for (const auto& tensor : towers.checkpoint->tensors()) weight_bytes += tensor.size_bytes;
  notes.push_back(fmt::format("projector: {}", path));
  return towers;
}

MediaCapabilities without(std::string reason) {
  return {.no_vision = reason, .no_audio = reason, .no_video = std::move(reason)};
}

MediaCapabilities find_capabilities(Towers& towers, const MediaEncoderOptions& options,
                                    const Checkpoint& model) {
  if (!towers.vision && !towers.audio) {
    return without(model.form() == Checkpoint::Form::Gguf
                       ? fmt::format("no projector file lies beside {} (--mmproj FILE names one)",
                                     model.path())
                       : fmt::format("{} has no encoders", model.path()));
  }
  MediaCapabilities can;
  ThreadPool pool(1);
  Ops ops(*usable_kernels().front(), pool, true);  // exact: nothing is computed
  try_tower<VisionModel>(towers, towers.vision, options.text_width, "image", ops, can.vision,
                         can.no_vision);
  try_tower<AudioModel>(towers, towers.audio, options.text_width, "sound", ops, can.audio,
                        can.no_audio);
  can.no_video = can.vision ? missing_video_library() : can.no_vision;
  can.video = can.vision && can.no_video.empty();
  return can;
}

}  // namespace

std::shared_ptr<SoftRows> without_values(const SoftRows& rows) {
  return std::make_shared<SoftRows>(SoftRows{.key = rows.key,
                                             .n_rows = rows.n_rows,
                                             .is_visual = rows.is_visual,
                                             .grows = rows.grows,
                                             .width = rows.width,
                                             .values = {}});
}

Result<std::unique_ptr<MediaEncoder>> MediaEncoder::open(
    std::shared_ptr<const Checkpoint> checkpoint, MediaEncoderOptions options) {
  const Kernels* kernels = TRY(choose_kernels(options.force_isa));
  std::vector<std::string> notes;
  std::uint64_t weight_bytes = 0;
  Towers towers{.checkpoint = checkpoint};
  MediaCapabilities capabilities;
  if (options.mmproj == "none") {
    capabilities = without("switched off (--mmproj none)");
  } else {
    auto found = find_towers(checkpoint, options, notes, weight_bytes);
    if (found.ok()) {
      towers = std::move(found).value();
      capabilities = find_capabilities(towers, options, *checkpoint);
    } else if (!options.mmproj.empty()) {
      return std::move(found).error();
    } else {
      // Text works all the same.
      capabilities = without(found.error().message);
      notes.push_back(fmt::format("no images and no sound: {}", found.error().message));
    }
  }
  return std::unique_ptr<MediaEncoder>(new TowerEncoder(std::move(towers), std::move(capabilities),
                                                        std::move(options), std::move(notes),
                                                        *kernels, weight_bytes));
}

}  // namespace fourfold
