// Runs every hot kernel of a table once or a few times, each in a function of its own, for
// tests/kernel_instructions_test.py, which counts their instructions under callgrind.
//
//   kernel_instructions TABLE      a line "NUMBER UNITS NAME" for each: measured<NUMBER>() worked
//   on
//                                  so many multiply-accumulates or elements
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/table.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

constexpr int kDepth = 1024;
constexpr int kTokens = 12;  // whole tiles of every table
constexpr int kElements = 1536;
constexpr int kMostCases = 96;

struct Case {
  std::string name;
  std::int64_t units = 0;
  std::function<void()> run;
};
std::vector<Case> cases;

// The name under which callgrind files what case i does.
template <int i>
[[gnu::noinline]] void measured() {
  cases[i].run();
}

template <int... i>
void run_cases(std::integer_sequence<int, i...>) {
  const auto run = [](int number, void (*function)()) {
    if (static_cast<std::size_t>(number) >= cases.size()) return;
    function();
    const Case& c = cases[static_cast<std::size_t>(number)];
    std::printf("%d %lld %s\n", number, static_cast<long long>(c.units), c.name.c_str());
  };
  (run(i, measured<i>), ...);
}

// Not random: the same instructions on every run.
std::vector<float> wave(std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = std::sin(static_cast<float>(i) * 0.7f);
  return x;
}

// Bytes that make small normal numbers of every block type.
std::vector<std::uint8_t> plain_bytes(std::size_t n) {
  std::vector<std::uint8_t> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(32 + i * 7 % 32);
  return bytes;
}

struct Activation {
  std::vector<std::int8_t> q, q_fine;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;

  Activation(const Kernels& k, int n_tokens, bool fine) {
    const auto n = static_cast<std::size_t>(n_tokens * kDepth);
    q.resize(n);
    q_fine.resize(n);
    scales.resize(n / kActivationBlock);
    sums.resize(n / kSumBlock);
    k.quantize(wave(n).data(), static_cast<int>(n), q.data(), fine ? q_fine.data() : nullptr,
               scales.data(), sums.data());
    if (!fine) q_fine.clear();
  }
  QuantView view() const {
    return {q.data(),
            q_fine.empty() ? nullptr : q_fine.data(),
            scales.data(),
            sums.data(),
            kDepth,
            kDepth / kActivationBlock,
            kDepth / kSumBlock};
  }
};

std::string label(const char* kernel, std::string_view what, bool fine) {
  return std::string(kernel) + " " + std::string(what) + (fine ? ", fine" : ", plain");
}

void add_panels(const Kernels& k, bool fine) {
  // By what packing adds to the weights a table may tell how large they are.
  struct Form {
    const char* name;
    int group;
    bool offsets;
    int zero;
  };
  for (const Form& form : {Form{"4 bits", 32, false, 8}, Form{"4 bits with offsets", 32, true, 0},
                           Form{"6 bits", 16, false, 32}, Form{"8 bits", 32, false, 128}}) {
    const Activation x(k, kTokens, fine);
    const std::vector<std::uint8_t> q(kPanelRows * kDepth, 7);
    const std::vector<float> scales(kPanelRows * kDepth / kSumBlock, 0.5f);
    cases.push_back(
        {label("matmul_panel", form.name, fine), std::int64_t{kPanelRows} * kDepth * kTokens,
         [=, &k, acc = std::vector<float>(kPanelRows * kTokens)]() mutable {
           k.matmul_panel({.q = q.data(),
                           .scales = scales.data(),
                           .offsets = form.offsets ? scales.data() : nullptr,
                           .k = kDepth,
                           .group = form.group,
                           .zero = form.zero},
                          x.view(), kTokens, {.first = acc.data(), .stride = kPanelRows});
         }});
  }
}

struct PackedType {
  DType type;
  Packer Kernels::*packer;
};
constexpr PackedType kPackedTypes[] = {
    {DType::Q4_0, &Kernels::q4_0},     {DType::Q5_0, &Kernels::q5_0},
    {DType::Q8_0, &Kernels::q8_0},     {DType::Q4_K, &Kernels::q4_k},
    {DType::Q5_K, &Kernels::q5_k},     {DType::Q6_K, &Kernels::q6_k},
    {DType::IQ4_NL, &Kernels::iq4_nl}, {DType::IQ4_XS, &Kernels::iq4_xs},
    {DType::MXFP4, &Kernels::mxfp4},
};

void add_blocks(const Kernels& k) {
  for (const auto& [type, member] : kPackedTypes) {
    const Packer packer = k.*member;
    const std::int64_t stride = size_bytes(type, kDepth);
    // A row's last load may reach into what lies behind it.
    const auto bytes = plain_bytes(static_cast<std::size_t>(kPanelRows * stride + 64));
    constexpr std::int64_t kUnits = std::int64_t{kPanelRows} * kDepth;
    // What the numbers are does not matter, so the same bytes serve as interleaved ones.
    if (packer.pack) {
      const bool has_min = traits(type).has_min;
      std::vector<float> scales(kUnits / kSumBlock);
      cases.push_back({"pack " + std::string(name(type)), kUnits,
                       [=, offsets = scales, q = std::vector<std::uint8_t>(kUnits)]() mutable {
                         packer.pack(bytes.data(), stride, kDepth,
                                     {q.data(), scales.data(), has_min ? offsets.data() : nullptr});
                       }});
      cases.push_back({"pack interleaved " + std::string(name(type)), kUnits,
                       [=, offsets = scales, q = std::vector<std::uint8_t>(kUnits)]() mutable {
                         packer.pack_interleaved(
                             bytes.data(), kDepth,
                             {q.data(), scales.data(), has_min ? offsets.data() : nullptr});
                       }});
    }
    if (!packer.dot) continue;
    for (const bool fine : {false, true}) {
      const Activation x(k, 1, fine);
      cases.push_back({label("dot", name(type), fine), kUnits, [=] {
                         float acc[kPanelRows] = {};
                         packer.dot(bytes.data(), stride, kDepth, x.view(), acc);
                       }});
      cases.push_back({label("dot interleaved", name(type), fine), kUnits, [=] {
                         float acc[kPanelRows] = {};
                         packer.dot_interleaved(bytes.data(), kDepth, x.view(), acc);
                       }});
    }
  }
}

void add_elementwise(const Kernels& k) {
  const auto x = wave(kElements);
  std::vector<float> out(x.size());
  cases.push_back({"rms_norm", kElements, [=, &k]() mutable {
                     k.rms_norm(x.data(), x.data(), kElements, 1e-6f, out.data());
                   }});
  cases.push_back({"gelu_multiply", kElements, [=, &k]() mutable {
                     k.gelu_multiply(x.data(), x.data(), kElements, out.data());
                   }});
  for (const bool fine : {false, true}) {
    std::vector<std::int8_t> q(x.size());
    std::vector<float> scales(x.size() / kActivationBlock);
    std::vector<std::int32_t> sums(x.size() / kSumBlock);
    cases.push_back({std::string("quantize") + (fine ? ", fine" : ", plain"), kElements,
                     [=, &k, q_fine = q]() mutable {
                       k.quantize(x.data(), kElements, q.data(), fine ? q_fine.data() : nullptr,
                                  scales.data(), sums.data());
                     }});
  }
}

void add_attention(const Kernels& k) {
  constexpr int kQueries = 8;
  constexpr int kChannels = 256;
  const auto keys = wave(kKeyBlock * kChannels);
  const std::vector<int> first(kQueries, 0), last(kQueries, kKeyBlock);
  const std::vector<float> lowest(kPanelRows, -1e30f);
  std::vector<float> out(kQueries * kChannels), sum(kPanelRows);
  cases.push_back({"attend_block", std::int64_t{2} * kKeyBlock * kChannels * kQueries,
                   [=, &k, max = lowest]() mutable {
                     k.attend_block({.q = keys.data(),
                                     .k = keys.data(),
                                     .v = keys.data(),
                                     .n_queries = kQueries,
                                     .channels = kChannels,
                                     .first = first.data(),
                                     .last = last.data(),
                                     .max = max.data(),
                                     .sum = sum.data(),
                                     .out = out.data()});
                   }});
  std::vector<float> scales(kKeyBlock / kActivationBlock * kPanelRows);
  std::vector<std::uint8_t> panel(kKeyBlock * kPanelRows);
  cases.push_back({"softmax_panel", std::int64_t{kKeyBlock} * kPanelRows,
                   [=, &k, max = lowest, correction = sum]() mutable {
                     k.softmax_panel({.scores = keys.data(),
                                      .n_keys = kKeyBlock,
                                      .n_visible = kKeyBlock,
                                      .max = max.data(),
                                      .sum = sum.data(),
                                      .correction = correction.data(),
                                      .panel = panel.data(),
                                      .scales = scales.data()});
                   }});
}

int run(int argc, char** argv) {
  const auto kernels = choose_kernels(argc == 2 ? argv[1] : "");
  if (argc != 2 || !kernels.ok()) {
    std::fprintf(stderr, "kernel_instructions TABLE\n%s\n",
                 kernels.ok() ? "" : kernels.error().message.c_str());
    return 2;
  }
  for (const bool fine : {false, true}) add_panels(**kernels, fine);
  add_blocks(**kernels);
  add_elementwise(**kernels);
  add_attention(**kernels);
  if (cases.size() > kMostCases) {
    std::fprintf(stderr, "kernel_instructions: %zu cases, room for %d\n", cases.size(), kMostCases);
    return 2;
  }
  run_cases(std::make_integer_sequence<int, kMostCases>{});
  return 0;
}

}  // namespace
}  // namespace fourfold

int main(int argc, char** argv) { return fourfold::run(argc, argv); }
