#include "engine/encoder_work.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

VisionConfig vision(int width, int n_layers, int ffn_width, int text_width) {
  VisionConfig config;
  config.width = width;
  config.n_layers = n_layers;
  config.ffn_width = ffn_width;
  config.text_width = text_width;
  return config;
}

// Each row of the table in vision-video.md 10 that fills its budget.
TEST(EncoderWork, OfAPictureIsThatOfTheTable) {
  const VisionConfig e2b = vision(768, 16, 3072, 1536), large = vision(1152, 27, 4304, 2816);
  struct Row {
    std::int64_t n_rows;
    double e2b, large;
  };
  for (const Row& row :
       {Row{70, 0.21e12, 0.74e12}, Row{280, 1.08e12, 3.54e12}, Row{1120, 8.05e12, 23.7e12}}) {
    EXPECT_NEAR(picture_flops(e2b, row.n_rows), row.e2b, 0.02 * row.e2b) << row.n_rows;
    EXPECT_NEAR(picture_flops(large, row.n_rows), row.large, 0.02 * row.large) << row.n_rows;
  }
  // 83 MFLOP for a row of the 12B.
  VisionConfig unified = vision(3840, 0, 0, 3840);
  unified.unified = true;
  EXPECT_NEAR(picture_flops(unified, 1), 83e6, 1e6);
}

TEST(EncoderWork, OfASecondOfSoundIsThatOfTheTower) {
  AudioConfig config;
  config.width = 1024;
  config.n_layers = 12;
  config.ffn_width = 4096;
  config.text_width = 1536;
  EXPECT_NEAR(sound_flops(config, 25), 14.8e9, 0.4e9);
  config.unified = true;
  config.width = 640;
  EXPECT_LT(sound_flops(config, 25), 0.1e9);
}

TEST(EncoderPace, IsTheMeasuredOneAsSoonAsThereIsOne) {
  EncoderPace pace(2, false), exact(2, true);
  EXPECT_GT(pace.seconds_for(1e12), 0.0);
  EXPECT_GT(exact.seconds_for(1e12), pace.seconds_for(1e12));
  EXPECT_EQ(pace.seconds_for(0.0), 0.0);
  pace.add(1e9, 0.001);  // too short to tell
  EXPECT_DOUBLE_EQ(pace.seconds_for(1e12), EncoderPace(2, false).seconds_for(1e12));
  pace.add(99e9, 1.999);
  EXPECT_DOUBLE_EQ(pace.seconds_for(1e12), 20.0);
}

}  // namespace
}  // namespace fourfold
