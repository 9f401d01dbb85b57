// Loading the full vocabulary and encoding English and hostile text.
//
//   tokenizer_bench --benchmark_repetitions=9 --benchmark_report_aggregates_only
#include <benchmark/benchmark.h>

#include <string>

#include "base/check.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {
namespace {

const std::string kFolder = FOURFOLD_BUILD_DIR "/golden/tokenizer/";

const Tokenizer& tokenizer() {
  static const Tokenizer opened = Tokenizer::open(kFolder + "tokenizer.gguf").value();
  return opened;
}

// English of everyday words with some punctuation; varied by a counter so that not every part is
// one that was seen before.
std::string english(std::size_t size_bytes) {
  constexpr std::string_view kSentences[] = {
      "The committee could not agree on the size of the bridge, nor on who should pay for it.",
      "When the rain stopped, we walked back through the orchard and counted the fallen apples.",
      "\"It isn't finished,\" she said; \"nothing of this kind ever is.\"",
      "Most compilers translate each function separately and optimise the whole program later.",
      "He sold his grandfather's watch in 1987 for $340 and regretted it for thirty years.",
      "A quarterly report (see page 12) describes the measurements, their errors and the method.",
  };
  std::string text;
  for (unsigned i = 0; text.size() < size_bytes; i = i * 5 + 1) {
    text += kSentences[i / 7 % std::size(kSentences)];
    text += i % 4 == 0 ? "\n\n" : " ";
    if (i % 3 == 0) text += "Item " + std::to_string(i) + ": ";
  }
  return text;
}

void load(benchmark::State& state, const char* name) {
  for (auto _ : state) {
    auto loaded = Tokenizer::open(kFolder + name);
    CHECK(loaded.ok());
    benchmark::DoNotOptimize(loaded);
  }
}

void encode(benchmark::State& state, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer().encode(text, Trust::Untrusted));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void decode_english(benchmark::State& state) {
  const std::string text = english(1 << 20);
  const auto ids = tokenizer().encode(text, Trust::Untrusted);
  for (auto _ : state) benchmark::DoNotOptimize(decode(tokenizer(), ids));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

BENCHMARK_CAPTURE(load, json, "tokenizer.json")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, gguf, "tokenizer.gguf")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, english_1MB, english(1 << 20))->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(encode, english_1kB, english(1 << 10));
BENCHMARK_CAPTURE(encode, one_letter_4MB, std::string(4 << 20, 'a'))->Unit(benchmark::kMillisecond);
BENCHMARK(decode_english)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fourfold
