// Towers with random weights, on 1 and 2 threads.
//
//   media_bench --benchmark_filter=sound --benchmark_repetitions=5
//       --benchmark_report_aggregates_only
//
// "picture" is a picture that fills so many soft tokens; compare "gmac_s" with int8_gmac_s of
// `fourfold bench machine` in the same run.
//
// Read "times_real": seconds of sound encoded in a second. "block" is 30 s at once; "packets" are
// 40 ms each as from a microphone, encoded one by one or 16 in a pass.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <vector>

#include "engine/synthetic_media.h"
#include "kernels/dispatch.h"
#include "media/sound.h"
#include "model/audio/audio_model.h"
#include "model/vision/vision_model.h"

namespace fourfold {
namespace {

constexpr int kLoadThreads = 2;

// One model of each form for all benchmarks; null when memory does not hold it.
std::shared_ptr<const AudioModel> ear(bool exact) {
  const auto load = [](bool exact_form) -> Result<std::shared_ptr<const AudioModel>> {
    const auto towers = TRY(make_synthetic_towers("e2b", read_memory_budget()));
    auto checkpoint = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(towers.path())));
    const auto config = TRY(load_audio_config(*checkpoint));
    ThreadPool pool(kLoadThreads);
    Ops ops(*usable_kernels().front(), pool, exact_form);
    return AudioModel::load(std::move(checkpoint), *config, ops);
  };
  static const auto fast = load(false);
  static const auto plain = load(true);
  const auto& model = exact ? plain : fast;
  return model.ok() ? *model : nullptr;
}

void encode_sound(benchmark::State& state, bool exact, int n_threads, std::size_t packet,
                  AudioEncoderOptions options) {
  const auto model = ear(exact);
  if (!model) {
    state.SkipWithError("no memory for the tower");
    return;
  }
  ThreadPool pool(n_threads);
  Ops ops(*usable_kernels().front(), pool, exact);
  AudioEncoder encoder(model, ops, options);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, 0.1f);
  std::vector<float> samples(packet == 0 ? std::size_t{kBlockSamples} : std::size_t{64'000});
  for (float& s : samples) s = normal(random);
  std::vector<float> rows;
  for (auto _ : state) {
    rows.clear();
    const std::size_t step = packet == 0 ? samples.size() : packet;
    for (std::size_t at = 0; at < samples.size(); at += step) {
      benchmark::DoNotOptimize(
          encoder.push(std::span(samples).subspan(at, std::min(step, samples.size() - at)), rows));
    }
    benchmark::DoNotOptimize(encoder.finish(rows));
  }
  const double seconds = static_cast<double>(samples.size()) / kSampleRate;
  state.counters["times_real"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * seconds, benchmark::Counter::kIsRate);
}

// One model at a time: those of large bodies take gigabytes.
std::shared_ptr<const VisionModel> eye(const std::string& body) {
  static std::string loaded;
  static std::shared_ptr<const VisionModel> model;
  if (loaded == body) return model;
  model = nullptr;
  loaded = body;
  const auto load = [&]() -> Result<std::shared_ptr<const VisionModel>> {
    const auto towers = TRY(make_synthetic_towers(body, read_memory_budget()));
    auto checkpoint = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(towers.path())));
    const auto config = TRY(load_vision_config(*checkpoint));
    ThreadPool pool(kLoadThreads);
    Ops ops(*usable_kernels().front(), pool, false);
    return VisionModel::load(std::move(checkpoint), *config, ops);
  };
  if (const auto result = load(); result.ok()) model = *result;
  return model;
}

// A picture whose shape fills the budget.
Patches random_picture(int budget) {
  const int width = budget == 70 ? 30 : budget == 280 ? 60 : 120;
  Patches patches{.side = 16,
                  .grid_width = width,
                  .grid_height = 9 * budget / width,
                  .values = {},
                  .positions = {}};
  std::mt19937 random(1);
  patches.values.resize(static_cast<std::size_t>(patches.n() * patches.width()));
  for (float& value : patches.values) value = static_cast<float>(random() % 256) / 255.0f;
  return patches;
}

void encode_picture(benchmark::State& state, const std::string& body, int budget, int n_threads) {
  const auto model = eye(body);
  if (!model) {
    state.SkipWithError("no memory for the tower");
    return;
  }
  ThreadPool pool(n_threads);
  Ops ops(*usable_kernels().front(), pool, false);
  VisionEncoder encoder(model, ops);
  const Patches patches = random_picture(budget);
  for (auto _ : state) benchmark::DoNotOptimize(encoder.encode(patches, nullptr, {}));
  const VisionConfig& c = model->config();
  const double n = static_cast<double>(patches.n()), D = c.width, F = c.ffn_width;
  const double macs = c.n_layers * (n * (4 * D * D + 3 * D * F) + 2 * n * n * D);
  state.counters["gmac_s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * macs / 1e9, benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  for (const char* body : {"e2b", "26b"}) {
    for (const int budget : {70, 280, 1120}) {
      for (const int n_threads : {1, 2}) {
        benchmark::RegisterBenchmark(
            fmt::format("picture/{}/{}/{}", body, budget, n_threads).c_str(), encode_picture,
            std::string(body), budget, n_threads)
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  const auto add = [](const char* name, bool exact, std::size_t packet, int least_rows) {
    for (const int n_threads : {1, 2}) {
      benchmark::RegisterBenchmark(fmt::format("sound/{}/{}", name, n_threads).c_str(),
                                   encode_sound, exact, n_threads, packet,
                                   AudioEncoderOptions{.least_rows = least_rows})
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  };
  add("block", false, 0, 1);
  add("block_exact", true, 0, 1);
  add("packets", false, 640, 1);
  add("packets_of_16", false, 640, 16);
  return true;
}();

}  // namespace
}  // namespace fourfold
