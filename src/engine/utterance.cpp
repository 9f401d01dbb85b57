#include "engine/utterance.h"

#include <atomic>
#include <chrono>
#include <utility>

#include "engine/media_look.h"
#include "media/sound.h"
#include "media/sound_windows.h"

namespace fourfold {
namespace {

// No content names a block that is not at its end: another name for each, of this run alone.
MediaKey new_key() {
  static std::atomic<std::int64_t> n_keys = 0;
  static const auto start = std::chrono::system_clock::now().time_since_epoch().count();
  return MediaKeyWriter().add("live sound").add(std::int64_t{start}).add(++n_keys).finish();
}

}  // namespace

void Utterance::begin() {
  sound_.reset();
  closed_.clear();
  key_ = new_key();
  samples_.clear();
  n_encoded_ = 0;
  rows_.clear();
}

Status Utterance::push(std::span<const float> samples) {
  samples_.insert(samples_.end(), samples.begin(), samples.end());
  if (sound_.has_no_limit()) {
    TRY(encode(samples_.size()));
    samples_.clear();
    n_encoded_ = 0;
    return {};
  }
  // A block is cut where it would have been cut with all that follows at hand.
  constexpr auto kCertain = static_cast<std::size_t>(kBlockSamples + kLeastSamples);
  while (samples_.size() >= kCertain) {
    SoundCutter cutter(/*overlap=*/false);
    cutter.push(samples_);
    SoundWindow window;
    std::vector<float> of_window;
    if (!cutter.next(window, of_window)) break;
    TRY(close_block(of_window.size()));
  }
  return encode(std::min(samples_.size(), static_cast<std::size_t>(kBlockSamples)));
}

Status Utterance::finish() {
  if (sound_.has_no_limit()) return close_block(0);
  SoundCutter cutter(/*overlap=*/false);
  cutter.push(samples_);
  cutter.finish();
  SoundWindow window;
  std::vector<float> of_window;
  while (cutter.next(window, of_window)) TRY(close_block(of_window.size()));
  return {};
}

// Up to there, of the present block.
Status Utterance::encode(std::size_t n_samples) {
  if (n_samples <= n_encoded_) return {};
  TRY(sound_.push(std::span(samples_).subspan(n_encoded_, n_samples - n_encoded_), rows_));
  n_encoded_ = n_samples;
  return {};
}

// The block ends there. What was encoded beyond is taken back: the end changes the rows before it,
// which can only be had by going through all of them, and which must not be taken for the others.
Status Utterance::close_block(std::size_t n_samples) {
  if (n_samples < n_encoded_) {
    sound_.reset();
    rows_.clear();
    n_encoded_ = 0;
    key_ = new_key();
  }
  TRY(encode(n_samples));
  TRY(sound_.finish(rows_));
  closed_.push_back(make_block(std::exchange(rows_, {})));
  samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(n_samples));
  n_encoded_ = 0;
  key_ = new_key();
  return {};
}

std::shared_ptr<SoftRows> Utterance::make_block(std::vector<float> values) const {
  auto rows = std::make_shared<SoftRows>();
  rows->key = key_;
  rows->grows = true;
  rows->width = sound_.width();
  rows->n_rows = static_cast<std::int64_t>(values.size()) / rows->width;
  rows->values = std::move(values);
  return rows;
}

std::int64_t Utterance::n_rows() const {
  std::int64_t n = static_cast<std::int64_t>(rows_.size()) / sound_.width();
  for (const auto& block : closed_) n += block->n_rows;
  return n;
}

Message Utterance::turn() {
  Part sound;
  sound.kind = Part::Kind::Audio;
  sound.text = "audio/wav";
  sound.where = "input";
  const auto add = [&](std::shared_ptr<SoftRows> rows) {
    sound.pieces.push_back({.kind = MediaPiece::Kind::Audio, .text = {}, .rows = std::move(rows)});
  };
  for (const auto& block : closed_) add(block);
  if (!rows_.empty()) add(make_block(rows_));
  Message turn;
  turn.role = Role::User;
  turn.is_part_list = true;
  turn.parts.push_back(std::move(sound));
  return turn;
}

}  // namespace fourfold
