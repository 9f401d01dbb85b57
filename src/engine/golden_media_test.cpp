// Whole models with pictures and sound against the reference (tests/golden/multimodal): encoders,
// the rows in the decoder, and how prompts are cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/json_value.h"
#include "base/mapped_file.h"
#include "engine/engine.h"
#include "engine/engine_step_model.h"
#include "engine/test_listener.h"
#include "formats/golden.h"
#include "runtime/scheduler.h"
#include "runtime/soft_batch.h"

namespace fourfold {
namespace {

struct GoldenCase {
  const char* folder;  // in tests/golden/multimodal
  const char* model;   // of the text body, in the folder; "" with its own projector file
  const char* mmproj;
  const char* name;
};

std::string path_of(const GoldenCase& golden, const std::string& file) {
  return golden_path(std::string("multimodal/") + golden.folder + "/" + file);
}

std::string bytes_of(const std::string& path) {
  const auto file = MappedFile::open(path);
  EXPECT_TRUE(file.ok()) << path;
  if (!file.ok()) return {};
  const auto bytes = (*file)->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

JsonValue json_of(const std::string& path) {
  auto json = parse_json_value(bytes_of(path));
  EXPECT_TRUE(json.ok()) << path;
  return json.ok() ? std::move(json).value() : JsonValue();
}

std::vector<std::int32_t> ints(const JsonValue* list) {
  std::vector<std::int32_t> values;
  if (!list) return values;
  for (const auto& item : list->items) values.push_back(std::stoi(item.text));
  return values;
}

// Maximal runs of one kind: 1 pictures, 2 films, 3 sounds.
struct SoftRun {
  std::int64_t first = 0, n = 0;
  int type = 0;
};

std::vector<SoftRun> runs_of(const std::vector<std::int32_t>& types) {
  std::vector<SoftRun> runs;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] == 0) continue;
    if (i == 0 || types[i - 1] != types[i]) {
      runs.push_back({static_cast<std::int64_t>(i), 0, types[i]});
    }
    ++runs.back().n;
  }
  return runs;
}

float largest_difference(const float* a, const float* b, std::size_t n) {
  float largest = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

double relative_error(const std::vector<float>& values, const std::vector<float>& expected) {
  EXPECT_EQ(values.size(), expected.size());
  double error = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < std::min(values.size(), expected.size()); ++i) {
    error += std::pow(values[i] - expected[i], 2.0);
    norm += std::pow(expected[i], 2.0);
  }
  return std::sqrt(error / norm);
}

// A prompt with media, as a golden has it.
struct MediaPrompt {
  std::vector<TokenId> ids;
  std::vector<std::int32_t> types;
  std::vector<Part> parts;  // one for each run
  std::vector<std::int32_t> greedy;
  std::vector<float> soft;  // all rows
  std::vector<float> logits;
};

class GoldenMedia : public testing::TestWithParam<GoldenCase> {
 protected:
  void SetUp() override {
    engine_ = open(256, true);
    ASSERT_TRUE(engine_);
    prompt_ = read_prompt();
  }

  static std::unique_ptr<Engine> open(int chunk, bool exact) {
    const GoldenCase& golden = GetParam();
    const std::string mmproj = golden.mmproj[0] ? path_of(golden, golden.mmproj) : "";
    auto engine = Engine::open(
        path_of(golden, golden.model),
        {.n_threads = 2, .context = 1024, .chunk = chunk, .exact = exact, .mmproj = mmproj});
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return engine.ok() ? std::move(engine).value() : nullptr;
  }

  static bool has_sound() { return std::string(GetParam().folder) == "audio"; }

  static MediaPrompt read_prompt() { return has_sound() ? read_sounds() : read_pictures(); }

  static Part part_of(Part::Kind kind, const std::string& path, const std::string& name) {
    Part part;
    part.kind = kind;
    part.bytes = bytes_of(path);
    part.where = name;
    return part;
  }

  // multimodal: one file, cases in a list.
  static MediaPrompt read_pictures() {
    const GoldenCase& golden = GetParam();
    MediaPrompt prompt;
    const auto json = json_of(path_of(golden, "case.json"));
    for (const auto& entry : json.find("cases")->items) {
      if (entry.find("case")->text != golden.name) continue;
      prompt.ids = ints(entry.find("input_ids"));
      prompt.types = ints(entry.find("mm_token_type_ids"));
      prompt.greedy = ints(entry.find("greedy"));
      for (const auto& image : entry.find("images")->items) {
        prompt.parts.push_back(part_of(Part::Kind::Image, path_of(golden, image.text), image.text));
        prompt.parts.back().settings.budget = std::stoi(entry.find("budget")->text);
      }
    }
    const GoldenArrays arrays(path_of(golden, "expected.safetensors"));
    prompt.soft = arrays.floats(std::string(golden.name) + ".soft");
    prompt.logits = arrays.floats(std::string(golden.name) + ".logits");
    return prompt;
  }

  // multimodal-audio: a folder for each case; pictures are given as patches, whose rows are taken
  // as they are expected.
  static MediaPrompt read_sounds() {
    const GoldenCase& golden = GetParam();
    const std::string folder = std::string(golden.name) + "/";
    MediaPrompt prompt;
    const auto json = json_of(path_of(golden, folder + "case.json"));
    const GoldenArrays arrays(path_of(golden, folder + "expected.safetensors"));
    prompt.ids = arrays.ints("input_ids");
    prompt.types = arrays.ints("mm_token_type_ids");
    prompt.greedy = arrays.ints("greedy");
    prompt.logits = arrays.floats("logits");
    const auto sounds = arrays.floats("soft_tokens");
    const auto pictures =
        arrays.has("image_soft_tokens") ? arrays.floats("image_soft_tokens") : std::vector<float>();
    std::size_t n_sounds = 0, sound_at = 0, picture_at = 0;
    const auto& files = json.find("audio")->items;
    std::int64_t n_rows = 0;
    for (const SoftRun& run : runs_of(prompt.types)) n_rows += run.type == 3 ? run.n : 0;
    const auto width = static_cast<std::int64_t>(sounds.size()) / n_rows;
    for (const SoftRun& run : runs_of(prompt.types)) {
      const auto n = static_cast<std::size_t>(run.n * width);
      const bool is_sound = run.type == 3;
      const auto& rows = is_sound ? sounds : pictures;
      std::size_t& at = is_sound ? sound_at : picture_at;
      const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(at);
      prompt.soft.insert(prompt.soft.end(), begin, begin + static_cast<std::ptrdiff_t>(n));
      at += n;
      if (is_sound) {
        const std::string file = files[n_sounds++].text;
        prompt.parts.push_back(part_of(Part::Kind::Audio, path_of(golden, folder + file), file));
      } else {
        prompt.parts.emplace_back();  // without bytes
      }
    }
    return prompt;
  }

  // What the encoders of this engine make of the media.
  std::vector<SoftSpan> spans(Engine& engine) const {
    std::vector<SoftSpan> spans;
    std::vector<MediaSource> sources;
    const auto runs = runs_of(prompt_.types);
    const auto width = static_cast<std::size_t>(engine.config().text.width);
    EXPECT_EQ(runs.size(), prompt_.parts.size());
    std::size_t done = 0;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto n = static_cast<std::size_t>(runs[i].n) * width;
      std::shared_ptr<const SoftRows> rows;
      if (prompt_.parts[i].bytes.empty()) {
        rows = given_rows(runs[i].n, {prompt_.soft.data() + done, n});
      } else {
        auto look = engine.media().look_at(prompt_.parts[i], {});
        EXPECT_TRUE(look.ok()) << look.error().message;
        if (!look.ok()) return {};
        EXPECT_EQ(look->source.blocks.size(), 1u);
        rows = look->source.blocks[0].rows;
        sources.push_back(std::move(look->source));
      }
      EXPECT_EQ(rows->n_rows, runs[i].n) << i;
      spans.push_back({runs[i].first, rows});
      done += n;
    }
    const Status status = engine.media().encode(sources, spans, {});
    EXPECT_TRUE(status.ok()) << status.error().message;
    return spans;
  }

  static std::shared_ptr<const SoftRows> given_rows(std::int64_t n, std::span<const float> values) {
    auto rows = std::make_shared<SoftRows>();
    rows->key[0] = 1;
    rows->n_rows = n;
    rows->is_visual = true;
    rows->width = static_cast<int>(static_cast<std::int64_t>(values.size()) / n);
    rows->values.assign(values.begin(), values.end());
    return rows;
  }

  // Drawn tokens with what is known of them, by the scheduler.
  std::shared_ptr<Listener> start(Scheduler& scheduler, const std::vector<SoftSpan>& soft) const {
    SequenceRequest request{.prompt = prompt_.ids, .soft = soft, .max_tokens = 12};
    request.sampling.temperature = 0.0f;
    request.sampling.n_logprobs = 5;
    auto sink = std::make_shared<Listener>();
    const auto id = scheduler.submit(std::move(request), sink);
    EXPECT_TRUE(id.ok()) << id.error().message;
    return sink;
  }

  static std::unique_ptr<Scheduler> make_scheduler(Engine& engine, double step_ms) {
    return std::make_unique<Scheduler>(
        make_engine_step_model(engine), engine.shared_kv_plan(), SamplerRules{},
        SchedulerOptions{.context = 1024, .chunk = engine.chunk(), .step_ms = step_ms});
  }

  static void expect_same_bits(const std::vector<SampledToken>& a,
                               const std::vector<SampledToken>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].id, b[i].id) << "token " << i;
      ASSERT_EQ(a[i].logprob, b[i].logprob) << "token " << i;
    }
  }

  std::unique_ptr<Engine> engine_;  // exact
  MediaPrompt prompt_;
};

TEST_P(GoldenMedia, GivesTheRowsOfTheReference) {
  std::vector<float> rows;
  for (const SoftSpan& span : spans(*engine_)) {
    rows.insert(rows.end(), span.rows->values.begin(), span.rows->values.end());
  }
  ASSERT_EQ(rows.size(), prompt_.soft.size());
  if (has_sound()) {
    EXPECT_LE(largest_difference(rows.data(), prompt_.soft.data(), rows.size()), 5e-4f);
  } else {
    EXPECT_LE(relative_error(rows, prompt_.soft), 1e-3);
  }
}

TEST_P(GoldenMedia, GivesTheLogitsOfTheReference) {
  const auto soft = spans(*engine_);
  const auto n = prompt_.ids.size();
  SoftBatch batch;
  batch.gather(soft, 0, static_cast<std::int64_t>(n), true);
  LogitsRequest request;
  request.ids = prompt_.ids;
  request.embed_rows.assign(batch.rows().begin(), batch.rows().end());
  const auto width = static_cast<std::size_t>(engine_->config().text.width);
  request.embeds.assign(batch.values(), batch.values() + batch.rows().size() * width);
  request.blocks.assign(batch.blocks().begin(), batch.blocks().end());
  for (std::size_t i = 0; i < n; ++i) request.positions.push_back(static_cast<std::int32_t>(i));
  request.n_greedy = static_cast<int>(prompt_.greedy.size());
  const auto report = engine_->logits(request);
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_EQ(report->logits.size(), prompt_.logits.size());
  EXPECT_LE(largest_difference(report->logits.data(), prompt_.logits.data(), prompt_.logits.size()),
            5e-3f);
  EXPECT_EQ(report->greedy, prompt_.greedy);
}

TEST_P(GoldenMedia, GivesTheSameBitsHoweverThePromptIsCut) {
  for (const bool exact : {true, false}) {
    std::vector<SampledToken> expected;
    for (const int chunk : {256, 64, 7, 1}) {
      const auto engine = open(chunk, exact);
      ASSERT_TRUE(engine);
      const auto soft = spans(*engine);
      auto scheduler = make_scheduler(*engine, 100.0);
      const auto sink = start(*scheduler, soft);
      sink->wait();
      ASSERT_FALSE(sink->end.error) << sink->end.error->message;
      if (chunk == 256) {
        expected = sink->tokens;
        if (exact && prompt_.greedy.size() >= expected.size()) {
          for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_EQ(expected[i].id, prompt_.greedy[i]) << i;
          }
        }
      }
      expect_same_bits(sink->tokens, expected);
    }
  }
}

TEST_P(GoldenMedia, GivesTheSameBitsBesideOthersAndFromTheCache) {
  const auto engine = open(16, false);
  ASSERT_TRUE(engine);
  const auto soft = spans(*engine);
  auto cold = make_scheduler(*engine, 100.0);
  const auto alone = start(*cold, soft);
  alone->wait();
  // The same ids with other media: every answer is that of a cold start.
  std::vector<SoftSpan> other = soft;
  for (std::size_t i = 0; i < other.size(); ++i) {
    auto rows = std::make_shared<SoftRows>(*other[i].rows);
    rows->key[5] ^= 0x55;
    for (float& value : rows->values) value = -value;
    other[i].rows = rows;
  }
  auto cold_too = make_scheduler(*engine, 100.0);
  const auto other_alone = start(*cold_too, other);
  other_alone->wait();

  auto scheduler = make_scheduler(*engine, 0.5);
  std::vector<std::shared_ptr<Listener>> sinks;
  for (int i = 0; i < 6; ++i) sinks.push_back(start(*scheduler, i % 2 == 0 ? soft : other));
  for (int i = 0; i < 6; ++i) {
    sinks[static_cast<std::size_t>(i)]->wait();
    const auto& expected = i % 2 == 0 ? alone->tokens : other_alone->tokens;
    expect_same_bits(sinks[static_cast<std::size_t>(i)]->tokens, expected);
  }
  const auto again = start(*scheduler, soft);
  again->wait();
  expect_same_bits(again->tokens, alone->tokens);
  EXPECT_EQ(again->cached, static_cast<std::int64_t>(prompt_.ids.size()) - 1);
}

std::string name_of(const testing::TestParamInfo<GoldenCase>& info) {
  const GoldenCase& golden = info.param;
  std::string name = std::string(golden.folder) + "_" + golden.name;
  if (golden.mmproj[0] == 0) name += "_folder";
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    Pictures, GoldenMedia,
    testing::Values(GoldenCase{"e2b_like", "model.gguf", "mmproj.gguf", "one_image"},
                    GoldenCase{"e2b_like", "model.gguf", "mmproj.gguf", "two_images"},
                    GoldenCase{"e2b_like", "model.gguf", "mmproj.gguf", "image_first_long_text"},
                    GoldenCase{"e2b_like", "model.gguf", "mmproj.gguf", "video_two_frames"},
                    GoldenCase{"26b_like", "model.gguf", "mmproj.gguf", "one_image"},
                    GoldenCase{"26b_like", "model.gguf", "mmproj.gguf", "two_images"},
                    GoldenCase{"26b_like", "model.gguf", "mmproj.gguf", "image_first_long_text"},
                    GoldenCase{"26b_like", "model.gguf", "mmproj.gguf", "video_two_frames"},
                    GoldenCase{"12b_like", "model.gguf", "mmproj.gguf", "one_image"},
                    GoldenCase{"12b_like", "model.gguf", "mmproj.gguf", "two_images"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Sounds, GoldenMedia,
    testing::Values(
        GoldenCase{"audio", "model_e2b/text.gguf", "model_e2b/mmproj.gguf", "e2b_audio"},
        GoldenCase{"audio", "model_e2b/text.gguf", "model_e2b/mmproj.gguf", "e2b_two_audios"},
        GoldenCase{"audio", "model_e2b/text.gguf", "model_e2b/mmproj.gguf", "e2b_audio_image"},
        GoldenCase{"audio", "model_e2b", "", "e2b_image_audio"},
        GoldenCase{"audio", "model_unified/text.gguf", "model_unified/mmproj.gguf",
                   "unified_audio"},
        GoldenCase{"audio", "model_unified/text.gguf", "", "unified_two_audios"},
        GoldenCase{"audio", "model_unified/text.gguf", "model_unified/mmproj.gguf",
                   "unified_audio_image"},
        GoldenCase{"audio", "model_unified/text.gguf", "model_unified/mmproj.gguf",
                   "unified_image_audio"}),
    name_of);

}  // namespace
}  // namespace fourfold
